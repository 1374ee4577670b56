"""Whether the samples of a run depend on one another: autocorrelation and trend."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tlbench.core.errors import ConfigError
from tlbench.stats.quantiles import Series, checked_samples, nearest_rank, require_fraction

# One-sided: half of the one per cent of false alarms that a run may have.
_AUTOCORRELATION_SIGNIFICANCE = 0.005

# Theil and Sen's slope compares every pair: 4,950 of 100 blocks, however many samples.
_SLOPE_BLOCKS = 100

# A variance of ranks or indicators, or a sum of two correlations, up to this is zero: the Fourier
# transform leaves errors near 1e-16, and a true zero must still end Geyer's sum.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Autocorrelation:
    """How much the samples of a run depend on their neighbours."""

    lag1: float  # correlation of neighbours' ranks
    threshold: float  # what chance alone exceeds in 0.5 % of runs
    inflation: float  # `autocorrelation_time` for the median, whether or not it is detected
    detected: bool  # whether lag1 exceeds the threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How much latency changed over a run; positive if it became slower."""

    half_change_fraction: float  # median of the second half over that of the first, minus 1
    slope_fraction: float  # change of a straight line over the whole run, relative to the median
    z: float  # standard normal if there is no trend
    detected: bool  # whether the change is both significant and large enough to matter


def autocorrelation_time(samples: Sequence[float], fraction: float = 0.5) -> float:
    """Return the factor by which dependence inflates the variance of a sample quantile.

    The error of a sample quantile is, to first order, that of the mean of I(x <= quantile): Bahadur
    (1966), doi:10.1214/aoms/1177699450, and for dependent samples Sen (1968), *Asymptotic normality
    of sample quantiles for m-dependent processes*. In this series of zeros and ones an outlier can
    neither hide nor fake dependence. A trend counts as dependence and inflates it much.
    """
    require_fraction(fraction, "fraction")
    series = checked_samples(samples)
    limit = np.sort(series)[nearest_rank(series.size, fraction) - 1]
    return _inflation((series <= limit).astype(np.float64))


def autocorrelation(samples: Sequence[float]) -> Autocorrelation:
    """Return whether neighbouring samples are more alike than chance allows.

    Serial correlation of ranks: Wald and Wolfowitz (1943), doi:10.1214/aoms/1177731358, of mean
    -1 / n and variance near 1 / n for independent samples. A trend correlates neighbours too.
    """
    series = checked_samples(samples)
    centred = _centred_ranks(series)
    power = float(centred @ centred)
    lag1 = float(centred[1:] @ centred[:-1]) / power if power else 0.0
    threshold = (
        NormalDist().inv_cdf(1 - _AUTOCORRELATION_SIGNIFICANCE) / math.sqrt(series.size)
        - 1 / series.size
    )
    return Autocorrelation(
        lag1=lag1,
        threshold=threshold,
        inflation=autocorrelation_time(samples),
        detected=lag1 > threshold,
    )


