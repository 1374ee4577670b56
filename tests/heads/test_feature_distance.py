"""The distance of two feature matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import DataError
from tlbench.heads import feature_distance


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(1.0, 1.0, (2500, 7)).astype(np.float32)


def test_equal_features_have_no_distance(features):
    distance = feature_distance(features, features.copy())
    assert distance.relative_error == 0
    # rounding of float64 in norms and products
    assert distance.smallest_cosine == pytest.approx(1.0, abs=1e-14)


@given(scale=st.floats(0.01, 100))
def test_scaling_is_an_error_and_no_turn(scale):
    """Twice the features have relative error 1 and cosine 1."""
    features = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    distance = feature_distance(features, features.astype(np.float64) * scale)
    assert distance.relative_error == pytest.approx(abs(scale - 1), abs=1e-12)
    assert distance.smallest_cosine == pytest.approx(1.0, abs=1e-12)


def test_one_bad_image_shows_in_the_smallest_cosine_only(features):
    other = features.copy()
    other[2100] = -features[2100]  # in the third block of rows
    distance = feature_distance(features, other)
    assert distance.smallest_cosine == pytest.approx(-1.0)
    assert distance.median_cosine == pytest.approx(1.0)


def test_the_error_is_that_of_all_images_together(features):
    """Blocks of rows add up to numpy's norm of the whole."""
    other = features + np.random.default_rng(2).normal(0, 0.1, features.shape).astype(np.float32)
    expected = np.linalg.norm((other - features).astype(float)) / np.linalg.norm(features)
    # float32 differences in the expectation
    assert feature_distance(features, other).relative_error == pytest.approx(expected, rel=1e-5)


def test_dead_features(features):
    """All zero on one side only is no likeness; on both sides it is."""
    reference, other = features[:3].copy(), features[:3].copy()
    reference[0] = other[0] = other[1] = 0
    distance = feature_distance(reference, other)
    assert distance.smallest_cosine == 0
    assert distance.median_cosine == pytest.approx(1.0)


@pytest.mark.parametrize("other", [np.ones((3, 4)), np.ones((2, 5))], ids=["rows", "columns"])
def test_other_shapes_are_refused(other):
    with pytest.raises(DataError, match="same images and the same layer"):
        feature_distance(np.ones((2, 4)), other)


def test_a_reference_of_zeros_is_refused():
    with pytest.raises(DataError, match="zero for every image"):
        feature_distance(np.zeros((2, 4)), np.ones((2, 4)))
