"""Small datasets in the original formats, made on the spot."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tlbench.datasets import DatasetRequest, cifar

CIFAR10_CLASSES = [b"airplane", b"bird", b"cat"]
FINE_CLASSES = [b"apple", b"baby", b"bear", b"bed"]
COARSE_CLASSES = [b"fruit", b"people"]


def _text2(value):
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + len(value).to_bytes(4, "little") + value


def _array2(array):
    shape = b"".join(b"M" + size.to_bytes(2, "little") for size in array.shape)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\nq\xf0cnumpy\nndarray\nq\xf1K\x00\x85"
        + _text2(b"b")
        + b"\x87R(K\x01("
        + shape
        + b"tcnumpy\ndtype\nq\xf2"
        + _text2(array.dtype.str[1:].encode())
        + b"K\x00K\x01\x87R(K\x03"
        + _text2(array.dtype.str[:1].encode())
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + _text2(array.tobytes())
        + b"tb"
    )


def _value2(value):
    if isinstance(value, bytes):
        return _text2(value)
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if isinstance(value, list):
        return b"](" + b"".join(map(_value2, value)) + b"e"
    return _array2(value)


def dump_python2(content):
    """Write a dictionary with byte-string keys as Python 2 and numpy 1 wrote it, protocol 2."""
    items = b"".join(_text2(key) + _value2(value) for key, value in content.items())
    return b"\x80\x02}q\x00(" + items + b"u."


@pytest.fixture
def python2_pickle():
    return dump_python2


@pytest.fixture(scope="session")
def python2_dump():
    """The same, for fixtures that outlive a test."""
    return dump_python2


def _rows(n, seed):
    return np.random.default_rng(seed).integers(0, 256, size=(n, 3072), dtype=np.uint8)


@pytest.fixture
def make_cifar10():
    """Return a function that writes a small CIFAR-10 folder (2 rows a file) under a parent."""

    def make(parent):
        folder = parent / "cifar-10-batches-py"
        folder.mkdir(parents=True)
        names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
        for seed, name in enumerate(names):
            content = {b"batch_label": name.encode(), b"data": _rows(2, seed)}
            content[b"labels"] = [seed % 3, (seed + 1) % 3]
            (folder / name).write_bytes(dump_python2(content))
        meta = {b"num_vis": 3072, b"label_names": CIFAR10_CLASSES}
        (folder / "batches.meta").write_bytes(dump_python2(meta))
        (folder / "readme.html").write_bytes(b"<html></html>")
        return folder

    return make


@pytest.fixture
def make_cifar100():
    """Return a function that writes a small CIFAR-100 folder (4 and 3 rows) under a parent."""

    def make(parent):
        folder = parent / "cifar-100-python"
        folder.mkdir(parents=True)
        for name, n, seed in (("train", 4, 10), ("test", 3, 11)):
            fine = [3, 0, 1, 2][:n]
            content = {
                b"data": _rows(n, seed),
                b"fine_labels": fine,
                b"coarse_labels": [f // 2 for f in fine],
            }
            (folder / name).write_bytes(dump_python2(content))
        meta = {b"fine_label_names": FINE_CLASSES, b"coarse_label_names": COARSE_CLASSES}
        (folder / "meta").write_bytes(dump_python2(meta))
        return folder

    return make


@pytest.fixture
def request_for(tmp_path, recorder):
    """Return a function that makes a request which downloads to a folder of the test."""

    def make(data_dir=None, name="cifar10"):
        return DatasetRequest(
            name=name,
            data_dir=data_dir,
            download_dir=tmp_path / "downloads",
            listener=recorder,
        )

    return make


@pytest.fixture
def no_network(monkeypatch, closed_address):
    """Point the downloads at an address where nothing listens, and return it."""
    for name in ("_CIFAR10", "_CIFAR100"):
        archive = getattr(cifar, name)
        monkeypatch.setattr(
            cifar, name, dataclasses.replace(archive, url=f"{closed_address}/{archive.folder}.tgz")
        )
    return closed_address


@pytest.fixture
def folder(tmp_path, make_cifar10, no_network):
    """A small CIFAR-10, and no way to another."""
    return make_cifar10(tmp_path / "data")


@pytest.fixture
def make_images():
    """Return a function that writes *n* different PNG images of 5 x 4 pixels into a folder."""

    def make(folder, n, seed=0):
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng([seed, *folder.name.encode()])
        for number in range(n):
            pixels = generator.integers(0, 256, size=(5, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:02}.png")
        return folder

    return make
