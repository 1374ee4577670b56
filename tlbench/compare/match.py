"""Which result of one run belongs to which result of another."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tlbench.compare.compared_run import ComparedRun
from tlbench.core.errors import ComparisonError
from tlbench.records import AccuracyResult, LatencyResult, entry_name

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Match(Generic[_T]):
    """Pairs of (reference, other) in the reference's order, and what is left on either side."""

    pairs: tuple[tuple[_T, _T], ...]
    only_reference: tuple[_T, ...]
    only_other: tuple[_T, ...]


def match_timings(
    reference: ComparedRun, other: ComparedRun, *, allow_unlike: bool = False
) -> Match[LatencyResult]:
    """Pair the timings of two runs by candidate, scenario, batch size and boundary.

    Parameters
    ----------
    reference, other : ComparedRun
        The runs.
    allow_unlike : bool
        Then what is left is paired by candidate and scenario alone, where that leaves one timing
        in each run: batch 32 with batch 64.

    Raises
    ------
    ComparisonError
        If several models took turns in one of the runs and one model was timed in the other.
    """
    labelled = [side for side in (reference, other) if side.labels]
    if len(labelled) == 1 and reference.timings and other.timings:
        run, label = labelled[0], labelled[0].labels[0]
        rival = other if run is reference else reference
        msg = (
            f"In run {run.run.id} took turns: {', '.join(run.labels)}. Run {rival.name} has one "
            f"model. Say which one to compare, for example '{run.run.id}#{label}'."
        )
        raise ComparisonError(msg)
    match = _match(reference.timings, other.timings, lambda result: (result.label, result.what))
    if not allow_unlike:
        return match
    near = _match(
        match.only_reference,
        match.only_other,
        lambda result: (result.label, result.scenario),
        unique=True,
    )
    return Match((*match.pairs, *near.pairs), near.only_reference, near.only_other)


def match_accuracy(reference: ComparedRun, other: ComparedRun) -> Match[AccuracyResult]:
    """Pair the accuracies of two runs by features, what the head was fitted on, and head."""
    return _match(reference.accuracy, other.accuracy, entry_name)


def _match(
    reference: Sequence[_T],
    other: Sequence[_T],
    key: Callable[[_T], Hashable],
    *,
    unique: bool = False,
) -> Match[_T]:
    """Pair by *key*; with *unique* only where neither run has another result of the same key."""
    n_reference, n_other = _counts(reference, key), _counts(other, key)
    partners = {
        key(two): two
        for two in other
        if not unique or (n_other[key(two)] == 1 and n_reference.get(key(two)) == 1)
    }
    pairs = tuple((one, partners[key(one)]) for one in reference if key(one) in partners)
    shared = {key(one) for one, _ in pairs}
    return Match(
        pairs,
        tuple(one for one in reference if key(one) not in shared),
        tuple(two for two in other if key(two) not in shared),
    )


def _counts(results: Sequence[_T], key: Callable[[_T], Hashable]) -> dict[Hashable, int]:
    counts: dict[Hashable, int] = {}
    for result in results:
        counts[key(result)] = counts.get(key(result), 0) + 1
    return counts
