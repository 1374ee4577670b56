"""The two sets of labels of CIFAR-100: datasets of the same images, groups of one another."""

import numpy as np
import pytest

from tlbench.core.errors import DataError
from tlbench.datasets import cifar


@pytest.mark.parametrize(
    ("load", "train", "test", "classes"),
    [
        (cifar.load_cifar100, [3, 0, 1, 2], [3, 0, 1], ("apple", "baby", "bear", "bed")),
        (cifar.load_cifar100_coarse, [1, 0, 0, 1], [1, 0, 0], ("fruit", "people")),
    ],
    ids=["fine", "coarse"],
)
def test_cifar100_has_two_sets_of_labels(
    tmp_path, make_cifar100, request_for, load, train, test, classes
):
    """The fine and the coarse dataset differ in labels and classes."""
    make_cifar100(tmp_path / "data")
    dataset = load(request_for(tmp_path / "data", "cifar100"))
    assert dataset.train.labels.tolist() == train
    assert dataset.test.labels.tolist() == test
    assert dataset.classes == classes


def test_fine_labels_carry_the_coarse_ones_as_groups(tmp_path, make_cifar100, request_for):
    """Which group a class belongs to is read from the rows, which have both labels."""
    make_cifar100(tmp_path / "data")
    dataset = cifar.load_cifar100(request_for(tmp_path / "data", "cifar100"))
    (grouping,) = dataset.groupings
    assert (grouping.name, grouping.groups) == ("coarse", ("fruit", "people"))
    assert grouping.group_of == (0, 0, 1, 1)


def test_a_class_without_rows_has_no_known_group(
    tmp_path, make_cifar100, request_for, python2_pickle
):
    """Nothing in the data says where it belongs."""
    folder = make_cifar100(tmp_path / "data")
    content = {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [1], b"coarse_labels": [0]}
    for name in ("train", "test"):
        (folder / name).write_bytes(python2_pickle(content))
    dataset = cifar.load_cifar100(request_for(tmp_path / "data", "cifar100"))
    assert dataset.groupings[0].group_of == (-1, 0, -1, -1)


def test_a_class_of_two_coarse_labels_is_damage(
    tmp_path, make_cifar100, request_for, python2_pickle
):
    """A coarse label is a function of the fine one; the message names the class."""
    folder = make_cifar100(tmp_path / "data")
    content = {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [1], b"coarse_labels": [1]}
    (folder / "test").write_bytes(python2_pickle(content))
    with pytest.raises(DataError, match="rows of class 'baby' have coarse labels 0 and 1"):
        cifar.load_cifar100(request_for(tmp_path / "data", "cifar100"))


def test_both_sets_of_labels_have_the_same_images(tmp_path, make_cifar100, request_for):
    """Features are cached under the images: the network runs once for both."""
    make_cifar100(tmp_path / "data")
    request = request_for(tmp_path / "data", "cifar100")
    fine, coarse = cifar.load_cifar100(request), cifar.load_cifar100_coarse(request)
    assert fine.train.images_fingerprint == coarse.train.images_fingerprint
    assert fine.train.fingerprint != coarse.train.fingerprint
