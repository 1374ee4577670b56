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
    if first := first_result(run.accuracy):
        same_head = [one for one in run.accuracy if one.head == first.head]
        baselines = [one for one in same_head if one.baseline]
        against = "; ".join(against_baseline(first, one) for one in baselines)
        rows.append((f"{first.head} on backbone", _figure(first), against))
        others = [(f"fitted on {one.fitted_on}", one) for one in same_head if one.fitted_on]
        others += [(f"on {title_of(one)}", one) for one in baselines]
        rows += [(f"{one.head} {where}", _figure(one), "") for where, one in others]
        single = next((result for result in run.latency if result.batch_size == 1), None)
        if single is not None:
            rows.append(("time per image", format_seconds(single.median_s), single.verdict or ""))
    n_test = f"n = {format_count(first.n_test)} test images; " if first else ""
    note = f"{n_test}intervals in % are 95 % Wilson intervals; that of the time is under Speed."
    return table("", "|>|", rows, note)


def first_result(results: Iterable[AccuracyResult]) -> AccuracyResult | None:
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


def title_of(result: AccuracyResult) -> str:
    """Return what a result's features are called in a sentence: ``raw pixels``."""
    return _BASELINES.get(result.features, result.features)


def against_baseline(ours: AccuracyResult, other: AccuracyResult) -> str:
    """Return how far the backbone is above or below a baseline, if the paired test can tell."""
    points = 100 * (ours.accuracy_fraction - other.accuracy_fraction)
    if other.to_backbone is None:
        return f"{points:+.1f} points from {title_of(other)}, not tested on the same images"
    if other.to_backbone.p_value > SIGNIFICANCE:
        return f"no clear difference from {title_of(other)} ({points:+.1f} points)"
    return f"{abs(points):.1f} points {'above' if points > 0 else 'below'} {title_of(other)}"


def _who(result: AccuracyResult) -> tuple[str, str]:
    """Return features and head; a star: the head was fitted on features of another precision."""
    return f"{result.features}*" if result.fitted_on else result.features, result.head


def accuracy_table(results: Sequence[AccuracyResult]) -> Table:
    """Return every head on every feature set."""
    rows = [
        (*_who(one), *accuracy_cells(one), format_seconds(one.fit_s), format_seconds(one.predict_s))
        for one in results
    ]
    columns = "features | head | >accuracy | >95 % interval | >fit | >predict"
    note = f"{_images(results)}; 95 % Wilson intervals, in %; times of one fit: no interval."
    return table("Accuracy", columns, rows, note)


def baseline_table(results: Sequence[AccuracyResult]) -> Table:
    """Return what the backbone gains over each baseline with the same head, image by image."""
    rows = [
        (one.features, one.head, *paired_cells(one.to_backbone), format_p(one.to_backbone.p_value))
        for one in results
        if one.to_backbone
    ]
    columns = "over | head | >points | >95 % interval | >lost / gained | >p"
    note = f"{_images(results)}, each seen by both; p of McNemar's exact test."
    return table("Gain of the backbone on the same images", columns, rows, note)


def answer_lines(results: Sequence[AccuracyResult]) -> list[str]:
    """Return how the head of the answer was chosen, and when a difference is clear."""
    first, lines = first_result(results), []
    if first is not None and len({one.head for one in results}) > 1:
        lines.append(f"{first.head} was named first: the test images did not choose it.")
    if any(one.to_backbone for one in results):
        lines.append(
            "A difference from a baseline is clear if McNemar's exact test on the same images has "
            f"p of at most {SIGNIFICANCE:g}."
        )
    return lines


def search_table(results: Sequence[AccuracyResult]) -> Table:
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
    n_images = sorted({one.search.n_validation for one in results if one.search})
    note = (
        f"n = {' or '.join(map(format_count, n_images))} validation images, held out of the "
        "training images; the best of several values: no interval would be honest."
    )
    return table("Parameter search", columns, rows, note)


def metrics_table(results: Sequence[AccuracyResult]) -> Table:
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
    note = f"{_images(results)}; without intervals."
    return table("Metrics", " | >".join(["features | head", *shown]), rows, note)


def grouped_table(results: Sequence[AccuracyResult]) -> Table:
    """Return the accuracies of groups of classes, for example coarse labels from fine ones."""
    rows = [
        (*_who(one), group.grouping, format_count(group.n_groups), *accuracy_cells(group))
        for one in results
        for group in one.grouped
    ]
    columns = "features | head | grouping | >groups | >accuracy | >95 % interval"
    return table("Accuracy by group", columns, rows, f"{_images(results)}; 95 % Wilson intervals.")


def recall_table(run: RunResult) -> Table:
    """Return how often the first head found each class, and how often it was right to name it."""
    from tlbench.stats import wilson_interval  # it needs numpy, and tlbench list does not

    first = first_result(one for one in run.accuracy if one.per_class)
    classes = run.dataset.classes if run.dataset else ()
    rows = []
    for name, score in zip(classes, first.per_class if first else (), strict=False):
        recall = interval = "-"
        if score.n_test:
            low, high = wilson_interval(score.n_correct, score.n_test)
            recall = format_percent(score.n_correct / score.n_test)
            interval = f"[{100 * low:.1f}, {100 * high:.1f}]"
        precision = score.n_correct / score.n_predicted if score.n_predicted else None
        named = "-" if precision is None else format_percent(precision)
        counts = format_count(score.n_test), format_count(score.n_correct)
        rows.append((name, *counts, recall, interval, format_count(score.n_predicted), named))
    columns = "class | >images | >found | >recall | >95 % interval | >predicted | >precision"
    note = "n is in the column images; 95 % Wilson intervals of each class alone, in %."
    return table(
        f"Recall by class, {first.head}" if first else "Recall by class", columns, rows, note
    )


def _images(results: Sequence[AccuracyResult]) -> str:
    """Return ``n = 1,017 test images``."""
    found = sorted({one.n_test for one in results})
    return f"n = {' or '.join(map(format_count, found)) or '0'} test images"


def unused_lines(dataset: DatasetInfo | None) -> list[str]:
    """Return a line for each reason for which files of the dataset were not used."""
    return [str(one) for one in dataset.unused] if dataset else []


def lowest_recall(results: Iterable[AccuracyResult], classes: Sequence[str]) -> list[str]:
    """Return a line with the five classes that the first head finds least often.

    Nothing where there are no more than five, or no counts.
    """
    first = first_result(one for one in results if one.per_class)
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
