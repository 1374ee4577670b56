"""Which images a conversion sees: train rows, by seed, readable ones."""

from dataclasses import replace

import numpy as np
import pytest

from tlbench.core.errors import ConfigError, DataError, UnreadableImageError
from tlbench.datasets import Dataset, Split
from tlbench.workflows.steps.conversion import (
    CALIBRATION_IMAGES,
    HELD_OUT_IMAGES,
    conversion_request,
)


class _Refusing:
    """Images that must not be looked at, or cannot be."""

    def __init__(self, n_images, message):
        self.n_images, self.message = n_images, message

    def __len__(self):
        return self.n_images

    def __getitem__(self, index):
        raise UnreadableImageError(self.message)


class _Gaps:
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if index % 2:
            raise UnreadableImageError("an odd row")
        return self.images[index]


def _dataset(n_train, images=None):
    """Images that carry their row number; the test split cannot be read at all."""
    rows = np.arange(n_train, dtype=np.int64)
    numbered = np.zeros((n_train, 4, 4, 3), np.uint16)
    numbered += rows.astype(np.uint16).reshape(-1, 1, 1, 1)
    pixels = np.concatenate([numbered // 256, numbered % 256], axis=1).astype(np.uint8)
    train = Split.from_arrays(pixels, rows % 2)
    if images is not None:
        train = replace(train, images=images(pixels))
    test = Split(
        images=_Refusing(3, "a test image was looked at"),
        labels=np.array([0, 1, 0]),
        fingerprint="t" * 64,
    )
    return Dataset(name="numbered", classes=("a", "b"), train=train, test=test, source="here")


def _rows(images):
    return [int(image[0, 0, 0]) * 256 + int(image[4, 0, 0]) for image in images]


def test_images_are_train_images_and_disjoint():
    """The drift is measured on other images than those that were fitted on."""
    dataset = _dataset(500)
    options = conversion_request("int8", dataset, seed=0).options
    calibration, held_out = _rows(options.calibration), _rows(options.held_out)
    assert (len(calibration), len(held_out)) == (CALIBRATION_IMAGES, HELD_OUT_IMAGES)
    assert len(set(calibration + held_out)) == CALIBRATION_IMAGES + HELD_OUT_IMAGES
    assert set(calibration + held_out) <= set(range(500))
    sample = options.sample
    assert (sample.dataset, sample.split, sample.seed) == ("numbered", "train", 0)
    assert sample.fingerprint == dataset.train.fingerprint
    assert (sample.n_calibration, sample.n_held_out) == (len(calibration), len(held_out))


def test_the_seed_chooses_the_images():
    first, again, other = (
        _rows(conversion_request("int8", _dataset(500), seed=seed).options.calibration)
        for seed in (0, 0, 1)
    )
    assert first == again
    assert set(first) != set(other)


def test_a_precision_without_calibration_sees_images_for_the_drift_only():
    options = conversion_request("fp16", _dataset(500), seed=0).options
    assert len(options.calibration) == options.sample.n_calibration == 0
    assert len(options.held_out) == HELD_OUT_IMAGES


@pytest.mark.parametrize(("n_train", "expected"), [(3, (2, 1)), (30, (20, 10)), (150, (100, 50))])
def test_a_small_dataset_gives_two_thirds(n_train, expected):
    options = conversion_request("int8", _dataset(n_train), seed=0).options
    assert (len(options.calibration), len(options.held_out)) == expected


def test_two_images_are_too_few():
    with pytest.raises(DataError, match="numbered has 2 readable train images; int8 needs three"):
        conversion_request("int8", _dataset(2), seed=0)


def test_unreadable_images_are_passed_over():
    """They take no place: the next readable row does."""
    options = conversion_request("int8", _dataset(500, _Gaps), seed=0, n_calibration=10).options
    assert len(options.calibration) == 10
    assert all(row % 2 == 0 for row in _rows(options.calibration))


@pytest.mark.parametrize("number", [0, -1])
def test_no_calibration_images_is_no_choice(number):
    with pytest.raises(ConfigError, match="calibrate.images must be at least 1"):
        conversion_request("int8", _dataset(500), seed=0, n_calibration=number)
