"""Compare saved runs: each result of a candidate with the same result of the reference."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tlbench import __version__
from tlbench.compare.comparability import accuracy_mismatches, run_properties, timing_mismatches
from tlbench.compare.compared_run import ComparedRun, accuracy_name, letter_of, timing_name
from tlbench.compare.effect import (
    PairedRuns,
    accuracy_difference,
    compared_timing,
    scope_notes,
    speed_up,
)
from tlbench.compare.training import answer_of, training_costs
from tlbench.core.errors import ComparisonError
from tlbench.records import (
    AccuracyDifference,
    AccuracyResult,
    Comparison,
    DifferingImage,
    LatencyResult,
    RunIdentity,
    SpeedUp,
    Unpaired,
    derive,
    entry_name,
)

_T = TypeVar("_T")


def compare_runs(runs: Sequence[ComparedRun], *, allow_unlike: bool = False) -> Comparison:
    """Return every run compared with the first.

    Parameters
    ----------
    runs : sequence of ComparedRun
        Two or more; the first is the reference.
    allow_unlike : bool
        Also compare results that differ in more than machine, provider and threads; the comparison
        lists these mismatches.

    Returns
    -------
    Comparison
        Complete: results that other runs do not have are listed as well.

    Raises
    ------
    ComparisonError
        If there are fewer than two runs or one is given twice, if a run has nothing in common with
        the reference, or if results do not match and *allow_unlike* is False.
    ResultError
        If a run is damaged.
    """
    _check_runs(runs)
    training = training_costs(runs, allow_unlike=allow_unlike)
    answers = [answer for run in runs if training and (answer := answer_of(run.run))]
    pairings = [
        _pair(
            *(runs[0], candidate, letter_of(position)),
            allow_unlike=allow_unlike,
            are_rivals=bool(training),
        )
        for position, candidate in enumerate(runs[1:], start=1)
    ]
    if not allow_unlike:
        _refuse_mismatches(runs, pairings)
    speed_ups = tuple(pair for pairing in pairings for pair in pairing.speed_ups)
    accuracy = tuple(pair for pairing in pairings for pair in pairing.accuracy)
    return Comparison(
        tlbench_version=__version__,
        allow_unlike=allow_unlike,
        runs=tuple(_identity(run, letter_of(i)) for i, run in enumerate(runs)),
        properties=run_properties(runs),
        speed_ups=speed_ups,
        accuracy=accuracy,
        training=training,
        unpaired=_unpaired(pairings, [accuracy_name(one) for one in answers]),
        notes=tuple(scope_notes(runs, speed_ups, accuracy, training)),
    )


def differing_images(runs: Sequence[ComparedRun]) -> tuple[DifferingImage, ...]:
    """Return every image for which a run predicts another label than the first, entry by entry."""
    found: list[DifferingImage] = []
    for position, candidate in enumerate(runs[1:], start=1):
        letter = letter_of(position)
        paired = PairedRuns.opened(runs[0], candidate, (letter_of(0), letter))
        if paired.reason is not None:
            raise ComparisonError(
                f"The images on which {candidate.name} and {runs[0].name} differ cannot be listed: "
                f"{paired.reason}. Evaluate both on the same data, and copy the whole folders."
            )
        for one, _ in _match(runs[0].accuracy, candidate.accuracy, entry_name).pairs:
            found += paired.differing(one, letter)
    return tuple(found)


def _check_runs(runs: Sequence[ComparedRun]) -> None:
    if len(runs) < 2:  # noqa: PLR2004 - a reference and a candidate
        msg = f"A comparison needs two runs or more, got {len(runs)}. Saved runs are in runs/."
        raise ComparisonError(msg)
    for name, n in Counter(run.name for run in runs).items():
        if n > 1:
            raise ComparisonError(f"Run {name} is named {n} times. Name another run.")
    for run in runs:
        run.check()


@dataclass(frozen=True, slots=True)
class _Match(Generic[_T]):
    """Pairs of results of reference and candidate, in the reference's order, and the others."""

    pairs: tuple[tuple[_T, _T], ...]
    only_reference: tuple[_T, ...]
    only_candidate: tuple[_T, ...]


def _match(
    reference: Sequence[_T],
    candidate: Sequence[_T],
    key: Callable[[_T], Hashable],
    *,
    unique: bool = False,
) -> _Match[_T]:
    """Pair by *key*; with *unique* only where neither run has another result of the same key."""
    n_reference, n_candidate = Counter(map(key, reference)), Counter(map(key, candidate))
    partners = {
        key(two): two
        for two in candidate
        if not unique or n_candidate[key(two)] == n_reference[key(two)] == 1
    }
    pairs = tuple((one, partners[key(one)]) for one in reference if key(one) in partners)
    shared = {key(one) for one, _ in pairs}
    return _Match(
        pairs,
        tuple(one for one in reference if key(one) not in shared),
        tuple(two for two in candidate if key(two) not in shared),
    )


