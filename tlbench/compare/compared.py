"""Two or more runs, side by side."""

from collections.abc import Iterable, Sequence

from tlbench import __version__
from tlbench.compare.comparability import accuracy_differences, timing_differences
from tlbench.compare.compared_run import ComparedRun, accuracy_name, letter_of, timing_name
from tlbench.compare.effect import (
    ACCURACY_SCOPE,
    ENERGY_SCOPE,
    PAIRED_SCOPE,
    SPEED_UP_SCOPE,
    accuracy_difference,
    compared_accuracy,
    compared_timing,
    speed_up,
)
from tlbench.compare.facts import facts_of
from tlbench.compare.match import match_accuracy, match_timings
from tlbench.compare.paired import PairedRuns
from tlbench.core.errors import ComparisonError
from tlbench.records import (
    AccuracyDifference,
    Comparison,
    DifferingImage,
    RunIdentity,
    SpeedUp,
    Unpaired,
)


def compare_runs(sides: Sequence[ComparedRun], *, allow_unlike: bool = False) -> Comparison:
    """Compare every run with the first.

    Parameters
    ----------
    sides : sequence of ComparedRun
        Two or more; the first is the reference.
    allow_unlike : bool
        Compare also what differs in more than machine, provider and threads, and say in what.

    Returns
    -------
    Comparison
        Nothing of any run is left out: what has no partner is listed.

    Raises
    ------
    ComparisonError
        If there are fewer than two runs or one is there twice, if a run has nothing in common with
        the reference, or if results are unlike and that is not allowed.
    ResultError
        If a run is damaged.
    """
    _check_sides(sides)
    pairings = [
        _Pairing(sides[0], other, letter_of(position), allow_unlike=allow_unlike)
        for position, other in enumerate(sides[1:], start=1)
    ]
    if not allow_unlike:
        _refuse_unlike(sides, pairings)
    speed_ups = tuple(pair for pairing in pairings for pair in pairing.speed_ups)
    accuracy = tuple(pair for pairing in pairings for pair in pairing.accuracy)
    return Comparison(
        tlbench_version=__version__,
        allow_unlike=allow_unlike,
        runs=tuple(_compared_run(side, letter_of(i)) for i, side in enumerate(sides)),
        properties=facts_of(sides),
        speed_ups=speed_ups,
        accuracy=accuracy,
        unpaired=_unpaired(pairings),
        notes=tuple(_notes(sides, speed_ups, accuracy)),
    )


def differing_images(sides: Sequence[ComparedRun]) -> tuple[DifferingImage, ...]:
    """Return every image that a run predicts otherwise than the first, entry by entry.

    Raises
    ------
    ComparisonError
        If the predictions of a run cannot be held against the first's; the message says why.
    ResultError
        If a run is damaged.
    """
    found: list[DifferingImage] = []
    for position, other in enumerate(sides[1:], start=1):
        letter = letter_of(position)
        paired = PairedRuns.opened(sides[0], other, (letter_of(0), letter))
        if paired.reason is not None:
            msg = (
                f"The images on which {other.name} and {sides[0].name} differ cannot be listed: "
                f"{paired.reason}. Evaluate both on the same data, and copy whole folders."
            )
            raise ComparisonError(msg)
        for one, _ in match_accuracy(sides[0], other).pairs:
            found += paired.differing(one, letter)
    return tuple(found)


def _check_sides(sides: Sequence[ComparedRun]) -> None:
    if len(sides) < 2:  # noqa: PLR2004 - a comparison has two sides
        msg = f"A comparison takes two runs or more, not {len(sides)}. Saved runs are in runs/."
        raise ComparisonError(msg)
    names = [side.name for side in sides]
    for name in names:
        if names.count(name) > 1:
            raise ComparisonError(f"Run {name} is named {names.count(name)} times. Name another.")
    for side in sides:
        side.check()


class _Pairing:
    """The reference and one other run, with every figure."""

    def __init__(
        self, reference: ComparedRun, other: ComparedRun, letter: str, *, allow_unlike: bool
    ) -> None:
        self.letter = letter
        first, sides = letter_of(0), (reference, other)
        timings = match_timings(reference, other, allow_unlike=allow_unlike)
        accuracy = match_accuracy(reference, other)
        paired = PairedRuns.opened(reference, other, (first, letter))
        self.speed_ups = [
            speed_up(
                compared_timing(one, first),
                compared_timing(two, letter),
                timing_differences(sides, (one, two)),
            )
            for one, two in timings.pairs
        ]
        self.accuracy = [
            accuracy_difference(
                compared_accuracy(one, first),
                compared_accuracy(two, letter),
                accuracy_differences(sides, (one, two)),
                paired=paired.pair(one),
                not_paired=paired.reason,
            )
            for one, two in accuracy.pairs
        ]
        self.only_reference = [
            *map(timing_name, timings.only_reference),
            *map(accuracy_name, accuracy.only_reference),
        ]
        self.only_other = [
            *map(timing_name, timings.only_other),
            *map(accuracy_name, accuracy.only_other),
        ]
        if not self.speed_ups and not self.accuracy:
            raise ComparisonError(_nothing_in_common(self, sides, allow_unlike=allow_unlike))


