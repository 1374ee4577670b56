"""CIFAR files that are missing, damaged, hostile or not what they should be are refused by name."""

import numpy as np
import pytest

from tlbench.core.errors import DataError
from tlbench.datasets import cifar


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_missing_file_is_named(folder, request_for, name):
    """A folder without one of its files is refused with the file's name."""
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"lacks the file {name}"):
        cifar.load_cifar10(request_for(folder.parent))


@pytest.mark.parametrize("name", ["data_batch_2", "test_batch", "batches.meta"])
@pytest.mark.parametrize("kept_fraction", [0, 0.5, 0.99])
def test_truncated_file_is_named(folder, request_for, name, kept_fraction):
    """A file that ends too early is refused with its name."""
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * kept_fraction)])
    with pytest.raises(DataError, match=f"{name} is truncated, damaged or"):
        cifar.load_cifar10(request_for(folder.parent))


ROWS = np.zeros((2, 3072), dtype=np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"labels": [0, 1]}, "has no 'data', only 'labels'"),
        ({b"data": ROWS}, "has no 'labels', only 'data'"),
        ({b"data": [1, 2], b"labels": [0, 1]}, "'data' is not an array but list"),
        ({b"data": ROWS.astype("<i4"), b"labels": [0, 1]}, "found int32"),
        ({b"data": ROWS[:, :3071], b"labels": [0, 1]}, r"found uint8 of shape \(2, 3071\)"),
        ({b"data": ROWS.reshape(-1), b"labels": [0, 1]}, r"found uint8 of shape \(6144,\)"),
        ({b"data": ROWS, b"labels": [0]}, "2 images but 1 labels"),
        ({b"data": ROWS, b"labels": [0, b"1"]}, "not a list of whole numbers"),
        ({b"data": ROWS, b"labels": b"01"}, "not a list of whole numbers"),
        ({b"data": ROWS, b"labels": [0, 3]}, "must be 0 to 2, found 0 to 3"),
        ({b"data": ROWS, b"labels": [-1, 0]}, "must be 0 to 2, found -1 to 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_content_is_named(folder, request_for, python2_pickle, content, message):
    """The error names the file, what is wrong and what was found."""
    (folder / "data_batch_4").write_bytes(python2_pickle(content))
    with pytest.raises(DataError, match=f"data_batch_4.*{message}"):
        cifar.load_cifar10(request_for(folder.parent))


@pytest.mark.parametrize("names", [b"airplane", [1, 2]], ids=["text", "numbers"])
def test_wrong_class_names_are_refused(folder, request_for, python2_pickle, names):
    """Class names must be a list of texts."""
    (folder / "batches.meta").write_bytes(python2_pickle({b"label_names": names}))
    with pytest.raises(DataError, match=r"batches\.meta: 'label_names' is not a list"):
        cifar.load_cifar10(request_for(folder.parent))


def test_empty_dataset_is_refused(folder, request_for, python2_pickle):
    """A test batch without rows makes no dataset."""
    empty = {b"data": ROWS[:0], b"labels": []}
    (folder / "test_batch").write_bytes(python2_pickle(empty))
    with pytest.raises(DataError, match="no test images"):
        cifar.load_cifar10(request_for(folder.parent))


def test_file_that_calls_is_refused(folder, request_for, tmp_path):
    """A batch file that would run a command is refused, and the command is not run."""
    marker = tmp_path / "was-run"
    hostile = b"\x80\x02cposix\nsystem\nX\x00\x00\x00\x00\x85R."
    command = f"touch {marker}".encode()
    hostile = hostile.replace(b"X\x00\x00\x00\x00", b"U" + bytes([len(command)]) + command)
    (folder / "data_batch_1").write_bytes(hostile)
    with pytest.raises(DataError, match=r"data_batch_1 .*asks for 'posix\.system'"):
        cifar.load_cifar10(request_for(folder.parent))
    assert not marker.exists()
