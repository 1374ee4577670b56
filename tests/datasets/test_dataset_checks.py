"""A dataset that contradicts itself is refused when it is made, before any work."""

import numpy as np
import pytest

from tlbench.core.errors import DataError
from tlbench.datasets import Dataset, Split


def make_split(labels):
    images = np.zeros((len(labels), 4, 4, 3), np.uint8)
    return Split.from_arrays(images, np.array(labels, dtype=np.int64))


def make(*, train=(0, 1), test=(1, 0)):
    return Dataset(
        name="mine",
        classes=("ant", "bee"),
        train=make_split(train),
        test=make_split(test),
        source="the tests",
    )


def test_labels_within_the_classes_are_accepted():
    assert make().test.labels.tolist() == [1, 0]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("labels", [(0, 2), (-1, 1)], ids=["too high", "negative"])
def test_labels_out_of_range_are_refused(split, labels):
    """With the split, what was found and what is possible."""
    expected = f"{split} labels from {min(labels)} to {max(labels)}, but 2 classes.*must be 0 to 1"
    with pytest.raises(DataError, match=expected):
        make(**{split: labels})


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_images_is_refused(split):
    with pytest.raises(DataError, match=f"no {split} images"):
        make(**{split: ()})


def test_a_label_is_needed_for_each_image():
    with pytest.raises(DataError, match="3 images but 2 labels"):
        Split(images=np.zeros((3, 4, 4, 3), np.uint8), labels=np.zeros(2, np.int64), fingerprint="")
