"""Percentiles of latency samples, and how many samples each needs."""

import math
from collections.abc import Sequence
from functools import cache

from tlbench.core.errors import ConfigError
from tlbench.stats.samples import require_fraction


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

    Raises
    ------
    ConfigError
        If the percentile or the confidence is not strictly between 0 and 1.

    Notes
    -----
    With n independent samples, the number K above the true percentile is binomial(n, 1 - fraction).
    The second largest sample bounds the percentile when K >= 2, so n must satisfy P(K <= 1) <= 1 -
    confidence. This is the early-stopping rule of MLPerf Inference with one discarded query.
    """
    require_fraction(fraction, "A percentile")
    require_fraction(confidence, "A confidence")

    def suffices(n: int) -> bool:
        return fraction**n + n * (1 - fraction) * fraction ** (n - 1) <= 1 - confidence

    # P(K <= 1) falls as n grows, so that doubling and halving find the first n that suffices.
    enough = 2
    while not suffices(enough):
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        between = (enough + too_few) // 2
        if suffices(between):
            enough = between
        else:
            too_few = between
    return enough


def percentile(samples: Sequence[float], fraction: float) -> float:
    """Return the nearest-rank percentile: the smallest sample not exceeded by *fraction* of all.

    It is always one of the samples (NIST's and Hyndman and Fan's definition 1), unlike numpy's
    interpolated default, so it cannot lie between two modes of a bimodal distribution.

    Parameters
    ----------
    samples : sequence of float
        In any order and any unit; not changed.
    fraction : float
        The percentile as a fraction: 0.99 for p99.

    Returns
    -------
    float
        One of the samples.

    Raises
    ------
    ConfigError
        If there are no samples, if one is not a number, or if the fraction is not strictly between
        0 and 1.
    """
    require_fraction(fraction, "A percentile")
    if not samples:
        msg = "No percentile of no samples."
        raise ConfigError(msg)
    if any(math.isnan(sample) for sample in samples):
        msg = "No percentile of samples that are not all numbers: leave failed calls out first."
        raise ConfigError(msg)
    ordered = sorted(samples)
    # The smallest rank r with r / n >= fraction; the tolerance undoes float noise such as 0.9 * 10
    # = 9.000000000000002.
    rank = max(1, -int(-(fraction * len(ordered) - 1e-9) // 1))
    return ordered[rank - 1]
