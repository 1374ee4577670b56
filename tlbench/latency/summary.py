"""Percentiles of a timing: only those that its number of samples supports."""

from collections.abc import Sequence

from tlbench.results.records import Percentile
from tlbench.stats import percentile, samples_needed

__all__ = ["REPORTED", "summarise_percentiles"]

REPORTED = (0.5, 0.9, 0.95, 0.99)


def summarise_percentiles(samples_s: Sequence[float]) -> tuple[Percentile, ...]:
    """Return the reported percentiles; without a value where there are too few samples."""
    return tuple(
        Percentile(
            fraction=fraction,
            value_s=percentile(samples_s, fraction) if len(samples_s) >= needed else None,
            n_needed=needed,
            n_samples=len(samples_s),
        )
        for fraction in REPORTED
        for needed in [samples_needed(fraction)]
    )
