"""Intervals of ratios against scipy's signed-rank test, and what must not change them."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from tlbench.core.errors import ConfigError
from tlbench.stats import ratio_interval

LATENCIES = st.floats(1e-6, 1e3)
PAIRS = st.lists(st.tuples(LATENCIES, LATENCIES), min_size=1, max_size=30).map(
    lambda pairs: tuple(zip(*pairs, strict=True))
)
# logarithm and exponential of numbers up to 1e9: a few units in the last place of 21
ROUNDING = 1e-12


def _noisy(n, *, seed=0):
    return np.random.default_rng(seed).lognormal(0.3, 0.1, n)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [8, 10, 17, 20, 40, 50, 51, 80])
def test_the_interval_holds_the_ratios_that_scipys_test_accepts(n, confidence):
    """Just inside an end the signed-rank test accepts the ratio, just outside it rejects it."""
    ratios = _noisy(n)
    estimate = ratio_interval(ratios, np.ones(n), confidence=confidence)
    method = "exact" if n <= 50 else "asymptotic"

    def accepted(ratio):
        logs = np.log(ratios) - math.log(ratio)
        return wilcoxon(logs, correction=True, method=method).pvalue > 1 - confidence

    for end, inwards in ((estimate.low, 1e-9), (estimate.high, -1e-9)):
        assert accepted(end * (1 + inwards))
        assert not accepted(end * (1 - inwards))


@pytest.mark.parametrize("n", range(1, 12))
def test_six_blocks_are_the_fewest_for_95_percent(n):
    """All 5 differences of one sign have a probability of 6.25 %, all 6 of 3.1 %."""
    estimate = ratio_interval(_noisy(n), np.ones(n))
    assert (estimate.low is not None) == (estimate.high is not None) == (n >= 6)
    assert estimate.n_blocks == n
    assert estimate.confidence_fraction == 0.95


def test_six_blocks_reach_from_the_smallest_to_the_largest_ratio():
    """At 1 - 2 / 2**6 the whole range is needed, and rounding must not deny it."""
    ratios = [1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
    estimate = ratio_interval(ratios, [1.0] * 6, confidence=1 - 2 / 2**6)
    assert (estimate.low, estimate.high) == pytest.approx((1.1, 1.6), rel=ROUNDING)


def test_the_estimate_is_the_median_of_the_walsh_averages():
    """By hand: of 0, 1 and 5 they are 0, 0.5, 1, 2.5, 3 and 5, with median 1.75."""
    estimate = ratio_interval(np.exp([0.0, 5.0, 1.0]), [1.0, 1.0, 1.0])
    assert estimate.ratio == pytest.approx(math.exp(1.75), rel=ROUNDING)


def test_the_normal_approximation_joins_the_exact_distribution():
    """At 50 blocks, where one gives way to the other, the two depths differ by at most one."""
    averages = 50 * 51 / 2
    logs = np.sort(_noisy(50))
    walsh = np.sort([(a + b) / 2 for i, a in enumerate(logs) for b in logs[i:]])
    low = ratio_interval(np.exp(logs), np.ones(50)).low
    exact = int(np.argmin(np.abs(walsh - math.log(low)))) + 1
    deviation = math.sqrt(50 * 51 * 101 / 24)
    assert abs(exact - (averages / 2 + 0.5 + deviation * NormalDist().inv_cdf(0.025))) <= 1


@settings(deadline=None)
@given(PAIRS)
def test_the_estimate_is_inside_its_interval(pairs):
    """The ends lie around the estimate, up to rounding none."""
    estimate = ratio_interval(*pairs)
    if estimate.low is not None:
        assert estimate.low <= estimate.ratio <= estimate.high


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.25, 8.0, 3.7]))
def test_a_slower_numerator_scales_the_ratio(pairs, factor):
    """Twice the latency is twice the ratio, at both ends too."""
    numerators, denominators = pairs
    estimate = ratio_interval(numerators, denominators)
    scaled = ratio_interval([factor * value for value in numerators], denominators)
    assert scaled.ratio == pytest.approx(factor * estimate.ratio, rel=ROUNDING)
    if estimate.low is not None:
        expected = (factor * estimate.low, factor * estimate.high)
        assert (scaled.low, scaled.high) == pytest.approx(expected, rel=ROUNDING)


@settings(deadline=None)
@given(PAIRS)
def test_exchanging_the_two_series_turns_the_ratio_over(pairs):
    """Neither of the two is special."""
    estimate, turned = ratio_interval(*pairs), ratio_interval(*reversed(pairs))
    assert turned.ratio == pytest.approx(1 / estimate.ratio, rel=ROUNDING)
    if estimate.low is not None:
        expected = (1 / estimate.high, 1 / estimate.low)
        assert (turned.low, turned.high) == pytest.approx(expected, rel=ROUNDING)


@settings(deadline=None)
@given(PAIRS, st.floats(0.01, 0.999), st.floats(0.01, 0.999))
def test_more_confidence_never_gives_a_narrower_interval(pairs, one, other):
    """The interval of 99 % contains that of 95 %."""
    inner, outer = (ratio_interval(*pairs, confidence=c) for c in sorted((one, other)))
    if outer.low is not None:
        assert outer.low <= inner.low <= inner.high <= outer.high


@settings(deadline=None)
@given(st.lists(st.floats(0.5, 2), min_size=6, max_size=30))
def test_what_slows_both_blocks_of_a_pair_cancels(machine):
    """However the machine's speed moves, a constant ratio is found exactly."""
    estimate = ratio_interval([3 * slow for slow in machine], machine)
    ends = (estimate.low, estimate.ratio, estimate.high)
    assert ends == pytest.approx((3, 3, 3), rel=ROUNDING)


@pytest.mark.parametrize(
    ("numerators", "denominators", "message"),
    [
        ([], [], "at least one number"),
        ([1.0, 2.0], [1.0], "2 numerators and 1 denominators"),
        ([1.0, 0.0], [1.0, 1.0], "numerator 0.0 in block 1"),
        ([1.0, 1.0], [-2.0, 1.0], "denominator -2.0 in block 0"),
        ([1.0, math.nan], [1.0, 1.0], "nan at position 1"),
        ([1.0, 1.0], [math.inf, 1.0], "inf at position 0"),
    ],
)
def test_what_makes_no_sense_is_refused(numerators, denominators, message):
    """The message says what was found."""
    with pytest.raises(ConfigError, match=message):
        ratio_interval(numerators, denominators)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_a_confidence_outside_zero_and_one_is_refused(confidence):
    """95 where 0.95 was meant."""
    with pytest.raises(ConfigError, match=f"confidence must .* got {confidence}"):
        ratio_interval([1.0], [1.0], confidence=confidence)
