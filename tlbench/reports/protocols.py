"""Protocols besides the hold-out, as rows of text."""

from collections.abc import Sequence

from tlbench.reports.tables import Table, format_interval
from tlbench.results.accuracy import CrossValidation
from tlbench.units import format_count, format_percent

__all__ = ["cross_validation_table"]


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
                _mean_and_deviation(result),
                format_interval(result.interval),
                format_count(len(result.folds)),
            )
            for result in results
        ),
    )


def _mean_and_deviation(result: CrossValidation) -> str:
    return f"{100 * result.mean_fraction:.2f} ± {format_percent(result.deviation_fraction, 2)}"
