"""Dependence between samples against definitions written out and against known processes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from tlbench.core.errors import ConfigError
from tlbench.stats import autocorrelation, autocorrelation_time

SAMPLES = st.lists(st.integers(1, 20).map(float), min_size=1, max_size=80)


def _geyer(samples, fraction):
    """Return the inflation by sums over lags, as the definition has them."""
    ordered = sorted(samples)
    limit = ordered[math.ceil(fraction * len(samples) - 1e-9) - 1]
    centred = np.array([float(sample <= limit) for sample in samples])
    centred -= centred.mean()
    n = len(samples)
    covariances = [sum(centred[: n - lag] * centred[lag:]) for lag in range(n)]
    if covariances[0] < 1e-9:
        return 1.0
    total = 0.0
    for lag in range(0, n - 1, 2):
        pair = (covariances[lag] + covariances[lag + 1]) / covariances[0]
        if pair <= 1e-12:
            break
        total += pair
    return min(max(2 * total - 1, 1.0), n)


@settings(deadline=None)
@given(SAMPLES, st.sampled_from([0.1, 0.5, 0.9]))
def test_the_inflation_is_geyers_sum(samples, fraction):
    """The Fourier transform computes what the definition says."""
    fast, slow = autocorrelation_time(samples, fraction), _geyer(samples, fraction)
    assert fast == pytest.approx(slow, rel=1e-9)


@settings(deadline=None)
@given(SAMPLES)
def test_the_inflation_is_between_one_and_the_number_of_samples(samples):
    """At least one effective sample is left, and never more than there are."""
    assert 1 <= autocorrelation_time(samples) <= len(samples)


@settings(deadline=None)
@given(SAMPLES)
def test_the_shape_of_the_distribution_does_not_matter(samples):
    """Logarithms, or another unit, have the same order and so the same dependence."""
    logs = [math.log(3 * sample) for sample in samples]
    assert autocorrelation(logs) == autocorrelation(samples)


@pytest.mark.parametrize("phi", [0.5, 0.8])
def test_the_inflation_of_an_autoregressive_series_is_known(phi, autoregressive):
    """The indicator of a Gaussian series has autocorrelation 2 / pi asin(phi**k) at its median."""
    expected = 1 + 4 / math.pi * np.arcsin(phi ** np.arange(1, 200)).sum()
    runs = autoregressive(np.random.default_rng(1), phi, 200, 2000)
    found = np.mean([autocorrelation_time(run) for run in runs])
    # The mean of 200 runs scatters by 1 to 2 %; the cut of the sum leaves a bias of a few.
    assert found == pytest.approx(expected, rel=0.1)


@settings(deadline=None)
@given(SAMPLES.filter(lambda samples: len(set(samples)) > 1))
def test_lag1_is_the_serial_correlation_of_ranks(samples):
    """Against scipy's ranks, ties included."""
    centred = rankdata(samples) - (len(samples) + 1) / 2
    expected = (centred[1:] * centred[:-1]).sum() / (centred**2).sum()
    # sums of at most 80 numbers near 1,000
    assert autocorrelation(samples).lag1 == pytest.approx(expected, abs=1e-12)


def test_an_outlier_neither_hides_nor_fakes_dependence():
    """The slowest call may be a thousand times slower without changing anything."""
    samples = np.random.default_rng(2).lognormal(0, 0.1, 200)
    worse = np.where(samples == samples.max(), 1000.0, samples)
    assert autocorrelation(worse) == autocorrelation(samples)


def test_the_threshold_leaves_half_a_percent_to_chance():
    """Of a normal distribution with mean -1 / n and variance 1 / n."""
    found = autocorrelation([1.0, 2.0] * 200)
    assert norm.sf((found.threshold + 1 / 400) * 20) == pytest.approx(0.005, rel=1e-9)


def test_alternating_samples_are_not_detected():
    """They differ more than chance allows, which widens no interval."""
    found = autocorrelation([1.0, 2.0] * 50)
    assert found.lag1 == pytest.approx(-0.99)
    assert found.inflation == 1
    assert not found.detected


@pytest.mark.parametrize("samples", [[1.0], [1.0, 2.0], [2.0, 1.0], [3.0] * 100, [0.0] * 9])
def test_where_nothing_can_be_seen_nothing_is_detected(samples):
    """One or two samples, or all equal."""
    found = autocorrelation(samples)
    assert not found.detected
    assert found.inflation == 1
    assert found.lag1 <= 0


@pytest.mark.parametrize(
    ("samples", "message"),
    [([], "at least one number"), ([1.0, math.nan], "nan at position 1")],
)
@pytest.mark.parametrize("function", [autocorrelation, autocorrelation_time])
def test_what_makes_no_sense_is_refused(function, samples, message):
    """The message says what was found."""
    with pytest.raises(ConfigError, match=message):
        function(samples)


def test_a_quantile_that_is_no_fraction_is_refused():
    """50 where 0.5 was meant."""
    with pytest.raises(ConfigError, match="fraction must .* got 50"):
        autocorrelation_time([1.0, 2.0], 50)
