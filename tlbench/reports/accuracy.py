"""Accuracy on the test split as rows of text: the answer, and the figures behind it."""

from collections.abc import Iterable, Sequence

from tlbench.core.units import (
    format_count,
    format_p,
    format_percent,
    format_points,
    format_seconds,
)
from tlbench.records import (
    AccuracyResult,
    ComparedAccuracy,
    DatasetInfo,
    GroupedScore,
    Interval,
    PairedDifference,
    RunResult,
    TrainingCost,
)
from tlbench.reports.base import Table, table

_N_WORST = 5
# Of McNemar's test, two-sided: above it the answer names neither side.
SIGNIFICANCE = 0.05
_BASELINES = {"pixels": "raw pixels", "hog": "HOG features"}


def format_interval(interval: Interval) -> str:
    """Return an interval of accuracies in percent: ``[85.1, 89.3]``."""
    return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def paired_cells(paired: PairedDifference) -> tuple[str, str, str]:
    """Return a difference in points, its interval, and the images lost and gained."""
    low, high = format_points(paired.interval.low), format_points(paired.interval.high)
    return (
        format_points(paired.difference_fraction),
        f"[{low}, {high}]",
        f"{paired.only_first_correct} / {paired.only_second_correct}",
    )


def answer_table(run: RunResult) -> Table:
    """Return the first head on the backbone and on baselines, and the time; each with a remark."""
    rows: list[tuple[str, str, str]] = []
    if first := _first(run.accuracy):
        same_head = [one for one in run.accuracy if one.head == first.head]
        baselines = [one for one in same_head if one.baseline]
        against = "; ".join(_against(first, one) for one in baselines)
        rows.append((f"{first.head} on backbone", _figure(first), against))
        others = [(f"fitted on {one.fitted_on}", one) for one in same_head if one.fitted_on]
        others += [(f"on {_title(one)}", one) for one in baselines]
        rows += [(f"{one.head} {where}", _figure(one), "") for where, one in others]
        single = next((result for result in run.latency if result.batch_size == 1), None)
        if single is not None:
            rows.append(("time per image", format_seconds(single.median_s), single.verdict or ""))
    return table("", "|>|", rows)


def _first(results: Iterable[AccuracyResult]) -> AccuracyResult | None:
    """Return the result of the head that was named first, on the backbone's own features."""
    # The best of several on the test images would look better there than on new images.
    return next((one for one in results if not one.baseline and not one.fitted_on), None)


def accuracy_cells(
    one: AccuracyResult | GroupedScore | ComparedAccuracy | TrainingCost,
) -> tuple[str, str]:
    """Return an accuracy and its interval."""
    return format_percent(one.accuracy_fraction), format_interval(one.interval)


def _figure(result: AccuracyResult) -> str:
    return " ".join(accuracy_cells(result))


def _title(result: AccuracyResult) -> str:
    return _BASELINES.get(result.features, result.features)


def _against(ours: AccuracyResult, other: AccuracyResult) -> str:
    """Return how far the backbone is above or below a baseline, if the paired test can tell."""
    points = 100 * (ours.accuracy_fraction - other.accuracy_fraction)
    if other.to_backbone is None:
        return f"{points:+.1f} points from {_title(other)}, not tested on the same images"
    if other.to_backbone.p_value > SIGNIFICANCE:
        return f"no clear difference from {_title(other)} ({points:+.1f} points)"
    return f"{abs(points):.1f} points {'above' if points > 0 else 'below'} {_title(other)}"


def _who(result: AccuracyResult) -> tuple[str, str]:
    """Return features and head; a star: the head was fitted on features of another precision."""
    return f"{result.features}*" if result.fitted_on else result.features, result.head


def accuracy_table(results: Iterable[AccuracyResult]) -> Table:
    """Return every head on every feature set."""
    rows = [
        (*_who(one), *accuracy_cells(one), format_seconds(one.fit_s), format_seconds(one.predict_s))
        for one in results
    ]
    return table("Accuracy", "features | head | >accuracy | >95 % interval | >fit | >predict", rows)