def _nothing_in_common(
    pairing: _Pairing, sides: tuple[ComparedRun, ComparedRun], *, allow_unlike: bool
) -> str:
    holdings = (pairing.only_reference, pairing.only_other)
    found = "; ".join(
        f"{side.name} has {', '.join(f'({name})' for name in names) or 'no results'}"
        for side, names in zip(sides, holdings, strict=True)
    )
    hint = "Measure the same scenarios, batch sizes and heads in both"
    if not allow_unlike and match_timings(*sides, allow_unlike=True).pairs:
        hint += ", or pass --allow-unlike to compare other batch sizes and boundaries"
    return f"The runs have nothing in common: {found}. {hint}."


def _refuse_unlike(sides: Sequence[ComparedRun], pairings: Iterable[_Pairing]) -> None:
    """Raise one error that names every difference, each once, with the results that have it."""
    where: dict[tuple[str, str], list[str]] = {}
    for pairing in pairings:
        for timed in pairing.speed_ups:
            place = f"{timed.other.scenario} batch {timed.other.batch_size}"
            for found in timed.mismatches:
                where.setdefault((pairing.letter, str(found)), []).append(place)
        for scored in pairing.accuracy:
            place = f"{scored.other.head} on {scored.other.title}"
            for found in scored.mismatches:
                where.setdefault((pairing.letter, str(found)), []).append(place)
    if not where:
        return
    names = ", ".join(f"{letter_of(i)} = {side.name}" for i, side in enumerate(sides))
    differences = "; ".join(
        f"A and {letter}: {difference} ({', '.join(dict.fromkeys(places))})"
        for (letter, difference), places in where.items()
    )
    msg = (
        f"These runs are not alike, so a ratio would say nothing about the machines. {names}. "
        f"{differences}. Measure both alike, or pass --allow-unlike to see them with what differs."
    )
    raise ComparisonError(msg)


def _compared_run(side: ComparedRun, letter: str) -> RunIdentity:
    models = [side.model_of(label) for label in side.labels or (None,)]
    names = (model.card.backbone if model.card else model.path_name for model in models)
    return RunIdentity(
        letter=letter,
        id=side.run.id,
        created_at=side.run.created_at,
        tlbench_version=side.run.tlbench_version,
        model=", ".join(dict.fromkeys(names)),
        label=side.label,
        complete=side.run.complete,
    )


def _unpaired(pairings: Sequence[_Pairing]) -> tuple[Unpaired, ...]:
    reference = letter_of(0)
    missing: dict[str, list[str]] = {}
    for pairing in pairings:
        for what in pairing.only_reference:
            missing.setdefault(what, []).append(pairing.letter)
    return (
        *(
            Unpaired(run=reference, what=what, missing_in=tuple(letters))
            for what, letters in missing.items()
        ),
        *(
            Unpaired(run=pairing.letter, what=what, missing_in=(reference,))
            for pairing in pairings
            for what in pairing.only_other
        ),
    )


def _notes(
    sides: Sequence[ComparedRun],
    speed_ups: Sequence[SpeedUp],
    accuracy: Sequence[AccuracyDifference],
) -> list[str]:
    notes = []
    if speed_ups:
        notes.append(SPEED_UP_SCOPE)
    if any(pair.interval is None for pair in speed_ups):
        notes.append(
            "n/a: too few independent samples for an interval, or a queue, whose samples depend on "
            "one another."
        )
    if any(one.verdict is None for pair in speed_ups for one in (pair.reference, pair.other)):
        notes.append("unjudged: saved by a tlbench that did not look for reasons to disbelieve.")
    if any(pair.energy_ratio is not None for pair in speed_ups):
        notes.append(ENERGY_SCOPE)
    if accuracy:
        notes.append(ACCURACY_SCOPE)
    if any(pair.paired for pair in accuracy):
        notes.append(PAIRED_SCOPE)
    reasons = dict.fromkeys(
        f"{pair.other.run}: {pair.not_paired}" for pair in accuracy if pair.not_paired
    )
    notes += [f"Not compared image by image with {reason}." for reason in reasons]
    if len({side.run.id for side in sides}) < len(sides):
        notes.append(
            "Models of one run took turns: their own ratio, in tlbench report, is the better one."
        )
    return notes
