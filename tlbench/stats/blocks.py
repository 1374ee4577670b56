"""The ratio of two latencies from paired blocks, with its interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError
from tlbench.stats.samples import Series, checked_samples, require_fraction

# Up to here the null distribution is counted out; its counts, at most 2**50, are exact in int64.
_MOST_EXACT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioEstimate:
    """A ratio of two latencies and its confidence interval.

    ``low`` and ``high`` are None where there are too few blocks for the wanted confidence, which is
    ``confidence_fraction``.
    """

    ratio: float
    low: float | None
    high: float | None
    n_blocks: int
    confidence_fraction: float


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], *, confidence: float = 0.95
) -> RatioEstimate:
    """Estimate the ratio of two latencies from blocks measured next to one another.

    Parameters
    ----------
    numerators, denominators : sequence of float, shape (n_blocks,)
        Median latency of each block, in one unit; block i of both was measured at nearly the same
        time. What slows the machine for both then cancels in their ratio.
    confidence : float
        Least two-sided coverage, a fraction in (0, 1).

    Returns
    -------
    RatioEstimate
        Without ends where there are too few blocks: fewer than 6 at 95 %.

    Raises
    ------
    ConfigError
        If the lists differ in length or are empty, if a number is not finite or not above zero, or
        if the confidence is outside (0, 1).

    Notes
    -----
    With d_i the logarithm of the ratio of block i, the estimate is exp of the median of all Walsh
    averages (d_i + d_j) / 2, i <= j: Hodges and Lehmann (1963), doi:10.1214/aoms/1177704172. The
    ends are the k-th smallest and k-th largest Walsh average, k being the largest with
    P(W < k) <= (1 - confidence) / 2 for Wilcoxon's signed-rank statistic W: Tukey's inversion of
    the test, in Hollander, Wolfe and Chicken (2014), section 3.3, doi:10.1002/9781119196037. The
    distribution of W is exact up to 50 blocks and normal, with a correction for continuity, above.

    It assumes that the d_i are independent and symmetric about one value. Two series whose
    distributions differ by a factor only meet this whatever their shape, since exchanging the two
    blocks of a pair changes nothing but the sign around the log ratio. If shapes differ, the
    estimate is of the ratio of typical block medians, and that is the ratio of the medians as far
    as the medians of blocks are symmetric about them: blocks must then be long enough.

    Time and memory grow with the square of n_blocks.
    """
    require_fraction(confidence, "A confidence")
    above, below = checked_samples(numerators), checked_samples(denominators)
    if above.size != below.size:
        msg = (
            f"Blocks come in pairs: found {above.size} numerators and {below.size} denominators. "
            "Leave out a block that has no partner."
        )
        raise ConfigError(msg)
    logs = _log(above, "numerator") - _log(below, "denominator")
    rows, columns = np.triu_indices(logs.size)
    averages = np.sort((logs[rows] + logs[columns]) / 2)
    depth = _depth(logs.size, confidence)
    return RatioEstimate(
        ratio=math.exp(np.median(averages)),
        low=math.exp(averages[depth - 1]) if depth else None,
        high=math.exp(averages[-depth]) if depth else None,
        n_blocks=logs.size,
        confidence_fraction=confidence,
    )


def _log(series: Series, what: str) -> Series:
    """Return the logarithms of latencies, which are above zero."""
    if series.min() <= 0:
        worst = int(series.argmin())
        msg = (
            f"A ratio of latencies needs latencies above zero; found {what} {series[worst]} in "
            f"block {worst}. If the clock is too coarse for one call, time several calls together."
        )
        raise ConfigError(msg)
    return np.log(series)


@lru_cache(maxsize=256)
def _depth(n: int, confidence: float) -> int:
    """Return how far from either end of the sorted Walsh averages the interval ends; 0 for never.

    That is the largest k with P(W < k) <= (1 - confidence) / 2.
    """
    # The tolerance undoes rounding where the two are equal, as for 6 blocks at 1 - 2 / 2**6.
    tail = (1 - confidence) / 2 + 1e-12
    if n > _MOST_EXACT:
        mean = n * (n + 1) / 4
        deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        # P(W <= k - 1) is the normal probability below k - 1/2.
        return max(0, math.floor(mean + 0.5 + deviation * NormalDist().inv_cdf(tail)))
    return int(np.searchsorted(np.cumsum(_signed_rank_counts(n)) / 2**n, tail, side="right"))


def _signed_rank_counts(n: int) -> NDArray[np.int64]:
    """Return in how many of the 2**n patterns of signs the positive ranks sum to 0, 1, 2, ...

    Rank r is either left out of the sum or adds r to it, so that each rank adds a shifted copy.
    """
    counts = np.zeros(n * (n + 1) // 2 + 1, dtype=np.int64)
    counts[0] = 1
    for rank in range(1, n + 1):
        counts[rank:] += counts[:-rank].copy()
    return counts
