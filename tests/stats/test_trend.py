"""Drift over a run: its size against scipy's, its score, and what must not change them."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr, theilslopes

from tlbench.core.errors import ConfigError
from tlbench.stats import trend

SAMPLES = st.lists(st.integers(1, 10**6).map(float), min_size=1, max_size=120)


def test_a_straight_line_has_its_own_slope_and_half_of_it_between_halves():
    """From 1.0 to 1.2: a fifth over a median of 1.1; the halves' medians are 1.05 and 1.15."""
    found = trend(np.linspace(1.0, 1.2, 200))
    assert found.slope_fraction == pytest.approx(0.2 / 1.1)
    # each half's median lies a quarter of one step of 0.2 / 199 off
    assert found.half_change_fraction == pytest.approx(1.15 / 1.05 - 1, rel=0.01)
    # ranks equal to time leave no residual, and Spearman's correlation is 1
    assert found.z == pytest.approx(math.sqrt(199))
    assert found.detected


def test_a_step_shows_in_the_halves():
    """A jump of 15 % at half time, undisturbed."""
    found = trend([1.0] * 150 + [1.15] * 150)
    assert found.half_change_fraction == pytest.approx(0.15)
    assert found.detected


def test_becoming_faster_is_a_trend_too():
    """A machine that was not warm yet."""
    found = trend(np.linspace(1.2, 1.0, 200))
    assert found.slope_fraction < -0.15
    assert found.half_change_fraction < -0.05
    assert found.z < 0
    assert found.detected


@pytest.mark.parametrize("n", [2, 3, 10, 57, 100])
def test_the_slope_is_that_of_theil_and_sen(n):
    """Up to 100 samples every pair is looked at, as scipy does."""
    samples = np.random.default_rng(n).lognormal(0, 0.2, n)
    expected = theilslopes(samples).slope * (n - 1) / np.median(samples)
    # two roundings of the same differences
    assert trend(samples).slope_fraction == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [101, 5003, 100_000])
def test_the_slope_of_many_samples_is_seen_through_blocks(n):
    """Ten per cent over the run, with noise of five per cent."""
    noise = np.random.default_rng(3).lognormal(0, 0.05, n)
    found = trend(noise * np.linspace(0.95, 1.05, n))
    # at n = 101 the slope scatters by sqrt(12 / n) * 0.05 * 1.02, or 0.018
    assert found.slope_fraction == pytest.approx(0.1, abs=4 * math.sqrt(12 / n) * 0.05)


@settings(deadline=None)
@given(SAMPLES.filter(lambda samples: len(set(samples)) > 1))
def test_the_score_is_spearmans_made_smaller_by_autocorrelation(samples):
    """Autocorrelation can only take significance away."""
    n = len(samples)
    spearman = spearmanr(np.arange(n), samples).statistic * math.sqrt(n - 1)
    z = trend(samples).z
    assert abs(z) <= abs(spearman) + 1e-9  # a rounded zero
    assert z * spearman >= -1e-9


@settings(deadline=None)
@given(SAMPLES, st.sampled_from([0.25, 1024.0]))
def test_another_unit_changes_nothing(samples, factor):
    """Powers of two, so that no rounding hides behind a tolerance."""
    assert trend([factor * sample for sample in samples]) == trend(samples)


def test_a_significant_trend_that_is_small_is_not_reported():
    """Two per cent of drift, far above the noise; reported where the user wants to know."""
    samples = np.linspace(1.0, 1.02, 300) * np.random.default_rng(4).lognormal(0, 0.002, 300)
    found = trend(samples)
    assert found.z > 10
    assert not found.detected
    assert trend(samples, smallest_fraction=0.01).detected


def test_a_large_movement_that_chance_explains_is_not_reported():
    """Ten noisy samples, whose halves differ by more than 5 % as a rule."""
    runs = np.random.default_rng(5).lognormal(0, 0.3, (200, 10))
    found = [trend(run) for run in runs]
    assert np.mean([abs(one.half_change_fraction) > 0.05 for one in found]) > 0.5
    assert not any(one.detected for one in found)


@pytest.mark.parametrize("samples", [[1.0], [0.0], [2.0] * 50])
def test_a_single_sample_and_equal_samples_have_no_trend(samples):
    """All zeros."""
    assert dataclasses.astuple(trend(samples)) == (0.0, 0.0, 0.0, False)


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        ([], {}, "at least one number"),
        ([1.0, math.nan], {}, "nan at position 1"),
        ([0.0, 0.0, 1.0, 1.0], {}, "above zero; found 0.0"),
        ([1.0, -1.0, -1.0], {}, "above zero; found -1.0"),
        ([1.0, 2.0], {"significance": 0}, "significance must .* got 0"),
        ([1.0, 2.0], {"smallest_fraction": -0.1}, "at least 0, got -0.1"),
        ([1.0, 2.0], {"smallest_fraction": math.nan}, "at least 0, got nan"),
    ],
)
def test_what_makes_no_sense_is_refused(samples, options, message):
    """The message says what was found."""
    with pytest.raises(ConfigError, match=message):
        trend(samples, **options)


def test_the_smallest_change_that_matters_may_be_none():
    """With zero, significance alone decides; no change is as large as infinity."""
    samples = [1.0 + 1e-4 * i for i in range(200)]
    assert not trend(samples).detected
    assert trend(samples, smallest_fraction=0).detected
    with pytest.raises(ConfigError, match="smallest_fraction must be at least 0, got inf"):
        trend(samples, smallest_fraction=math.inf)


@pytest.mark.parametrize(("factor", "detected"), [(0.999, True), (1.001, False)])
def test_a_change_must_be_as_large_as_is_asked_for(factor, detected):
    samples = [1.0 + 1e-3 * i for i in range(200)]
    found = trend(samples)
    size = max(abs(found.half_change_fraction), abs(found.slope_fraction))
    assert trend(samples, smallest_fraction=size).detected
    assert trend(samples, smallest_fraction=factor * size).detected is detected