def _match_timings(
    reference: ComparedRun, candidate: ComparedRun, *, allow_unlike: bool
) -> _Match[LatencyResult]:
    """Pair timings by model under test, scenario, batch size and boundary."""
    if reference.timings and candidate.timings and bool(reference.labels) != bool(candidate.labels):
        several, single = (reference, candidate) if reference.labels else (candidate, reference)
        raise ComparisonError(
            f"Run {several.run.id} compares several models ({', '.join(several.labels)}), but run "
            f"{single.name} has only one. Name the model to compare, for example "
            f"'{several.run.id}#{several.labels[0]}'."
        )
    match = _match(reference.timings, candidate.timings, lambda one: (one.label, one.what))
    if not allow_unlike:
        return match
    # Batch 32 with batch 64: by model and scenario, where that leaves one timing in each run.
    rest = match.only_reference, match.only_candidate
    near = _match(*rest, lambda one: (one.label, one.scenario), unique=True)
    return _Match((*match.pairs, *near.pairs), near.only_reference, near.only_candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairing:
    """The reference and one candidate, with every figure."""

    letter: str
    speed_ups: list[SpeedUp]
    accuracy: list[AccuracyDifference]
    only_reference: list[str]
    only_candidate: list[str]


def _pair(
    reference: ComparedRun,
    candidate: ComparedRun,
    letter: str,
    *,
    allow_unlike: bool,
    are_rivals: bool,
) -> _Pairing:
    letters, runs = (letter_of(0), letter), (reference, candidate)
    timings = _match_timings(reference, candidate, allow_unlike=allow_unlike)
    accuracy: _Match[AccuracyResult] = _match(reference.accuracy, candidate.accuracy, entry_name)
    paired = PairedRuns.opened(reference, candidate, letters)
    pairing = _Pairing(
        letter=letter,
        speed_ups=[
            speed_up(
                compared_timing(one, letters[0]),
                compared_timing(two, letter),
                timing_mismatches(runs, (one, two), of_models=not are_rivals),
            )
            for one, two in timings.pairs
        ],
        accuracy=[
            accuracy_difference(
                pair,
                letters,
                accuracy_mismatches(runs, pair, of_models=not are_rivals),
                paired,
            )
            for pair in accuracy.pairs
        ],
        only_reference=_names(timings.only_reference, accuracy.only_reference),
        only_candidate=_names(timings.only_candidate, accuracy.only_candidate),
    )
    if not pairing.speed_ups and not pairing.accuracy and not are_rivals:
        found = "; ".join(
            f"{run.name} has {', '.join(f'({name})' for name in names) or 'no results'}"
            for run, names in zip(
                runs, (pairing.only_reference, pairing.only_candidate), strict=True
            )
        )
        advice = "Measure the same scenarios, batch sizes and heads in both"
        if not allow_unlike and _match_timings(*runs, allow_unlike=True).pairs:
            advice += ", or pass allow_unlike=True to compare other batch sizes and boundaries"
        raise ComparisonError(f"The runs have nothing in common: {found}. {advice}.")
    return pairing


def _names(timings: Iterable[LatencyResult], accuracy: Iterable[AccuracyResult]) -> list[str]:
    return [*map(timing_name, timings), *map(accuracy_name, accuracy)]


def _refuse_mismatches(runs: Sequence[ComparedRun], pairings: Iterable[_Pairing]) -> None:
    """Raise one error that names every mismatch once, with the results that have it."""
    where: dict[tuple[str, str], list[str]] = {}
    for pairing in pairings:
        results: list[SpeedUp | AccuracyDifference] = [*pairing.speed_ups, *pairing.accuracy]
        for one in results:
            if isinstance(one, SpeedUp):
                place = f"{one.other.scenario} batch {one.other.batch_size}"
            else:
                place = f"{one.other.head} on {one.other.title}"
            for mismatch in one.mismatches:
                where.setdefault((pairing.letter, str(mismatch)), []).append(place)
    if not where:
        return
    names = ", ".join(f"{letter_of(i)} = {run.name}" for i, run in enumerate(runs))
    listed = "; ".join(
        f"A and {letter}: {mismatch} ({', '.join(dict.fromkeys(places))})"
        for (letter, mismatch), places in where.items()
    )
    raise ComparisonError(
        f"These runs are not comparable: they differ in more than machine and settings. {names}. "
        f"{listed}. Measure both in the same way, or pass allow_unlike=True to compare them "
        "with these mismatches marked."
    )


def _identity(compared: ComparedRun, letter: str) -> RunIdentity:
    models = [compared.model_of(label) for label in compared.labels or (None,)]
    names = (model.card.backbone if model.card else model.path_name for model in models)
    model = ", ".join(dict.fromkeys(names))
    return derive(RunIdentity, compared.run, letter=letter, model=model, label=compared.label)


def _unpaired(pairings: Sequence[_Pairing], answers: Sequence[str]) -> tuple[Unpaired, ...]:
    """Return what one of two runs lacks; *answers* are compared all the same, as rivals are."""
    reference = letter_of(0)
    missing: dict[tuple[str, str], list[str]] = {}  # of (run, result): the runs without it
    for pairing in pairings:
        for what in pairing.only_reference:
            missing.setdefault((reference, what), []).append(pairing.letter)
    for pairing in pairings:
        missing |= {(pairing.letter, what): [reference] for what in pairing.only_candidate}
    return tuple(
        Unpaired(run=run, what=what, missing_in=tuple(lacking))
        for (run, what), lacking in missing.items()
        if what not in answers
    )
