"""Order statistics of latencies: percentiles, their intervals, and ratios of paired blocks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError

Series: TypeAlias = NDArray[np.float64]
"""One number per call, shape (n_samples,), in the order measured."""

# Up to here the null distribution is counted (at most 2**50: exact in int64); above it is normal.
_MOST_EXACT = 50


def require_fraction(value: float, name: str) -> None:
    """Raise ConfigError unless the parameter *name* has a *value* strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ConfigError(f"{name} must be between 0 and 1, got {value}.")


def checked_samples(samples: Sequence[float]) -> Series:
    """Return the samples as float64; raise ConfigError if there are none or one is not finite."""
    series = np.asarray(samples, dtype=np.float64)
    if series.ndim != 1 or not series.size:
        msg = f"Samples must be a flat list of at least one number; found shape {series.shape}."
        raise ConfigError(msg)
    unusable = np.flatnonzero(~np.isfinite(series))
    if unusable.size:
        first = unusable[0]
        raise ConfigError(
            f"{unusable.size} of {series.size} samples are not finite numbers; the first is "
            f"{series[first]} at position {first}. Leave out failed calls."
        )
    return series


def first_number(suffices: Callable[[int], bool], too_few: int, enough: int) -> int:
    """Return by bisection the first number that suffices; it lies in (too_few, enough]."""
    while enough - too_few > 1:
        between = (too_few + enough) // 2
        if suffices(between):
            enough = between
        else:
            too_few = between
    return enough


def nearest_rank(n: int, fraction: float) -> int:
    """Return the smallest rank r, from 1, with r / n >= fraction."""
    # The tolerance undoes rounding: 0.28 * 25 = 7.000000000000001, 0.55 * 100 = 55.00000000000001.
    return max(1, math.ceil(fraction * n - 1e-9))


def binomial_pmf(counts: NDArray[np.int64], n: int, fraction: float) -> Series:
    """Return P(K = count) for K binomial(n, fraction)."""
    # scipy.stats has it too, but takes long to import, and `tlbench gate` must start fast.
    from scipy.special import gammaln, xlog1py, xlogy

    logs = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
    chances: Series = np.exp(logs + xlogy(counts, fraction) + xlog1py(n - counts, -fraction))
    return chances


