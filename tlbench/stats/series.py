"""Whether the samples of a run depend on one another: autocorrelation and trend."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tlbench.core.errors import ConfigError
from tlbench.stats.samples import Series, average_ranks, checked_samples, require_fraction

# One-sided. Half of the one per cent of false alarms that a run may have.
_AUTOCORRELATION_SIGNIFICANCE = 0.005

# Theil and Sen's slope looks at every pair: 4,950 of 100 blocks, and as many of 100,000 samples.
_SLOPE_BLOCKS = 100

# A variance of ranks or indicators, or a pair of correlations, no larger than this is zero: the
# Fourier transform leaves errors near 1e-16, and a true zero must still end Geyer's sum.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Autocorrelation:
    """How much a sample tells about the next.

    ``lag1`` is the correlation of neighbours' ranks and ``threshold`` what chance alone exceeds in
    0.5 % of runs; ``detected`` is that lag1 exceeds it. ``inflation`` is the estimate of
    `autocorrelation_time` for the median, whether or not anything was detected.
    """

    lag1: float
    threshold: float
    inflation: float
    detected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How much latency moved over a run; positive where it became slower.

    ``half_change_fraction`` is the median of the second half over that of the first, less 1.
    ``slope_fraction`` is the change of a straight line over the whole run, relative to the median.
    ``z`` is a standard normal number if there is no trend. ``detected`` says that a movement is
    both significant and large enough to matter.
    """

    half_change_fraction: float
    slope_fraction: float
    z: float
    detected: bool


def autocorrelation_time(samples: Sequence[float], fraction: float = 0.5) -> float:
    """Estimate by how much dependence inflates the variance of a sample quantile.

    Parameters
    ----------
    samples : sequence of float, shape (n_samples,)
        In the order measured, any unit.
    fraction : float
        The quantile, in (0, 1).

    Returns
    -------
    float
        Between 1, for independent samples, and n_samples.

    Raises
    ------
    ConfigError
        If there are no samples or one is not finite, or if the fraction is outside (0, 1).

    Notes
    -----
    A sample quantile errs, to first order, by the error of the mean of I(x <= quantile): Bahadur
    (1966), doi:10.1214/aoms/1177699450, and for dependent samples Sen (1968), *Asymptotic normality
    of sample quantiles for m-dependent processes*. The autocovariances that matter are those of
    this series of zeros and ones, not those of the latencies: one far outlier cannot hide or fake
    them.

    The inflation is 1 + 2 (rho_1 + rho_2 + ...). The sum ends where a pair rho_2k + rho_2k+1 is no
    longer positive: initial positive sequence of Geyer (1992), doi:10.1214/ss/1177011137. Sums of
    autocorrelations vary much, so the figure is rough; that it never falls below 1 makes intervals
    of independent samples a little too wide. A drift counts as dependence and inflates it much.
    """
    require_fraction(fraction, "A quantile")
    series = checked_samples(samples)
    ordered = np.sort(series)
    # Nearest rank, as in `percentile`, with the same tolerance for rounding.
    rank = max(1, math.ceil(fraction * series.size - 1e-9))
    return _inflation((series <= ordered[rank - 1]).astype(np.float64))


