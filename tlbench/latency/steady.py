"""Whether a timing has seen enough of an unsteady machine to be summed up."""

from collections.abc import Sequence

from tlbench.stats import autocorrelation, samples_needed, trend

# At a significance of 0.1 % no order of fewer samples is a trend.
ORDERED = 12


def looks_steady(samples_s: Sequence[float]) -> bool:
    """Tell whether the samples have no trend, and enough effective ones for a median.

    Slow and fast phases of a shared machine look like a trend, or like very few samples, until the
    measurement has seen several of them. A machine that really drifts never looks steady.
    """
    if len(samples_s) < ORDERED:
        return True  # nothing can be told; the verdict says so
    series = autocorrelation(samples_s)
    effective = len(samples_s) / (series.inflation if series.detected else 1.0)
    return effective >= samples_needed(0.5) and not trend(samples_s).detected
