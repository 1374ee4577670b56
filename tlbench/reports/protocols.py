"""Protocols besides the hold-out, as rows of text."""

from collections.abc import Sequence
from statistics import mean, stdev

from tlbench.core.units import format_count, format_percent, format_seconds
from tlbench.records import CrossValidation, LearningCurve, LearningPoint, Search
from tlbench.reports.tables import Table, format_interval


def cross_validation_table(results: Sequence[CrossValidation]) -> Table:
    """Return mean and deviation over folds, as papers print them, and the interval of the mean."""
    return Table(
        "Folds",
        ("features", "head", "mean ± deviation", "95 % interval", "folds"),
        (False, False, True, True, True),
        tuple(
            (
                result.features,
                result.head,
                _figure(result.mean_fraction, result.deviation_fraction),
                format_interval(result.interval),
                format_count(len(result.folds)),
            )
            for result in results
        ),
    )


def learning_curve_table(results: Sequence[LearningCurve]) -> Table:
    """Return mean and deviation over the draws for each number of images of a class."""
    return Table(
        "Curve",
        ("features", "head", "images a class", "mean ± deviation", "draws"),
        (False, False, True, True, True),
        tuple(
            (
                result.features if not row else "",
                result.head if not row else "",
                format_count(size),
                _mean_and_deviation([one for one in result.points if one.images_per_class == size]),
                format_count(sum(one.images_per_class == size for one in result.points)),
            )
            for result in results
            for row, size in enumerate(sorted({one.images_per_class for one in result.points}))
        ),
    )


def inner_search_table(folds: Sequence[CrossValidation], curves: Sequence[LearningCurve]) -> Table:
    """Return what the searches inside folds and inside points of a curve chose."""
    rows = [
        (one, f"{len(one.folds)} folds", [fold.search for fold in one.folds]) for one in folds
    ] + [
        (
            one,
            f"{format_count(size)} a class",
            [point.search for point in one.points if point.images_per_class == size],
        )
        for one in curves
        for size in sorted({point.images_per_class for point in one.points})
    ]
    return Table(
        "Searches",
        ("features", "head", "each of", "chosen", "took, all"),
        (False, False, False, False, True),
        tuple(
            (
                one.features,
                one.head,
                where,
                _chosen(searches),
                format_seconds(sum(search.elapsed_s for search in searches)),
            )
            for one, where, found in rows
            if (searches := [search for search in found if search is not None])
        ),
    )


def _chosen(searches: Sequence[Search]) -> str:
    values = [search.chosen for search in searches]
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return f"{searches[0].parameter}={low}" + (f" to {high}" if high != low else "")


def _mean_and_deviation(points: Sequence[LearningPoint]) -> str:
    accuracies = [point.n_correct / point.n_test for point in points]
    return _figure(mean(accuracies), stdev(accuracies) if len(accuracies) > 1 else None)


def _figure(middle: float, deviation: float | None) -> str:
    if deviation is None:
        return format_percent(middle, 2)
    return f"{100 * middle:.2f} ± {format_percent(deviation, 2)}"