def autocorrelation(samples: Sequence[float]) -> Autocorrelation:
    """Say whether neighbouring samples are more alike than chance allows.

    Parameters
    ----------
    samples : sequence of float, shape (n_samples,)
        In the order measured, any unit.

    Returns
    -------
    Autocorrelation

    Raises
    ------
    ConfigError
        If there are no samples or one is not finite.

    Notes
    -----
    The serial correlation of ranks of Wald and Wolfowitz (1943), doi:10.1214/aoms/1177731358. Of
    independent samples it has mean -1 / n and variance near 1 / n. Only likeness counts: neighbours
    that differ more than chance allows do not make an interval too narrow. A drift makes neighbours
    alike too, so look at `trend` first.
    """
    series = checked_samples(samples)
    ranks = average_ranks(series)
    centred = ranks - ranks.mean()
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
    """Say whether latency drifted or jumped over a run, and by how much.

    Parameters
    ----------
    samples : sequence of float, shape (n_samples,)
        In the order measured, any unit.
    smallest_fraction : float
        A movement that is smaller than this fraction of the median does not matter; at least 0.
    significance : float
        Two-sided probability of so large a ``z`` without a trend, a fraction in (0, 1).

    Returns
    -------
    Trend
        All zeros for a single sample, and where all are equal.

    Raises
    ------
    ConfigError
        If there are no samples or one is not finite, if the median of all or of the first half is
        not above zero, or if an option is out of range.

    Notes
    -----
    ``z`` is Spearman's correlation of time and latency times sqrt(n - 1) (Daniels 1950), divided by
    the square root of the inflation by autocorrelation, as Hamed and Rao (1998),
    doi:10.1016/S0022-1694(97)00125-X, do for the test of Mann and Kendall. The inflation is that of
    the ranks, after the better fitting of a straight line and of one step was taken out: otherwise
    the trend itself would count as autocorrelation and hide.

    The slope is that of Theil and Sen (1968), doi:10.1080/01621459.1968.10480934, through the
    medians of up to 100 blocks. The size compared with *smallest_fraction* is the larger of slope
    and change of halves: a steady drift moves the halves' medians by half of what it does from
    beginning to end, and a step has no slope worth the name.
    """
    require_fraction(significance, "A significance")
    if not 0 <= smallest_fraction < math.inf:
        msg = f"The smallest change that matters is a fraction of 0 or more: {smallest_fraction}."
        raise ConfigError(msg)
    series = checked_samples(samples)
    if series.min() == series.max():
        return Trend(half_change_fraction=0.0, slope_fraction=0.0, z=0.0, detected=False)
    half = series.size // 2  # the middle one of an odd number belongs to neither half
    start, middle = float(np.median(series[:half])), float(np.median(series))
    if min(start, middle) <= 0:
        msg = f"A relative change needs medians above zero; found {min(start, middle)}."
        raise ConfigError(msg)
    half_change = float(np.median(series[-half:])) / start - 1
    slope = _slope(series) / middle
    z = _trend_score(average_ranks(series))
    size = max(abs(half_change), abs(slope))
    detected = size >= smallest_fraction and abs(z) > NormalDist().inv_cdf(1 - significance / 2)
    return Trend(half_change_fraction=half_change, slope_fraction=slope, z=z, detected=detected)


def _inflation(series: Series) -> float:
    """Return 1 + 2 times the sum of autocorrelations by Geyer's initial positive sequence."""
    n = series.size
    centred = series - series.mean()
    # Zeros behind the series keep its end from being correlated with its beginning.
    transform = np.fft.rfft(centred, 2 * n)
    covariances = np.fft.irfft(transform * transform.conj(), 2 * n)[:n]
    power = float(centred @ centred)
    if power <= _ROUNDING * n:
        return 1.0  # constant up to rounding: ranks and indicators differ by much more
    pairs = covariances[: n - n % 2].reshape(-1, 2).sum(axis=1) / power
    ends = np.flatnonzero(pairs <= _ROUNDING)
    kept = pairs[: ends[0]] if ends.size else pairs
    return float(np.clip(2 * kept.sum() - 1, 1.0, n))


def _trend_score(ranks: Series) -> float:
    """Return the standardised rank correlation with time, corrected for autocorrelation."""
    n = ranks.size
    centred = ranks - ranks.mean()
    time = np.arange(n) - (n - 1) / 2
    time_power, power = float(time @ time), float(centred @ centred)
    product = float(time @ centred)
    line = centred - time * (product / time_power)
    residual = min(line, _without_step(centred), key=lambda rest: float(rest @ rest))
    spearman = product / math.sqrt(time_power * power)
    return spearman * math.sqrt(n - 1) / math.sqrt(_inflation(residual))


def _without_step(centred: Series) -> Series:
    """Return the series less the one step that explains most of its variance."""
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
    """Return the change over the whole series of Theil and Sen's line through block medians.

    Blocks are of one size; what is left at the end, less than one block, is left out.
    """
    size = -(-series.size // _SLOPE_BLOCKS)
    n_blocks = series.size // size
    medians = np.median(series[: n_blocks * size].reshape(n_blocks, size), axis=1)
    first, second = np.triu_indices(n_blocks, k=1)
    slopes = (medians[second] - medians[first]) / ((second - first) * size)
    return float(np.median(slopes)) * (series.size - 1)
