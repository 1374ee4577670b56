"""Wilson's interval against scipy's, and against its promise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from tlbench.core.errors import ConfigError, DataError
from tlbench.stats import wilson_interval

COUNTS = st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(deadline=None)
@given(COUNTS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_that_of_scipy(counts, confidence):
    """Same formula, written by others."""
    expected = binomtest(*counts).proportion_ci(confidence_level=confidence, method="wilson")
    # two roundings of one closed formula: a few units in the last place of numbers up to 1
    np.testing.assert_allclose(
        wilson_interval(*counts, confidence), (expected.low, expected.high), rtol=0, atol=1e-12
    )


@settings(deadline=None)
@given(COUNTS)
def test_the_interval_holds_the_accuracy_and_stays_within_zero_and_one(counts):
    """Also where none or all are correct, in spite of rounding."""
    low, high = wilson_interval(*counts)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1
    assert low < high


@settings(deadline=None)
@given(COUNTS)
def test_right_and_wrong_are_mirror_images(counts):
    """The interval of the error rate is one minus that of the accuracy."""
    (n_correct, n_images), (low, high) = counts, wilson_interval(*counts)
    mirrored = wilson_interval(n_images - n_correct, n_images)
    np.testing.assert_allclose((1 - high, 1 - low), mirrored, rtol=0, atol=1e-12)


@pytest.mark.parametrize("accuracy", [0.1, 0.5, 0.865, 0.97])
@pytest.mark.parametrize("n_images", [100, 1017, 10_000])
def test_the_interval_covers_the_truth_as_often_as_it_says(accuracy, n_images):
    """Summed over every outcome with its exact probability, coverage is 95 %."""
    counts = np.arange(n_images + 1)
    chances = binom.pmf(counts, n_images, accuracy)
    likely = counts[chances > 1e-9]
    covered = [wilson_interval(int(n), n_images) for n in likely]
    coverage = sum(
        chances[n]
        for n, (low, high) in zip(likely, covered, strict=True)
        if low <= accuracy <= high
    )
    # counts are discrete, so that coverage saws around 95 %: by one outcome's probability at most
    tolerance = 1 / math.sqrt(2 * math.pi * n_images * accuracy * (1 - accuracy))
    assert coverage == pytest.approx(0.95, abs=tolerance)


@pytest.mark.parametrize("counts", [(0, 0), (-1, 10), (11, 10), (0, -3)])
def test_impossible_counts_are_refused(counts):
    """No images, or more correct ones than images, have no interval."""
    with pytest.raises(DataError, match=f"{counts[0]} correct of {counts[1]} images"):
        wilson_interval(*counts)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_outside_zero_and_one_is_refused(confidence):
    """95 where 0.95 was meant."""
    with pytest.raises(ConfigError, match=f"got {confidence}"):
        wilson_interval(9, 10, confidence)
