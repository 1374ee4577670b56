"""Percentiles and the interval of a timing: only what its number of samples supports."""

from collections.abc import Sequence

from tlbench.records import Interval, Percentile
from tlbench.stats import autocorrelation, percentile, quantile_interval, samples_needed

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


def summarise_median(samples_s: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of the median, or None where the samples do not reach it.

    Order statistics, so no distribution is assumed; where neighbouring samples are found to
    resemble one another, their number is divided by the autocorrelation time first.
    """
    series = autocorrelation(samples_s)
    inflation = series.inflation if series.detected else 1.0
    found = quantile_interval(samples_s, inflation=inflation)
    if found is None:
        return None
    method = "order statistics"
    if inflation > 1:
        method += f", {len(samples_s) / inflation:.0f} effective samples"
    return Interval(low=found[0], high=found[1], method=method)