@cache
def samples_needed(fraction: float, confidence: float = 0.99) -> int:
    """Return the smallest number of samples that supports a percentile.

    The early-stopping rule of MLPerf Inference with one discarded query: of n samples, at most one
    is above the true percentile with a probability of at most 1 - confidence.
    """
    require_fraction(fraction, "fraction")
    require_fraction(confidence, "confidence")

    def suffices(n: int) -> bool:
        return fraction**n + n * (1 - fraction) * fraction ** (n - 1) <= 1 - confidence

    enough = 2
    while not suffices(enough):
        enough *= 2
    return first_number(suffices, enough // 2, enough)


def percentile(samples: Sequence[float], fraction: float) -> float:
    """Return the nearest-rank percentile: the smallest sample not exceeded by *fraction* of all.

    Definition 1 of Hyndman and Fan (1996), doi:10.2307/2684934. Unlike numpy's interpolated default
    it cannot lie between two modes of a bimodal distribution.
    """
    require_fraction(fraction, "fraction")
    if not samples:
        raise ConfigError("A percentile needs samples; found no samples.")
    if any(math.isnan(sample) for sample in samples):
        raise ConfigError("The samples are not all numbers. Leave out failed calls.")
    return sorted(samples)[nearest_rank(len(samples), fraction) - 1]


def quantile_interval(
    samples: Sequence[float],
    fraction: float = 0.5,
    *,
    confidence: float = 0.95,
    inflation: float = 1.0,
) -> tuple[float, float] | None:
    """Return the confidence interval of a quantile, whatever the shape of the distribution.

    Of n independent samples, the number K at or below the quantile is binomial(n, fraction), so
    that P(x_(l) <= quantile <= x_(u)) >= P(l <= K < u): David and Nagaraja (2003), Order
    Statistics, section 7.1, doi:10.1002/0471722162. The values of K are added from the likeliest
    outwards until they reach the confidence, which wastes less coverage than symmetric ranks. With
    an inflation, the ranks of the effective sample size m are stretched by (n + 1) / (m + 1).

    Parameters
    ----------
    samples : sequence of float, shape (n_samples,)
        In any order and any unit.
    fraction, confidence : float
        The quantile (0.5 for the median) and the least two-sided coverage, both in (0, 1).
    inflation : float
        Factor, at least 1, by which dependence between samples inflates the variance of the sample
        quantile: see `autocorrelation_time`.

    Returns
    -------
    tuple of float, or None
        Low and high end, both of them samples. None if no pair of samples around the sample
        quantile has the confidence, as for the median of five samples at 95 %.

    Raises
    ------
    ConfigError
        If there are no samples, one is not finite, or the inflation is below 1.
    """
    require_fraction(fraction, "fraction")
    require_fraction(confidence, "confidence")
    if not 1 <= inflation < math.inf:
        raise ConfigError(f"inflation must be a number of at least 1, got {inflation}.")
    ordered = np.sort(checked_samples(samples))
    n_effective = int(ordered.size / inflation)
    ranks = _ranks(n_effective, fraction, confidence)
    if ranks is None:
        return None
    # In integers: the stretched ranks must not gain a rank from rounding.
    low = ranks[0] * (ordered.size + 1) // (n_effective + 1)
    high = -(-ranks[1] * (ordered.size + 1) // (n_effective + 1))
    return float(ordered[low - 1]), float(ordered[high - 1])


@lru_cache(maxsize=256)
def _ranks(n: int, fraction: float, confidence: float) -> tuple[int, int] | None:
    """Return the ranks, from 1, of the two samples around the quantile; None if there are none."""
    # K = 0 and K = n lie beyond the smallest and the largest sample: no pair of samples has them.
    # If one of them is the likeliest, no pair lies around the sample quantile either.
    first = last = int((n + 1) * fraction)
    if not 1 <= first <= n - 1:
        return None
    chances = binomial_pmf(np.arange(n + 1), n, fraction).tolist()
    covered = chances[first]
    while covered < confidence:
        below = chances[first - 1] if first > 1 else 0.0
        above = chances[last + 1] if last < n - 1 else 0.0
        if below == above == 0:
            return None
        # Of two equal chances (up to rounding) the upper: the interval then errs towards slowness.
        if below > above * (1 + 1e-9):
            first -= 1
            covered += below
        else:
            last += 1
            covered += above
    return first, last + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioEstimate:
    """A ratio of two latencies and its interval, without ends if there are too few blocks."""

    ratio: float
    low: float | None
    high: float | None
    n_blocks: int
    confidence_fraction: float


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], *, confidence: float = 0.95
) -> RatioEstimate:
    """Return the ratio of two latencies that were measured in alternating blocks.

    With d_i the logarithm of the ratio of block i, the estimate is exp of the median of all Walsh
    averages (d_i + d_j) / 2, i <= j: Hodges and Lehmann (1963), doi:10.1214/aoms/1177704172. The
    ends are the k-th smallest and k-th largest Walsh average, with the largest k that has
    P(W < k) <= (1 - confidence) / 2 for Wilcoxon's signed-rank statistic W: Hollander, Wolfe and
    Chicken (2014), section 3.3, doi:10.1002/9781119196037. The d_i must be independent and
    symmetric about one value, as those of two distributions that differ only by a factor are.
    """
    require_fraction(confidence, "confidence")
    above, below = checked_samples(numerators), checked_samples(denominators)
    if above.size != below.size:
        raise ConfigError(
            f"Blocks come in pairs: found {above.size} numerators and {below.size} denominators. "
            "Leave out a block that has no partner."
        )
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
    if series.min() <= 0:
        worst = int(series.argmin())
        raise ConfigError(
            f"A ratio of latencies needs latencies above zero; found {what} {series[worst]} in "
            f"block {worst}. If the clock is too coarse for one call, time several calls together."
        )
    return np.log(series)


@lru_cache(maxsize=256)
def _depth(n: int, confidence: float) -> int:
    """Return the largest k with P(W < k) <= (1 - confidence) / 2; 0 if there is none."""
    # The tolerance undoes rounding where the two are equal, as for 6 blocks at 1 - 2 / 2**6.
    tail = (1 - confidence) / 2 + 1e-12
    if n > _MOST_EXACT:
        deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        # P(W <= k - 1) is the normal probability below k - 1/2.
        return max(0, math.floor(n * (n + 1) / 4 + 0.5 + deviation * NormalDist().inv_cdf(tail)))
    # In how many of the 2**n patterns of signs the positive ranks sum to 0, 1, 2, ...: each rank is
    # either left out of the sum or added to it.
    counts = np.zeros(n * (n + 1) // 2 + 1, dtype=np.int64)
    counts[0] = 1
    for rank in range(1, n + 1):
        counts[rank:] += counts[:-rank].copy()
    return int(np.searchsorted(np.cumsum(counts) / 2**n, tail, side="right"))
