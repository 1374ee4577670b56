"""Percentiles by nearest rank, and the number of samples that they need."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from tlbench.core.errors import ConfigError
from tlbench.stats import percentile, samples_needed

SAMPLES = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=200)
PERCENTS = st.integers(1, 99)


@pytest.mark.parametrize(("fraction", "needed"), [(0.9, 64), (0.95, 130), (0.99, 662)])
def test_the_numbers_of_samples_that_reports_quote(fraction, needed):
    """At 99 % confidence p90 needs 64 samples, p95 130 and p99 662."""
    assert samples_needed(fraction) == needed


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("fraction", [0.5, 0.75, 0.9, 0.95, 0.99])
def test_the_number_is_the_smallest_by_the_binomial_distribution(fraction, confidence):
    """Every size up to 2,000 is tried: the first with P(at most one above) small enough."""
    sizes = np.arange(2, 2000)
    enough = binom.cdf(1, sizes, 1 - fraction) <= 1 - confidence
    assert samples_needed(fraction, confidence) == sizes[np.argmax(enough)]


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 99])
def test_a_percentile_that_is_no_fraction_is_refused(fraction):
    """99 where 0.99 was meant would never end."""
    with pytest.raises(ConfigError, match=f"got {fraction}"):
        samples_needed(fraction)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, -0.1, math.nan])
def test_a_confidence_that_no_number_of_samples_reaches_is_refused(confidence):
    """Certainty would take for ever, and did."""
    with pytest.raises(ConfigError, match=f"confidence must .* got {confidence}"):
        samples_needed(0.99, confidence)


def test_an_extreme_percentile_is_answered_at_once():
    """Six thousand million samples are not counted one by one; the tail is then Poisson."""
    needed = samples_needed(1 - 1e-9)
    # K is Poisson(n * 1e-9) up to 1e-9; 1 - 1e-9 itself is rounded to a few parts in 1e8
    assert poisson.cdf(1, needed * 1e-9) == pytest.approx(0.01, rel=1e-6)


@settings(deadline=None)
@given(SAMPLES, PERCENTS)
def test_the_percentile_is_the_smallest_sample_that_enough_do_not_exceed(samples, percent):
    """The definition, in whole numbers, over every sample."""
    reached = [
        value
        for value in samples
        if 100 * sum(other <= value for other in samples) >= percent * len(samples)
    ]
    assert percentile(samples, percent / 100) == min(reached)


@pytest.mark.parametrize(("fraction", "n", "rank"), [(0.28, 25, 7), (0.55, 100, 55)])
def test_rounding_adds_no_rank(fraction, n, rank):
    """0.28 * 25 is 7.000000000000001 in floating point, which is not more than rank 7."""
    assert fraction * n > rank
    assert percentile(range(1, n + 1), fraction) == rank


@settings(deadline=None)
@given(SAMPLES, st.integers(1, 63).map(lambda k: k / 64))
def test_the_percentile_is_numpys_inverted_cdf(samples, fraction):
    """The definition is the same, and a whole number of 64ths has no rounding of its own."""
    assert percentile(samples, fraction) == np.quantile(samples, fraction, method="inverted_cdf")


@settings(deadline=None)
@given(SAMPLES, PERCENTS, PERCENTS)
def test_a_higher_percentile_is_never_a_smaller_time(samples, one, other):
    """p99 is at least p90."""
    low, high = sorted((one, other))
    assert percentile(samples, low / 100) <= percentile(samples, high / 100)


@settings(deadline=None)
@given(SAMPLES, PERCENTS, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(samples, percent, random):
    """Shuffled samples have the same percentile, and are not sorted in place."""
    shuffled = random.sample(samples, len(samples))
    before = list(shuffled)
    assert percentile(shuffled, percent / 100) == percentile(samples, percent / 100)
    assert shuffled == before


def test_the_median_of_two_modes_is_one_of_them():
    """An interpolated median would be a time that was never measured."""
    assert percentile([1.0, 1.0, 9.0, 9.0], 0.5) == 1.0


def test_no_samples_have_no_percentile():
    """An empty list is refused."""
    with pytest.raises(ConfigError, match="no samples"):
        percentile([], 0.5)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 99, math.nan])
def test_a_percentile_of_samples_must_be_a_fraction(fraction):
    """99 where 0.99 was meant gave the largest sample, or an index error."""
    with pytest.raises(ConfigError, match=f"fraction must .* got {fraction}"):
        percentile([1.0, 2.0], fraction)


def test_samples_that_are_not_numbers_have_no_percentile():
    """NaN sorts anywhere, so that the percentile would depend on the order."""
    with pytest.raises(ConfigError, match="not all numbers"):
        percentile([1.0, math.nan, 2.0], 0.5)
