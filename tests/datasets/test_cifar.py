"""CIFAR-10 and CIFAR-100 from their original files."""

import dataclasses
import hashlib
import pickle
import shutil

import numpy as np
import pytest

from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.datasets import cifar


def test_rows_become_images(folder, request_for, python2_pickle):
    """A planar row (red, green, blue planes) becomes an image (32, 32, 3)."""
    row = np.zeros((1, 3072), dtype=np.uint8)
    row[0, 5 * 32 + 7] = 10
    row[0, 1024 + 5 * 32 + 7] = 20
    row[0, 2048 + 5 * 32 + 7] = 30
    (folder / "test_batch").write_bytes(python2_pickle({b"data": row, b"labels": [2]}))
    test = cifar.load_cifar10(request_for(folder.parent)).test
    assert test.images.shape == (1, 32, 32, 3)
    assert test.images[0][5, 7].tolist() == [10, 20, 30]
    assert int(test.images.sum(dtype=int)) == 60
    assert test.labels.tolist() == [2]


def test_batches_keep_their_order(folder, request_for):
    """The five batches follow one another, with as many rows as each file has."""
    dataset = cifar.load_cifar10(request_for(folder.parent))
    assert dataset.train.labels.tolist() == [0, 1, 1, 2, 2, 0, 0, 1, 1, 2]
    assert len(dataset.test) == 2
    assert dataset.classes == ("airplane", "bird", "cat")
    assert dataset.source == f"10 train and 2 test rows of {folder} (labels)"


def test_folder_itself_may_be_the_data_folder(folder, request_for, recorder):
    """--data-dir may name cifar-10-batches-py itself; the fingerprint is the same."""
    inside = cifar.load_cifar10(request_for(folder))
    above = cifar.load_cifar10(request_for(folder.parent))
    assert inside.fingerprint == above.fingerprint
    assert recorder.warnings == []


def test_fingerprint_does_not_depend_on_the_place(folder, request_for, tmp_path):
    """Copied to another place and renamed, it is the same dataset."""
    copy = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(folder, copy)
    here = cifar.load_cifar10(request_for(folder.parent))
    assert cifar.load_cifar10(request_for(copy)).fingerprint == here.fingerprint


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [list, np.array, lambda labels: [np.int64(x) for x in labels]])
def test_files_of_python3_give_the_same_dataset(folder, request_for, protocol, kind):
    """A file written again by Python 3, with text keys, is the same data whatever the protocol.

    Its labels may have become numpy's own numbers.
    """
    expected = cifar.load_cifar10(request_for(folder.parent)).fingerprint
    path = folder / "test_batch"
    content = pickle.loads(path.read_bytes(), encoding="latin1")
    content["labels"] = kind(content["labels"])
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    assert cifar.load_cifar10(request_for(folder.parent)).fingerprint == expected


def arguments_of(request_for, folder, argument):
    request = request_for(folder.parent, f"cifar10:{argument}")
    return dataclasses.replace(request, argument=argument)


@pytest.mark.parametrize(
    ("argument", "labels"),
    [
        ("data_batch_1", [0, 1]),
        ("data_batch_2+data_batch_4", [1, 2, 0, 1]),
        ("data_batch_4 + data_batch_2", [1, 2, 0, 1]),
    ],
)
def test_training_files_can_be_chosen(folder, request_for, argument, labels):
    """One or several, in the archive's order; the test images stay."""
    whole = cifar.load_cifar10(request_for(folder.parent))
    (folder / "data_batch_5").unlink()  # what is not asked for may be absent
    part = cifar.load_cifar10(arguments_of(request_for, folder, argument))
    assert part.train.labels.tolist() == labels
    assert part.test.fingerprint == whole.test.fingerprint
    assert part.name == f"cifar10:{argument}"
    assert part.source.startswith(f"{len(labels)} train")


@pytest.fixture
def same_digests(monkeypatch, folder):
    """Take the digests of the small folder for the published ones."""
    names = [*cifar._CIFAR10.train, *cifar._CIFAR10.test]
    md5 = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in names}
    monkeypatch.setattr(cifar, "_CIFAR10", dataclasses.replace(cifar._CIFAR10, md5=md5))
    return md5


def test_files_have_their_digests(folder, request_for, same_digests):
    """Each file that images were read from, in order; these are all the published ones."""
    files = cifar.load_cifar10(request_for(folder.parent)).files
    assert {file.name: file.md5 for file in files} == same_digests
    assert [file.name for file in files] == list(same_digests)
    assert all(file.published for file in files)


def test_one_byte_makes_another_file(folder, request_for, same_digests):
    """Of the same format and size, with one pixel changed, it is not the published file."""
    path = folder / "data_batch_2"
    content = bytearray(path.read_bytes())
    content[content.index(b"U\x04data") + 300] ^= 1
    path.write_bytes(content)
    dataset = cifar.load_cifar10(request_for(folder.parent))
    assert [file.name for file in dataset.files if not file.published] == ["data_batch_2"]
    part = cifar.load_cifar10(arguments_of(request_for, folder, "data_batch_1"))
    assert [file.name for file in part.files] == ["data_batch_1", "test_batch"]
    assert all(file.published for file in part.files)


def test_made_up_files_are_not_the_published_ones(tmp_path, make_cifar100, request_for, folder):
    """The built-in digests are of other files than these, of either data set."""
    make_cifar100(tmp_path / "data")
    fine = cifar.load_cifar100(request_for(tmp_path / "data", "cifar100"))
    assert [(file.name, file.published) for file in fine.files] == [
        ("train", False),
        ("test", False),
    ]
    ten = cifar.load_cifar10(request_for(folder.parent))
    assert [file.published for file in ten.files] == [False] * 6


@pytest.mark.parametrize(
    ("argument", "error", "match"),
    [
        ("data_batch_9", UnknownNameError, "training file of cifar10 'data_batch_9'"),
        ("test_batch", UnknownNameError, "'test_batch'"),
        ("", UnknownNameError, "Known: data_batch_1, data_batch_2"),
        ("data_batch_1+data_batch_1", ConfigError, "names a file twice"),
    ],
)
def test_training_files_that_cannot_be_chosen(folder, request_for, argument, error, match):
    """Test images are nothing to train on, and no image counts double."""
    with pytest.raises(error, match=match):
        cifar.load_cifar10(arguments_of(request_for, folder, argument))


def test_real_cifar10_has_the_rows_of_the_files(real_data, request_for):
    """The real, smaller copy has 5 x 1,017 training and 1,017 test images of ten classes."""
    dataset = cifar.load_cifar10(request_for(real_data))
    assert (len(dataset.train), len(dataset.test)) == (5 * 1017, 1017)
    assert dataset.classes[0] == "airplane"
    assert dataset.classes[9] == "truck"
    # The first test images of CIFAR-10 are a cat, two ships and an airplane.
    assert dataset.test.labels[:4].tolist() == [3, 8, 8, 0]


@pytest.mark.parametrize(
    ("load", "n_classes"), [(cifar.load_cifar100, 100), (cifar.load_cifar100_coarse, 20)]
)
def test_real_cifar100_has_the_rows_of_the_files(real_data, request_for, load, n_classes):
    """The real, smaller copy has 916 training and 486 test images."""
    dataset = load(request_for(real_data))
    assert (len(dataset.train), len(dataset.test)) == (916, 486)
    assert len(dataset.classes) == n_classes
