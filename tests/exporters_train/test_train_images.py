"""Images are augmented as they are asked to be, and prepared as the artefact prepares them."""

import numpy as np
import pytest
from toy_training import toy

from exporters.common.fit import SquareFit
from exporters.common.preprocess import choose_resize
from exporters.train.images import (
    AS_IT_IS,
    Augmentation,
    hold,
    preparation,
    standardisation,
)
from tlbench.core.progress import Silent
from tlbench.model import LabelledImages

ROWS = np.arange(6)


def drawn(names, shape=(6, 12, 12, 3), seed=0):
    return Augmentation.draw(names, shape, np.random.default_rng(seed))


@pytest.fixture
def pictures():
    return np.random.default_rng(3).integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)


def test_nothing_is_changed_unless_asked(pictures):
    """Without augmentation a training sees the images themselves."""
    np.testing.assert_array_equal(drawn(()).apply(pictures, ROWS), pictures)


def test_a_flip_mirrors_left_and_right(pictures):
    """About half of the images; never upside down."""
    augmentation = drawn(("flip",))
    assert 0 < augmentation.flip.sum() < 6
    found = augmentation.apply(pictures, ROWS)
    for row in ROWS:
        wanted = pictures[row, :, ::-1] if augmentation.flip[row] else pictures[row]
        np.testing.assert_array_equal(found[row], wanted)


def test_a_shift_moves_whole_pixels_and_continues_the_border(pictures):
    """By at most a tenth of the side."""
    augmentation = drawn(("shift",))
    assert np.abs(augmentation.shift).max() == 1
    found = augmentation.apply(pictures, ROWS)
    for row in ROWS:
        down, right = augmentation.shift[row]
        y, x = (np.clip(np.arange(12) - by, 0, 11) for by in (down, right))
        np.testing.assert_array_equal(found[row], pictures[row][y][:, x])


def test_a_rotation_turns_about_the_middle():
    """A disc in the middle stays; a spot beside it goes round by the angle."""
    image = np.zeros((1, 31, 31, 3), dtype=np.uint8)
    image[0, 15, 27] = 255  # 12 pixels to the right of the middle
    augmentation = Augmentation(
        flip=np.zeros(1, bool), shift=np.zeros((1, 2), np.int64), angle=np.deg2rad([90.0])
    )
    found = augmentation.apply(image, np.arange(1))
    place = np.unravel_index(found[0, :, :, 0].argmax(), (31, 31))
    assert place in {(27, 15), (3, 15)}
    assert found.max() == 255


def test_a_small_rotation_keeps_the_brightness(pictures):
    """Bilinear weights add up to one, and beyond the border its pixels go on."""
    even = np.full_like(pictures, 137)
    np.testing.assert_array_equal(drawn(("rotate", "shift")).apply(even, ROWS), even)


@pytest.mark.parametrize("names", [("flip",), ("shift",), ("rotate",), ("shift", "flip", "rotate")])
def test_the_batch_does_not_matter(pictures, names):
    """An image is changed alike, whichever batch it is in: a resumed training needs that."""
    augmentation = drawn(names)
    whole = augmentation.apply(pictures, ROWS)
    assert (whole != pictures).any()
    for row in ROWS:
        alone = augmentation.apply(pictures[[row]], np.array([row]))
        np.testing.assert_array_equal(alone[0], whole[row])


def test_channels_get_mean_0_and_deviation_1():
    """As the study did with its images, whatever their brightness."""
    images = toy(60).images
    prepared = preparation(10, standardisation(images))(images)
    np.testing.assert_allclose(prepared.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(prepared.std(axis=(0, 1, 2)), 1, rtol=1e-4)


def test_a_channel_of_one_value_is_no_division_by_zero():
    """Grey scans may have a channel without any content."""
    images = toy(60).images.copy()
    images[..., 2] = 40
    prepared = preparation(10, standardisation(images))(images)
    assert np.isfinite(prepared).all()
    np.testing.assert_array_equal(prepared[..., 2], 0)


def test_small_images_are_held_as_they_are():
    """Nothing is lost of images that are no larger than the input."""
    given = toy(5)
    held = hold(given, 32, "images", Silent())
    np.testing.assert_array_equal(held.images, given.images)
    assert not held.are_squares


def labelled(images):
    return LabelledImages(images=images, labels=np.zeros(len(images), np.int64))


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["first", "last"])
def test_images_of_several_sizes_are_resized(order):
    """Each as the artefact does it, rounded to bytes; wherever the one of another size is."""
    sizes = [(20, 24), (20, 24), (9, 9), (40, 16)][order]
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    held = hold(labelled(images), 24, "images", Silent())
    assert held.are_squares
    assert held.images.shape == (4, 24, 24, 3)
    identity = preparation(24, standardisation(np.array([[[[0] * 3, [2] * 3]]], np.uint8)))
    for one, image in zip(held.images, images, strict=True):
        exact = identity(image[np.newaxis])[0] + 1  # mean 1, deviation 1
        assert np.abs(one - exact).max() <= 0.5 + 1e-3  # rounded


@pytest.mark.parametrize("fit", [SquareFit("crop", 0.5), SquareFit("squash"), SquareFit("pad")])
@pytest.mark.parametrize("side", [20, 40], ids=["small", "large"])
def test_images_become_squares_once_and_as_the_artefact_does_it(fit, side):
    """Whether they are held as they are or as squares: a crop is not made twice."""
    images = np.random.default_rng(0).integers(0, 256, (3, side, side - 4, 3), dtype=np.uint8)
    how = {"fit": fit, "resize": choose_resize("bicubic", antialias=True)}
    held = hold(labelled(images), 24, "images", Silent(), **how)
    assert held.are_squares == (side > 24)
    prepare = preparation(24, AS_IT_IS, **({} if held.are_squares else how))
    wanted = preparation(24, AS_IT_IS, **how)(images)
    if held.are_squares:  # rounded to bytes, between which a cubic may go beyond
        wanted = wanted.clip(0, 255)
    assert np.abs(prepare(held.images) - wanted).max() <= (0.501 if held.are_squares else 0)
