"""What a reader of the result must know before believing more than it says."""

from collections.abc import Sequence

from tlbench.core.units import format_count
from tlbench.model import FULL_PRECISION
from tlbench.records import (
    AccuracyResult,
    CrossValidation,
    DatasetInfo,
    ExtractionResult,
    LatencyRatio,
    LatencyResult,
    LearningCurve,
)
from tlbench.workflows.config import RunConfig

_MANY_IMAGES = 10_000


def run_warnings(
    config: RunConfig,
    dataset: DatasetInfo | None,
    unlearnable: Sequence[str],
    accuracy: Sequence[AccuracyResult],
    passes: Sequence[ExtractionResult | LatencyResult],
    *,
    ratios: Sequence[LatencyRatio] = (),
    about_data: Sequence[str] = (),
    protocols: Sequence[CrossValidation | LearningCurve] = (),
    is_limited: bool = False,
) -> tuple[str, ...]:
    """Return the warnings of a run, one sentence each, most important first.

    *about_data* are those about the data; *is_limited* says whether a limit left images out.
    """
    found: list[str] = [*about_data]
    if dataset is not None:
        found += _about_data(dataset, unlearnable, is_limited=is_limited)
    if accuracy:
        found += _about_accuracy(accuracy)
        found += _left_out(accuracy)
    found += [
        f"{'folds' if isinstance(one, CrossValidation) else 'curve'} of {one.head} on "
        f"{one.features}: {note}"
        for one in protocols
        for note in one.notes
    ]
    if config.precision != FULL_PRECISION:
        found += [_about_speed(ratio) for ratio in ratios if _is_slower(ratio)]
    found += _elsewhere(config, passes)
    return tuple(found)


def _elsewhere(
    config: RunConfig, passes: Sequence[ExtractionResult | LatencyResult]
) -> dict[str, None]:
    """Return which operators of which model another provider ran than the one asked for."""
    operators: dict[tuple[str, str, str], dict[str, None]] = {}
    for one in passes:
        if one.placement is None:
            continue
        # One of several models was asked to run on a provider of its own.
        label, wanted = (one.label, one.provider) if one.label else ("", config.provider)
        for provider, names in one.placement.operators.items():
            operators.setdefault((label, wanted, provider), {}).update(dict.fromkeys(names))
    return dict.fromkeys(
        f"{label}{': ' if label else ''}{', '.join(names)} ran on {provider}, not on {wanted}"
        for (label, wanted, provider), names in operators.items()
    )


def _is_slower(ratio: LatencyRatio) -> bool:
    return ratio.interval is not None and ratio.interval.low > 1


def _about_speed(ratio: LatencyRatio) -> str:
    assert ratio.interval is not None
    return (
        f"{ratio.label} is slower than {ratio.reference} on this machine: {ratio.ratio:.2f} times "
        f"the time [{ratio.interval.low:.2f}, {ratio.interval.high:.2f}] for one image, in turns"
    )


def _about_data(dataset: DatasetInfo, unlearnable: Sequence[str], *, is_limited: bool) -> list[str]:
    found = []
    if dataset.skipped:
        first = dataset.skipped[0]
        found.append(
            f"{len(dataset.skipped)} unreadable images were left out, the first: {first.reason}"
        )
    if unlearnable:
        shown = ", ".join(unlearnable[:3]) + (", ..." if len(unlearnable) > 3 else "")  # noqa: PLR2004
        found.append(
            f"{len(unlearnable)} classes have no training image ({shown}): no head can find them"
        )
    if is_limited:
        found.append(
            f"limited to {format_count(dataset.n_train)} train and "
            f"{format_count(dataset.n_test)} test images: not the whole of {dataset.name}"
        )
    return found


def _about_accuracy(accuracy: Sequence[AccuracyResult]) -> list[str]:
    found = []
    n_test = accuracy[0].n_test
    if n_test < _MANY_IMAGES:
        points = 50 * max(result.interval.high - result.interval.low for result in accuracy)
        found.append(
            f"{format_count(n_test)} test images: an accuracy is known to about "
            f"±{points:.1f} points; smaller differences are noise"
        )
    found += [
        f"{result.head} on {result.features}: {note}"
        for result in accuracy
        for note in result.notes
    ]
    if other := next((result.fitted_on for result in accuracy if result.fitted_on), None):
        found.append(
            f"backbone*: the head was fitted on {other} features, and tested on these; without "
            "the star it was fitted on features of this precision"
        )
    if any(result.from_store for result in accuracy):
        found.append(
            "heads fitted in an earlier run were not fitted again: their times are its times"
        )
    return found


def _left_out(accuracy: Sequence[AccuracyResult]) -> list[str]:
    """Return a line for each head that was fitted on some of the features only."""
    sets = {result.features: None for result in accuracy}
    heads = {result.head: None for result in accuracy}
    fitted = {(result.head, result.features) for result in accuracy}
    missing = {head: [kind for kind in sets if (head, kind) not in fitted] for head in heads}
    return [
        f"{head} was not fitted on {' and '.join(sets)} features: it needs a map, not a vector"
        for head, sets in missing.items()
        if sets
    ]
