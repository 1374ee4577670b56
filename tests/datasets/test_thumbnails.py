"""Thumbnails: the centred square of each image, in one sheet, in the order asked for."""

import io

import numpy as np
import pytest
from PIL import Image

from tlbench.datasets import ThumbnailedImages


def _sheet(images, rows):
    kept = ThumbnailedImages(images, rows)
    for row in rows:
        kept[row]
    found = kept.sheet(rows)
    return np.asarray(Image.open(io.BytesIO(found.content)).convert("RGB")), found


def _tile(pixels, found, position):
    line, column = divmod(position, found.n_columns)
    side = found.side
    return pixels[line * side : (line + 1) * side, column * side : (column + 1) * side]


def test_small_images_keep_their_pixels():
    """Without loss: the blocks of a lossy codec would span several of them."""
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    rows = [3, 9, 0, 5, 7]
    pixels, found = _sheet(images, rows)
    assert (found.side, found.n_columns) == (8, 3)
    for position, row in enumerate(rows):
        np.testing.assert_array_equal(_tile(pixels, found, position), images[row])


def test_a_photograph_is_cut_to_its_centred_square():
    """As the default preprocessing cuts it for the network."""
    photo = np.zeros((90, 300, 3), dtype=np.uint8)
    photo[:, 105:195] = (200, 40, 40)
    pixels, found = _sheet([photo], [0])
    assert (found.side, found.n_columns) == (48, 1)
    # a lossy codec keeps a plain colour to a few steps
    assert np.abs(pixels.astype(int) - (200, 40, 40)).max() < 12


def test_sizes_may_differ():
    """A smaller image is enlarged to the side of the others."""
    images = [np.full((8, 8, 3), 30, np.uint8), np.full((64, 100, 3), 220, np.uint8)]
    pixels, found = _sheet(images, [0, 1])
    assert pixels.shape == (48, 96, 3)
    assert abs(int(_tile(pixels, found, 0).mean()) - 30) < 6
    assert abs(int(_tile(pixels, found, 1).mean()) - 220) < 6


def test_an_image_passes_through_unchanged():
    images = np.random.default_rng(0).integers(0, 256, (3, 100, 80, 3), dtype=np.uint8)
    kept = ThumbnailedImages(images, [1])
    assert len(kept) == 3
    np.testing.assert_array_equal(kept[1], images[1])


def test_of_many_images_thumbnails_are_smaller():
    images = np.zeros((2001, 40, 40, 3), dtype=np.uint8)
    _, found = _sheet(images, list(range(2001)))
    assert (found.side, found.n_columns) == (32, 45)


@pytest.mark.parametrize(("n_images", "most"), [(1017, 500_000), (10_000, 2_200_000)])
@pytest.mark.parametrize("side", [28, 32, 100])
def test_noise_which_nothing_compresses_fits_into_a_page(n_images, most, side):
    """In a page of 1 MB or 4 MB, base64 makes it a third larger, and the text needs the rest."""
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(200)]
    kept = ThumbnailedImages([images[i % 200] for i in range(n_images)], range(n_images))
    for row in range(n_images):
        kept[row]
    assert len(kept.sheet(range(n_images)).content) <= most


@pytest.mark.parametrize("period", [2, 10, 40, 300])
def test_noise_between_plain_images_fits_too(period):
    """Images often come in the order of their classes, over and over, or class by class."""
    images = np.random.default_rng(0).integers(0, 256, (10_000, 32, 32, 3), dtype=np.uint8)
    images[::period] = 0
    kept = ThumbnailedImages(images, range(10_000))
    for row in range(10_000):
        kept[row]
    assert len(kept.sheet(range(10_000)).content) <= 2_200_000


def test_the_quality_suffers_only_where_it_must():
    """The few noisy thumbnails of a small run have three times the bytes of those of many."""
    images = np.random.default_rng(0).integers(0, 256, (1017, 48, 48, 3), dtype=np.uint8)
    few, many = (len(_sheet(images, range(n))[1].content) / n for n in (100, 1017))
    assert few > 3 * many


def test_thumbnails_are_kept_of_chosen_images_only():
    """Of a million images, those that are not shown must not fill the memory."""
    images = np.zeros((5, 8, 8, 3), dtype=np.uint8)
    kept = ThumbnailedImages(images, [1, 3])
    for row in range(5):
        kept[row]
    assert set(kept._tiles) == {1, 3}
