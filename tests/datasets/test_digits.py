"""The digits that scikit-learn ships."""

import numpy as np
import pytest

from tlbench.datasets import DatasetRequest
from tlbench.datasets.base import load_digits


@pytest.fixture(scope="module")
def digits():
    return load_digits(DatasetRequest(name="digits"))


def test_halves_hold_all_images(digits):
    """The 1,797 images are split half and half, and the source names scikit-learn's copy."""
    assert (len(digits.train), len(digits.test)) == (898, 899)
    assert "scikit-learn's copy" in digits.source


def test_values_span_the_bytes(digits):
    """Values 0 to 16 become 0 to 255, rounded, with three equal channels."""
    images = np.concatenate([digits.train.images, digits.test.images])
    assert images.shape == (1797, 8, 8, 3)
    assert set(np.unique(images)) == {int(np.rint(value * 255 / 16)) for value in range(17)}
    assert (images == images[..., :1]).all()


def test_halves_are_stratified(digits):
    """Each class has as many training as test images, within one."""
    counts = [np.bincount(split.labels, minlength=10) for split in (digits.train, digits.test)]
    assert abs(counts[0] - counts[1]).max() <= 1


def test_no_image_is_in_both_halves(digits):
    """The two halves share no row of the original."""
    from sklearn import datasets

    n_different = len(np.unique(datasets.load_digits().data, axis=0))
    both = np.concatenate([digits.train.images, digits.test.images]).reshape(1797, -1)
    assert len(np.unique(both, axis=0)) == n_different


@pytest.mark.parametrize("seed", [1, 99])
def test_split_does_not_depend_on_the_seed(digits, seed):
    """The halves belong to the dataset, so that results compare whatever a run's seed."""
    other = load_digits(DatasetRequest(name="digits", seed=seed))
    assert other.fingerprint == digits.fingerprint