def trend(
    samples: Sequence[float], *, smallest_fraction: float = 0.05, significance: float = 0.001
) -> Trend:
    """Return whether latency changed steadily or in a step over a run, and by how much.

    ``z`` is Spearman's correlation of time and latency times sqrt(n - 1) (Daniels 1950), divided by
    the square root of the inflation by autocorrelation, as Hamed and Rao (1998),
    doi:10.1016/S0022-1694(97)00125-X, do for the test of Mann and Kendall. The slope is that of
    Theil and Sen (1968), doi:10.1080/01621459.1968.10480934. The larger of slope and change of
    halves counts: a steady trend changes them by half of its total, and a step has no slope.

    Parameters
    ----------
    samples : sequence of float, shape (n_samples,)
        In the order measured, any unit.
    smallest_fraction : float
        Smallest change that matters, as a fraction of the median; at least 0.
    significance : float
        Two-sided probability of so large a ``z`` without a trend, a fraction in (0, 1).

    Returns
    -------
    Trend
        All zeros for a single sample, and if all are equal.

    Raises
    ------
    ConfigError
        If there are no samples, one is not finite, or the median of all or the first half is not
        positive.
    """
    require_fraction(significance, "significance")
    if not 0 <= smallest_fraction < math.inf:
        raise ConfigError(f"smallest_fraction must be at least 0, got {smallest_fraction}.")
    series = checked_samples(samples)
    if series.min() == series.max():
        return Trend(half_change_fraction=0.0, slope_fraction=0.0, z=0.0, detected=False)
    half = series.size // 2  # the middle sample of an odd number belongs to neither half
    start, middle = float(np.median(series[:half])), float(np.median(series))
    if min(start, middle) <= 0:
        msg = f"A relative change needs medians above zero; found {min(start, middle)}."
        raise ConfigError(msg)
    half_change = float(np.median(series[-half:])) / start - 1
    slope = _slope(series) / middle
    z = _trend_score(_centred_ranks(series))
    size = max(abs(half_change), abs(slope))
    detected = size >= smallest_fraction and abs(z) > NormalDist().inv_cdf(1 - significance / 2)
    return Trend(half_change_fraction=half_change, slope_fraction=slope, z=z, detected=detected)


def _inflation(series: Series) -> float:
    """Return 1 + 2 (rho_1 + rho_2 + ...), at least 1.

    The sum ends where a pair rho_2k + rho_2k+1 is no longer positive: initial positive sequence of
    Geyer (1992), doi:10.1214/ss/1177011137.
    """
    n = series.size
    centred = series - series.mean()
    # Zeros after the series keep its end from being correlated with its beginning.
    transform = np.fft.rfft(centred, 2 * n)
    covariances = np.fft.irfft(transform * transform.conj(), 2 * n)[:n]
    power = float(centred @ centred)
    if power <= _ROUNDING * n:
        return 1.0  # constant up to rounding: ranks and indicators differ by much more
    pairs = covariances[: n - n % 2].reshape(-1, 2).sum(axis=1) / power
    ends = np.flatnonzero(pairs <= _ROUNDING)
    kept = pairs[: ends[0]] if ends.size else pairs
    return float(np.clip(2 * kept.sum() - 1, 1.0, n))


def _centred_ranks(series: Series) -> Series:
    from scipy.stats import rankdata

    ranks: Series = rankdata(series)
    return np.asarray(ranks - ranks.mean())


def _trend_score(centred: Series) -> float:
    """Return the standardised rank correlation with time, corrected for autocorrelation."""
    n = centred.size
    time = np.arange(n) - (n - 1) / 2
    time_power, power = float(time @ time), float(centred @ centred)
    product = float(time @ centred)
    line = centred - time * (product / time_power)
    # Without the better fit of line and step, the trend would count as autocorrelation and hide.
    residual = min(line, _without_step(centred), key=lambda rest: float(rest @ rest))
    spearman = product / math.sqrt(time_power * power)
    return spearman * math.sqrt(n - 1) / math.sqrt(_inflation(residual))


def _without_step(centred: Series) -> Series:
    """Return the series without the one step that explains most of its variance."""
    n = centred.size
    before = np.arange(1, n)
    sums = np.cumsum(centred)[:-1]
    # A step after k samples leaves n sums_k**2 / (k (n - k)) less variance.
    k = int(np.argmax(sums**2 / (before * (n - before)))) + 1
    rest = centred.copy()
    rest[:k] -= sums[k - 1] / k
    rest[k:] += sums[k - 1] / (n - k)
    return rest


def _slope(series: Series) -> float:
    """Return the change over the whole series of Theil and Sen's line through block medians."""
    size = -(-series.size // _SLOPE_BLOCKS)
    n_blocks = series.size // size  # a shorter remainder at the end is left out
    medians = np.median(series[: n_blocks * size].reshape(n_blocks, size), axis=1)
    from scipy.stats import theilslopes

    return float(theilslopes(medians).slope) / size * (series.size - 1)
