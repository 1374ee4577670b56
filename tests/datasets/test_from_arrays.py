"""Datasets of arrays: labels of every form, and fingerprints that follow the content."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tlbench.core.errors import DataError
from tlbench.datasets import Dataset

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)


def made(train_labels, test_labels, **more):
    train, test = IMAGES[: len(train_labels)], IMAGES[: len(test_labels)]
    return Dataset.from_arrays(train, train_labels, test, test_labels, **more)


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "b"],
        np.array(["b", "a", "b"]),
        np.array(["b", "a", "b"], dtype=object),
        [1, 0, 1],
        np.array([[1], [0], [1]]),
        [True, False, True],
        np.array([1, 0, 1], dtype=np.uint8),
    ],
    ids=["text", "text array", "objects", "numbers", "column", "booleans", "bytes"],
)
def test_labels_become_indices(labels):
    """In the order of the sorted classes."""
    dataset = made(labels, labels)
    assert dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.train.labels.dtype == np.int64
    assert len(dataset.classes) == 2


@given(st.lists(st.integers(-5, 5) | st.integers(10**12, 2**62), min_size=6, max_size=6))
def test_every_label_keeps_its_class(labels):
    """The name of an image's class is its label."""
    dataset = made(labels, labels[:1])
    assert [int(dataset.classes[i]) for i in dataset.train.labels] == labels


def test_a_class_may_be_in_one_split_only():
    """Both splits share the classes."""
    assert made(["a", "b"], ["c"]).classes == ("a", "b", "c")


def test_class_names_may_be_given():
    """Numbers are indices into them, also of classes without an image."""
    dataset = made([0, 2], [1], classes=["cat", "dog", "eel"])
    assert dataset.classes == ("cat", "dog", "eel")
    assert made(["eel"], ["cat"], classes=["cat", "dog", "eel"]).train.labels.tolist() == [2]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0.5, 1.0], None, "float64"),
        ([[0, 1], [1, 0]], None, "argmax"),
        ([None, None], None, "object"),
        ([0, 3], ["a", "b"], "holds 3, which is not one of the classes: 0, 1"),
        (["a", "x"], ["a", "b"], "holds 'x'"),
        ([0, 1, 0], None, "2 images but 3 labels"),
    ],
)
def test_wrong_labels_are_refused(labels, classes, message):
    """The message says what was found."""
    with pytest.raises(DataError, match=message):
        Dataset.from_arrays(IMAGES[:2], labels, IMAGES[:2], [0, 0], classes=classes)


def test_the_fingerprint_follows_images_and_labels():
    """Whatever changes the data changes it, and nothing else does."""
    base = made([0, 1], [0])
    assert base.fingerprint == made([0, 1], [0]).fingerprint
    assert base.fingerprint != made([1, 0], [0]).fingerprint
    changed = IMAGES[:2].copy()
    changed[0, 0, 0, 0] ^= 1
    other = Dataset.from_arrays(changed, [0, 1], IMAGES[:1], [0])
    assert base.train.images_fingerprint != other.train.images_fingerprint


def test_the_fingerprint_of_files_follows_their_bytes(tmp_path):
    """Renaming a file changes nothing."""
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    Image.fromarray(IMAGES[0]).save(one)
    two.write_bytes(one.read_bytes())
    made = [Dataset.from_arrays([p], [0], [p], [0]).fingerprint for p in (one, two)]
    assert made[0] == made[1]
    Image.fromarray(IMAGES[1]).save(one)
    assert Dataset.from_arrays([one], [0], [one], [0]).fingerprint != made[0]


def test_a_missing_file_is_named(tmp_path):
    """Before anything is measured."""
    with pytest.raises(DataError, match=r"images\[0\], .*none\.png, cannot be read: No such file"):
        Dataset.from_arrays([tmp_path / "none.png"], [0], IMAGES[:1], [0])


def test_it_says_what_it_is():
    """Not a page of pixels."""
    assert repr(made([0, 1], [0])) == ("Dataset('arrays': 2 train and 1 test images of 2 classes)")