def baseline_table(results: Iterable[AccuracyResult]) -> Table:
    """Return what the backbone gains over each baseline with the same head, image by image."""
    rows = [
        (one.features, one.head, *paired_cells(one.to_backbone), format_p(one.to_backbone.p_value))
        for one in results
        if one.to_backbone
    ]
    columns = "over | head | >points | >95 % interval | >lost / gained | >p"
    return table("Gain of the backbone on the same images", columns, rows)


def answer_lines(results: Sequence[AccuracyResult]) -> list[str]:
    """Return how the head of the answer was chosen, and when a difference is clear."""
    first, lines = _first(results), []
    if first is not None and len({one.head for one in results}) > 1:
        lines.append(f"{first.head} was named first: the test images did not choose it.")
    if any(one.to_backbone for one in results):
        lines.append(
            "A difference from a baseline is clear if McNemar's exact test on the same images has "
            f"p of at most {SIGNIFICANCE:g}."
        )
    return lines


def search_table(results: Iterable[AccuracyResult]) -> Table:
    """Return the parameters that were chosen on held-out training images."""
    rows = [
        (
            *_who(one),
            f"{search.parameter}={search.chosen:.3g} of {len(search.values)} values"
            + (" (at the edge)" if search.at_edge else ""),
            format_percent(max(search.n_correct) / search.n_validation),
            format_seconds(search.elapsed_s),
        )
        for one in results
        if (search := one.search)
    ]
    columns = "features | head | chosen | >validation accuracy | >time"
    return table("Parameter search", columns, rows)


def metrics_table(results: Iterable[AccuracyResult]) -> Table:
    """Return macro F1, top-5 and calibration error; columns that no head fills are left out."""
    measured = [(one, one.metrics) for one in results if one.metrics]
    figures: dict[str, list[float | None]] = {
        "macro F1": [metrics.macro_f1_fraction for _, metrics in measured],
        "top-5": [metrics.top5_fraction for _, metrics in measured],
        "calibration error": [metrics.calibration_error_fraction for _, metrics in measured],
    }
    shown = {name: column for name, column in figures.items() if set(column) - {None}}
    cells = [["-" if x is None else format_percent(x) for x in xs] for xs in shown.values()]
    rows = [
        (*_who(one), *row) for (one, _), row in zip(measured, zip(*cells, strict=True), strict=True)
    ]
    return table("Metrics", " | >".join(["features | head", *shown]), rows)


def grouped_table(results: Iterable[AccuracyResult]) -> Table:
    """Return the accuracies of groups of classes, for example coarse labels from fine ones."""
    rows = [
        (*_who(one), group.grouping, format_count(group.n_groups), *accuracy_cells(group))
        for one in results
        for group in one.grouped
    ]
    columns = "features | head | grouping | >groups | >accuracy | >95 % interval"
    return table("Accuracy by group", columns, rows)


def unused_lines(dataset: DatasetInfo | None) -> list[str]:
    """Return a line for each reason for which files of the dataset were not used."""
    return [str(one) for one in dataset.unused] if dataset else []


def lowest_recall(results: Iterable[AccuracyResult], classes: Sequence[str]) -> list[str]:
    """Return a line with the five classes that the first head finds least often.

    Nothing where there are no more than five, or no counts.
    """
    first = _first(one for one in results if one.per_class)
    if first is None or len(classes) <= _N_WORST:
        return []
    found = [
        (fraction, name)
        for name, score in zip(classes, first.per_class, strict=False)
        if (fraction := score.accuracy_fraction) is not None
    ]
    worst = sorted(found, key=lambda pair: pair[0])[:_N_WORST]
    listed = ", ".join(f"class {name}: {format_percent(fraction)}" for fraction, name in worst)
    return [f"{listed} ({first.head})"] if worst else []
