"""The pass of a baseline over a set of images: skips, errors and progress."""

import numpy as np
import pytest

from tlbench.core.errors import DataError, UnreadableImageError
from tlbench.core.progress import Silent
from tlbench.features import FeatureBaseline, compute_baseline


class Recorder(Silent):
    """A listener that keeps what it hears."""

    def __init__(self):
        self.events = []

    def start(self, task, total=None, unit=""):
        """Keep the beginning."""
        self.events.append(("start", task, total, unit))

    def advance(self, steps=1):
        """Keep the step."""
        self.events.append(("advance", steps))

    def finish(self):
        """Keep the end."""
        self.events.append(("finish",))


class Damaged:
    """Four images of one colour each, of which the ones in *bad* cannot be read."""

    def __init__(self, *bad):
        self.bad = bad

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index in self.bad:
            raise UnreadableImageError(f"image {index} is cut short")
        return np.full((2, 3, 3), index, dtype=np.uint8)


def mean_and_max(image):
    return np.array([image.mean(), image.max()], dtype=np.float32)


BASELINE = FeatureBaseline(name="mean", summary="Mean and largest value.", extract=mean_and_max)


def compute(images, *, baseline=BASELINE, strict=False, listener=None):
    return compute_baseline(baseline, images, strict=strict, listener=listener or Silent())


def test_each_image_has_its_row():
    """Row i is of image i when every image can be read."""
    computed = compute(Damaged())
    np.testing.assert_array_equal(computed.features, np.arange(4)[:, None].repeat(2, axis=1))
    assert computed.features.dtype == np.float32
    np.testing.assert_array_equal(computed.index, np.arange(4))
    assert computed.index.dtype == np.int64
    assert computed.skipped == ()


def test_an_array_of_images_will_do():
    """Images are anything with a length and items: an ndarray (N, H, W, 3) is one."""
    computed = compute(np.full((5, 4, 4, 3), 9, dtype=np.uint8))
    np.testing.assert_array_equal(computed.features, np.full((5, 2), 9))


@pytest.mark.parametrize("bad", [(0,), (3,), (1, 2), (0, 1, 3)])
def test_an_unreadable_image_is_left_out_and_recorded(bad):
    """Features and index are of the readable images only; the reason is kept."""
    computed = compute(Damaged(*bad))
    kept = [position for position in range(4) if position not in bad]
    assert computed.index.tolist() == kept
    assert computed.features[:, 0].tolist() == kept
    assert computed.skipped == tuple(
        (position, f"image {position} is cut short") for position in bad
    )


def test_strict_stops_at_the_first_unreadable_image():
    """With strict, the image's own error comes through."""
    with pytest.raises(UnreadableImageError, match="image 1 is cut short"):
        compute(Damaged(1, 2), strict=True)


def test_nothing_readable_is_an_error():
    """A set without one readable image has no features; the message gives the first reason."""
    with pytest.raises(DataError, match=r"none of the 4 images.*image 0 is cut short"):
        compute(Damaged(0, 1, 2, 3))


def test_no_images_are_an_error():
    """An empty set has no features."""
    with pytest.raises(DataError, match="none of the 0 images"):
        compute(np.zeros((0, 4, 4, 3), dtype=np.uint8))


def test_rows_of_different_lengths_are_an_error_that_names_the_baseline():
    """A plugin whose features depend on the image's size is at fault."""
    ragged = FeatureBaseline(
        name="ragged", summary="", extract=lambda image: np.ones(int(image[0, 0, 0]) + 1)
    )
    with pytest.raises(DataError, match=r"'ragged'.*\(2,\) for image 1.*\(1,\)"):
        compute(Damaged(), baseline=ragged)


def test_the_listener_hears_of_every_image_also_of_a_skipped_one():
    """The bar reaches its end whatever is skipped."""
    listener = Recorder()
    compute(Damaged(2), listener=listener)
    assert listener.events == [
        ("start", "mean features", 4, "images"),
        *[("advance", 1)] * 4,
        ("finish",),
    ]


def test_the_listener_hears_the_end_when_an_image_fails():
    """An error does not leave a progress bar open."""
    listener = Recorder()
    with pytest.raises(UnreadableImageError):
        compute(Damaged(0), strict=True, listener=listener)
    assert listener.events == [("start", "mean features", 4, "images"), ("finish",)]
