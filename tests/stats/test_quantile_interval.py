"""Intervals of quantiles against the binomial distribution, and what must not change them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tlbench.core.errors import ConfigError
from tlbench.stats import percentile, quantile_interval

SAMPLES = st.lists(st.floats(1e-6, 1e6), min_size=6, max_size=200)
FRACTIONS = st.sampled_from([0.1, 0.5, 0.9, 0.95])
CONFIDENCES = st.floats(0.01, 0.999)


def _chance(n, fraction, low, high):
    """Return P(low <= K < high) of the binomial count K."""
    return binom.cdf(high - 1, n, fraction) - binom.cdf(low - 1, n, fraction)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [6, 7, 10, 64, 130, 301, 1000, 10_000])
def test_the_ranks_are_the_closest_that_reach_the_confidence(n, fraction, confidence):
    """Samples that equal their ranks show the ranks; scipy's binomial judges every closer pair."""
    ends = quantile_interval(np.arange(1, n + 1), fraction, confidence=confidence)
    if ends is None:
        # two sums of up to 10,000 rounded terms; or the sample quantile is the first or last sample
        at_an_end = not 1 <= int((n + 1) * fraction) < n
        assert at_an_end or _chance(n, fraction, 1, n) < confidence + 1e-9
        return
    low, high = map(int, ends)
    assert _chance(n, fraction, low, high) >= confidence - 1e-9
    closer = np.arange(1, n + 2 - (high - low))
    assert _chance(n, fraction, closer, closer + high - low - 1).max() < confidence + 1e-9


@pytest.mark.parametrize("n", range(1, 8))
def test_six_samples_are_the_fewest_for_a_median(n):
    """Five samples lie all on one side of the median in 6.25 % of cases, six in 3.1 %."""
    ends = quantile_interval([float(i) for i in range(n)])
    assert ends == (None if n < 6 else (0.0, n - 1.0))


@settings(deadline=None)
@given(SAMPLES, FRACTIONS, CONFIDENCES, st.floats(1, 20))
def test_the_ends_are_samples_around_the_sample_quantile(samples, fraction, confidence, inflation):
    """Also with fewer effective samples."""
    ends = quantile_interval(samples, fraction, confidence=confidence, inflation=inflation)
    if ends is not None:
        assert set(ends) <= set(samples)
        assert ends[0] <= percentile(samples, fraction) <= ends[1]


@settings(deadline=None)
@given(SAMPLES, CONFIDENCES)
def test_the_median_of_the_samples_is_inside(samples, confidence):
    """Numpy's median too, which lies between the two middle samples."""
    ends = quantile_interval(samples, confidence=confidence)
    assert ends is None or ends[0] <= np.median(samples) <= ends[1]


@settings(deadline=None)
@given(SAMPLES, FRACTIONS, st.floats(1e-3, 1e3))
def test_another_unit_scales_the_ends(samples, fraction, factor):
    """Milliseconds or seconds: the same two calls."""
    ends = quantile_interval(samples, fraction)
    scaled = quantile_interval([factor * sample for sample in samples], fraction)
    assert scaled == (None if ends is None else tuple(factor * end for end in ends))


@settings(deadline=None)
@given(SAMPLES, FRACTIONS, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(samples, fraction, random):
    """Shuffled samples have the same interval, and are not sorted in place."""
    shuffled = random.sample(samples, len(samples))
    before = list(shuffled)
    assert quantile_interval(shuffled, fraction) == quantile_interval(samples, fraction)
    assert shuffled == before


@settings(deadline=None)
@given(SAMPLES, FRACTIONS, CONFIDENCES, CONFIDENCES)
def test_more_confidence_never_gives_a_narrower_interval(samples, fraction, one, other):
    """The interval of 99 % contains that of 95 %."""
    small, large = sorted((one, other))
    inner = quantile_interval(samples, fraction, confidence=small)
    outer = quantile_interval(samples, fraction, confidence=large)
    if outer is not None:
        assert inner is not None
        assert outer[0] <= inner[0] <= inner[1] <= outer[1]


def test_inflation_leaves_fewer_effective_samples():
    """At inflation 4, the ranks of 1,000 samples are those of 250, stretched outwards."""
    low, high = quantile_interval(np.arange(1, 251))
    stretch = 1001 / 251
    stretched = quantile_interval(np.arange(1, 1001), inflation=4)
    assert stretched == (math.floor(low * stretch), math.ceil(high * stretch))


def test_too_few_effective_samples_have_no_interval():
    """Fifty samples that count as five."""
    assert quantile_interval([float(i) for i in range(50)], inflation=10) is None


def test_a_quantile_at_the_last_sample_has_no_interval():
    """The likeliest place of p99 among 50 samples is beyond them all, at any confidence."""
    assert quantile_interval([float(i) for i in range(50)], 0.99, confidence=0.1) is None


def test_equal_samples_have_an_interval_of_one_point():
    """A coarse clock is not an error."""
    assert quantile_interval([2.0] * 10) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        ([], {}, "at least one number"),
        ([[1.0, 2.0]], {}, r"shape \(1, 2\)"),
        ([1.0, math.nan], {}, "nan at position 1"),
        ([math.inf, 1.0], {}, "inf at position 0"),
        ([1.0], {"fraction": 1}, "fraction must .* got 1"),
        ([1.0], {"fraction": math.nan}, "fraction must .* got nan"),
        ([1.0], {"confidence": 95}, "confidence must .* got 95"),
        ([1.0], {"inflation": 0.5}, "at least 1, got 0.5"),
        ([1.0], {"inflation": math.nan}, "at least 1, got nan"),
        ([1.0], {"inflation": math.inf}, "at least 1, got inf"),
    ],
)
def test_what_makes_no_sense_is_refused(samples, options, message):
    """The message says what was found."""
    with pytest.raises(ConfigError, match=message):
        quantile_interval(samples, **options)
