"""What lies behind an accuracy, as rows of text."""

from collections.abc import Sequence

from tlbench.core.units import format_count, format_percent, format_seconds
from tlbench.records import AccuracyResult
from tlbench.reports.tables import Table, format_interval

_N_WORST = 5
_ABSENT = "-"


def metrics_table(results: Sequence[AccuracyResult]) -> Table:
    """Return macro F1, top-5 and calibration error; columns that no head fills are left out."""
    measured = [(result, result.metrics) for result in results if result.metrics]
    figures: dict[str, list[float | None]] = {
        "macro F1": [one.macro_f1_fraction for _, one in measured],
        "top-5": [one.top5_fraction for _, one in measured],
        "calibration error": [one.calibration_error_fraction for _, one in measured],
    }
    shown = {
        name: column
        for name, column in figures.items()
        if any(figure is not None for figure in column)
    }
    return Table(
        "Metrics",
        ("features", "head", *shown),
        (False, False, *(True for _ in shown)),
        tuple(
            (_features(result), result.head, *(_percent(column[row]) for column in shown.values()))
            for row, (result, _) in enumerate(measured)
        ),
    )


def grouped_table(results: Sequence[AccuracyResult]) -> Table:
    """Return the accuracies of groups of classes, for example coarse labels from fine ones."""
    return Table(
        "Groups",
        ("features", "head", "grouping", "groups", "accuracy", "95 % interval"),
        (False, False, False, True, True, True),
        tuple(
            (
                _features(result),
                result.head,
                group.grouping,
                format_count(group.n_groups),
                format_percent(group.accuracy_fraction),
                format_interval(group.interval),
            )
            for result in results
            for group in result.grouped
        ),
    )


def search_table(results: Sequence[AccuracyResult]) -> Table:
    """Return the parameters that were chosen on held-out training images."""
    return Table(
        "Search",
        ("features", "head", "chosen", "validation", "took"),
        (False, False, False, True, True),
        tuple(
            (
                _features(result),
                result.head,
                f"{search.parameter}={search.chosen:.3g} of {len(search.values)}"
                + (" (edge)" if search.at_edge else ""),
                format_percent(max(search.n_correct) / search.n_validation),
                format_seconds(search.elapsed_s),
            )
            for result in results
            if (search := result.search)
        ),
    )


def worst_classes(results: Sequence[AccuracyResult], classes: Sequence[str]) -> str | None:
    """Return the five classes that the best head on the backbone finds least often, in a line.

    None where there are no more than five, or no counts: those of every class are in ``run.json``.
    """
    ours = [r for r in results if not r.baseline and not r.fitted_on and r.per_class]
    if not ours or len(classes) <= _N_WORST:
        return None
    best = max(ours, key=lambda result: result.accuracy_fraction)
    found = [
        (fraction, name)
        for name, score in zip(classes, best.per_class, strict=False)
        if (fraction := score.accuracy_fraction) is not None
    ]
    worst = sorted(found, key=lambda pair: pair[0])[:_N_WORST]
    listed = ", ".join(f"{format_percent(fraction)} of {name}" for fraction, name in worst)
    return f"{best.head} finds {listed}" if worst else None


def _features(result: AccuracyResult) -> str:
    return f"{result.features}*" if result.fitted_on else result.features


def _percent(fraction: float | None) -> str:
    return _ABSENT if fraction is None else format_percent(fraction)
