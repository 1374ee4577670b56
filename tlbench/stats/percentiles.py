"""Percentiles of latency samples, and how many samples each needs."""

from collections.abc import Sequence
from functools import cache

from tlbench.errors import ConfigError

__all__ = ["percentile", "samples_needed"]


@cache
def samples_needed(fraction: float, confidence: float = 0.99) -> int:
    """Smallest number of samples that supports a percentile.

    Parameters
    ----------
    fraction : float
        The percentile as a fraction: 0.99 for p99.
    confidence : float
        Wanted confidence that the true percentile lies at or below the second largest sample.

    Returns
    -------
    int
        64 for p90, 130 for p95, 662 for p99 at 99 % confidence.

    Notes
    -----
    With n independent samples, the number K above the true percentile is binomial(n, 1 - fraction).
    The second largest sample bounds the percentile when K >= 2, so n must satisfy P(K <= 1) <= 1 -
    confidence. This is the early-stopping rule of MLPerf Inference with one discarded query.
    """
    if not 0 < fraction < 1:
        msg = f"A percentile is a fraction between 0 and 1, not {fraction}."
        raise ConfigError(msg)
    tail, n = 1 - fraction, 2
    while fraction**n + n * tail * fraction ** (n - 1) > 1 - confidence:
        n += 1
    return n


def percentile(samples: Sequence[float], fraction: float) -> float:
    """Return the nearest-rank percentile: the smallest sample not exceeded by *fraction* of all.

    It is always one of the samples (NIST's and Hyndman and Fan's definition 1), unlike numpy's
    interpolated default, so it cannot lie between two modes of a bimodal distribution.
    """
    if not samples:
        msg = "No percentile of no samples."
        raise ConfigError(msg)
    ordered = sorted(samples)
    # The smallest rank r with r / n >= fraction; the tolerance undoes float noise such as 0.9 * 10
    # = 9.000000000000002.
    rank = max(1, -int(-(fraction * len(ordered) - 1e-9) // 1))
    return ordered[rank - 1]
