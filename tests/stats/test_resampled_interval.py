"""The interval of a cross-validated accuracy: by hand, at its edges, and its coverage."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from tlbench.core.errors import ConfigError, DataError
from tlbench.stats import corrected_resampled_interval, wilson_interval


def test_six_folds_by_hand():
    """Mean 0.5, deviation 0.02: t of five degrees of freedom, variance (1/6 + 1/5) s^2."""
    accuracies = [0.5 - 0.02, 0.5 + 0.02, 0.5 - 0.02, 0.5 + 0.02, 0.5, 0.5]
    deviation = math.sqrt(4 * 0.02**2 / 5)
    half = student.ppf(0.975, 5) * math.sqrt(1 / 6 + 1 / 5) * deviation
    low, high = corrected_resampled_interval(accuracies, 1 / 5)
    # rounding of the two ways to the same quantile
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_the_mean_is_inside_and_both_ends_are_accuracies(accuracies):
    """Whatever the folds, 0 <= low <= mean <= high <= 1."""
    low, high = corrected_resampled_interval(accuracies, 0.2)
    # rounding of the mean
    assert 0 <= low <= np.mean(accuracies) + 1e-12
    assert np.mean(accuracies) - 1e-12 <= high <= 1


def test_one_fold_has_no_interval():
    with pytest.raises(DataError, match="1 folds: need two"):
        corrected_resampled_interval([0.9], 0.2)


@pytest.mark.parametrize(
    ("accuracies", "ratio"), [([0.9, math.nan], 0.2), ([0.9, 1.1], 0.2), ([0.9, 0.8], -0.1)]
)
def test_what_is_no_accuracy_is_refused(accuracies, ratio):
    """Percents, NaN and negative ratios would give an interval all the same."""
    with pytest.raises(DataError, match="fractions from 0 to 1"):
        corrected_resampled_interval(accuracies, ratio)


def test_a_confidence_is_a_fraction():
    with pytest.raises(ConfigError, match="confidence"):
        corrected_resampled_interval([0.9, 0.8], 0.2, confidence=95)


def _true_accuracy(weights, offset, centre):
    """Accuracy of a linear rule on two normal classes around plus and minus *centre*."""
    size = np.linalg.norm(weights)
    sides = ((centre @ weights + offset) / size, (centre @ weights - offset) / size)
    return sum(NormalDist().cdf(float(side)) for side in sides) / 2


def _nearest_centre(features, signs):
    """Return weights and offset of the rule that takes the nearer class mean."""
    plus, minus = features[signs > 0].mean(axis=0), features[signs < 0].mean(axis=0)
    return plus - minus, (minus @ minus - plus @ plus) / 2


def _one_study(rng, centre, n_images, n_folds):
    """Cross-validate once; return the folds' accuracies and the true ones of their rules."""
    signs = np.where(np.arange(n_images) % 2, 1, -1)
    features = rng.normal(size=(n_images, len(centre))) + signs[:, None] * centre
    fold_of = rng.permutation(n_images) % n_folds
    found, true = [], []
    for number in range(n_folds):
        test = fold_of == number
        weights, offset = _nearest_centre(features[~test], signs[~test])
        predicted = np.sign(features[test] @ weights + offset)
        found.append(float(np.mean(predicted == signs[test])))
        true.append(_true_accuracy(weights, offset, centre))
    return found, true


@pytest.mark.parametrize(("n_images", "n_folds"), [(60, 6), (300, 6), (300, 10), (300, 3)])
def test_simulated_coverage(n_images, n_folds):
    """It covers the accuracy expected of a head trained on so many images; the plain t does not.

    1,000 studies of two normal classes in 20 dimensions, nearest class mean. Standard error of a
    coverage near 95 % is 0.7 points: 93 % is three of them below.
    """
    rng = np.random.default_rng(0)
    centre = np.full(20, 0.2)
    studies = [_one_study(rng, centre, n_images, n_folds) for _ in range(1000)]
    expected = np.mean([true for _, true in studies])
    ratio = 1 / (n_folds - 1)

    def coverage(test_to_train):
        inside = 0
        for found, _ in studies:
            low, high = corrected_resampled_interval(found, test_to_train)
            inside += low <= expected <= high
        return inside / len(studies)

    def narrower(found):
        """Tell whether the folds agree more closely than so many independent images could."""
        low, high = corrected_resampled_interval(found, ratio)
        n_correct = round(np.mean(found) * n_images)
        wilson_low, wilson_high = wilson_interval(n_correct, n_images)
        return high - low < wilson_high - wilson_low

    corrected, plain = coverage(ratio), coverage(0.0)
    narrow = np.mean([narrower(found) for found, _ in studies])
    print(
        f"{n_images} images, {n_folds} folds: {100 * corrected:.1f} %, "
        f"plain t {100 * plain:.1f} %, narrower than Wilson's {100 * narrow:.1f} %"
    )
    assert narrow < 0.15  # a warning that is always there says nothing
    assert corrected >= 0.93
    assert plain < corrected
