"""CIFAR-10 and CIFAR-100 from their original Python files."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tlbench.core.arrays import ImageArray, LabelArray
from tlbench.core.download import fetch_archive
from tlbench.core.errors import ConfigError, DataError
from tlbench.core.registry import unknown_name
from tlbench.datasets.base import Dataset, DatasetRequest, Grouping, SourceFile, Split

_SIDE: Final = 32
_ROW_BYTES: Final = 3 * _SIDE * _SIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    """One of the two original archives, and the files in its folder."""

    folder: str
    url: str
    sha256: str
    md5: Mapping[str, str]  # of the files with images, as torchvision checks them
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    other: tuple[str, ...]

    @property
    def members(self) -> tuple[str, ...]:
        return (*self.train, *self.test, self.meta, *self.other)


_CIFAR10: Final = _Archive(
    folder="cifar-10-batches-py",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test=("test_batch",),
    meta="batches.meta",
    other=("readme.html",),
)
_CIFAR100: Final = _Archive(
    folder="cifar-100-python",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
    train=("train",),
    test=("test",),
    meta="meta",
    other=("file.txt~",),
)


@dataclass(frozen=True, slots=True)
class _Labels:
    """The keys of the labels in a file with images, and of their names in the meta file."""

    key: str
    names_key: str


_ONLY: Final = _Labels("labels", "label_names")
_FINE: Final = _Labels("fine_labels", "fine_label_names")
_COARSE: Final = _Labels("coarse_labels", "coarse_label_names")


def load_cifar10(request: DatasetRequest, /) -> Dataset:
    """Return CIFAR-10: images of 32 x 32 pixels in 10 classes.

    The argument names the training files to use: ``cifar10:data_batch_1+data_batch_2``.
    """
    return _load(request, _CIFAR10, _ONLY)


def load_cifar100(request: DatasetRequest, /) -> Dataset:
    """Return CIFAR-100 with its 100 fine labels; the coarse labels are a grouping of them."""
    return _load(request, _CIFAR100, _FINE, groups=_COARSE)


def load_cifar100_coarse(request: DatasetRequest, /) -> Dataset:
    """Return CIFAR-100 with its 20 coarse labels."""
    return _load(request, _CIFAR100, _COARSE)


def _load(
    request: DatasetRequest, archive: _Archive, labels: _Labels, groups: _Labels | None = None
) -> Dataset:
    import numpy as np

    request.columns.refuse(request.name)
    train_files = _train_files(request, archive)
    folder = _locate(request, archive)
    for member in (*train_files, *archive.test, archive.meta):
        if not (folder / member).is_file():
            msg = f"{folder} lacks the file {member}. Unpack the whole archive again: {archive.url}"
            raise DataError(msg)
    meta = folder / archive.meta
    names = {one.key: _read_classes(meta, one.names_key) for one in (labels, groups) if one}
    classes = names[labels.key]
    sizes = {key: len(found) for key, found in names.items()}
    digests: dict[str, str] = {}
    train, test = (
        _read_rows([folder / name for name in members], sizes, digests)
        for members in (train_files, archive.test)
    )
    groupings: tuple[Grouping, ...] = ()
    if groups is not None:
        fine, coarse = (
            np.concatenate([train[1][key], test[1][key]]) for key in (labels.key, groups.key)
        )
        group_of = _group_of(fine, coarse, classes, folder)
        groupings = (Grouping(name="coarse", groups=names[groups.key], group_of=group_of),)
    return Dataset(
        name=request.name,
        classes=classes,
        train=Split.from_arrays(train[0], train[1][labels.key]),
        test=Split.from_arrays(test[0], test[1][labels.key]),
        # With the number of rows: a smaller copy must not pass for the published dataset.
        source=f"{len(train[0])} train and {len(test[0])} test rows of {folder} ({labels.key})",
        groupings=groupings,
        files=tuple(
            SourceFile(name=name, md5=md5, published=md5 == archive.md5[name])
            for name, md5 in digests.items()
        ),
    )


def _group_of(
    fine: LabelArray, coarse: LabelArray, classes: tuple[str, ...], folder: Path
) -> tuple[int, ...]:
    """Return the coarse label of each class; -1 for a class without rows."""
    import numpy as np

    found = np.full(len(classes), -1, dtype=np.int64)
    found[fine] = coarse
    if len(wrong := np.flatnonzero(found[fine] != coarse)):
        row = int(wrong[0])
        raise DataError(
            f"{folder}: rows of class {classes[fine[row]]!r} have coarse labels {coarse[row]} and "
            f"{found[fine[row]]}, but a class has one coarse label. Get the files again."
        )
    return tuple(found.tolist())


def _train_files(request: DatasetRequest, archive: _Archive) -> tuple[str, ...]:
    """Return the training files that the argument names; all of them if there is no argument."""
    if request.argument is None:
        return archive.train
    names = [name.strip() for name in request.argument.split("+")]
    for name in names:
        if name not in archive.train:
            dataset = request.name.partition(":")[0]
            raise unknown_name(f"training file of {dataset}", name, list(archive.train))
    if len(set(names)) < len(names):
        msg = f"dataset={request.name!r} names a file twice: its images would count twice."
        raise ConfigError(msg)
    # In the archive's order, so that the same rows are the same dataset.
    return tuple(name for name in archive.train if name in names)


def _locate(request: DatasetRequest, archive: _Archive) -> Path:
    """Return the folder with the files: the user's, else the downloaded one."""
    kept = request.download_dir / archive.folder
    looked = str(kept.parent)
    if request.data_dir is not None:
        data_dir = _check_data_dir(request.data_dir.expanduser())
        if (data_dir / archive.folder).is_dir():
            return data_dir / archive.folder
        if data_dir.resolve().name == archive.folder or (data_dir / archive.meta).is_file():
            return data_dir
        instead = f"the copy in {kept}" if kept.is_dir() else f"a download of {archive.url}"
        request.listener.warn(
            f"No {archive.folder} in the data folder {data_dir}: using {instead}."
        )
        looked = f"{data_dir} nor {looked}"
    if kept.is_dir():
        return kept
    try:
        return fetch_archive(archive.url, archive.sha256, archive.members, kept, request.listener)
    except DataError as error:
        raise DataError(
            f"No folder {archive.folder} in {looked}. {error} "
            "Unpack the archive yourself and pass the folder that contains it as data_dir."
        ) from error


def _check_data_dir(data_dir: Path) -> Path:
    """Return the user's data folder if it has anything in it: no download makes up for a typo."""
    advice = (
        "Check data_dir (or TLBENCH_DATA); without it, the dataset is downloaded into the cache"
    )
    try:
        with os.scandir(data_dir) as entries:
            is_empty = next(entries, None) is None
    except OSError as error:
        raise DataError(
            f"The data folder {data_dir} cannot be read: {error.strerror} (looked from "
            f"{Path.cwd()}). {advice}."
        ) from error
    if is_empty:
        raise DataError(f"The data folder {data_dir} is empty. {advice}.")
    return data_dir


def _read_classes(path: Path, key: str) -> tuple[str, ...]:
    from tlbench.datasets.unpickle import read_pickle

    names = _value(read_pickle(path), key, path)
    if not isinstance(names, list) or not all(isinstance(name, (bytes, str)) for name in names):
        raise DataError(f"{path}: {key!r} is not a list of class names. Get the file again.")
    return tuple(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names
    )


def _read_rows(
    paths: list[Path], sizes: dict[str, int], digests: dict[str, str]
) -> tuple[ImageArray, dict[str, LabelArray]]:
    """Return the images (n_images, 32, 32, 3) of all files, and the labels (n_images,) by key.

    *sizes* has the number of classes of each key; the MD5 of each file is added to *digests*.
    """
    import numpy as np

    parts = [_read_file(path, sizes, digests) for path in paths]
    labels = {key: np.concatenate([part[1][key] for part in parts]) for key in sizes}
    rows = np.concatenate([part[0] for part in parts])
    # A row is planar (all red, all green, all blue values); the images are a view of the rows.
    return rows.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1), labels


def _read_file(
    path: Path, sizes: dict[str, int], digests: dict[str, str]
) -> tuple[ImageArray, dict[str, LabelArray]]:
    import numpy as np

    from tlbench.datasets.unpickle import read_pickle

    md5 = hashlib.md5(usedforsecurity=False)
    content = read_pickle(path, md5.update)
    digests[path.name] = md5.hexdigest()
    rows = _value(content, "data", path)
    if not isinstance(rows, np.ndarray):
        found = type(rows).__name__
        raise DataError(f"{path}: 'data' is not an array but {found}. Get the file again.")
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != _ROW_BYTES:  # noqa: PLR2004 - a matrix has two
        raise DataError(
            f"{path}: 'data' must be uint8 of shape (n_images, {_ROW_BYTES}), "
            f"found {rows.dtype} of shape {rows.shape}. Get the file again."
        )
    return rows, {key: _labels(content, key, size, len(rows), path) for key, size in sizes.items()}


def _labels(
    content: dict[str, object], key: str, n_classes: int, n_rows: int, path: Path
) -> LabelArray:
    import numpy as np

    labels = _value(content, key, path)
    if isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu":
        labels = labels.tolist()
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path}: {key!r} is not a list of whole numbers. Get the file again.")
    if len(labels) != n_rows:
        raise DataError(f"{path}: {n_rows} images but {len(labels)} {key}. Get the file again.")
    if labels and not 0 <= min(labels) <= max(labels) < n_classes:
        raise DataError(
            f"{path}: {key!r} must be 0 to {n_classes - 1}, "
            f"found {min(labels)} to {max(labels)}. Get the file again."
        )
    return np.array(labels, dtype=np.int64)


def _value(content: dict[str, object], key: str, path: Path) -> object:
    if key not in content:
        found = ", ".join(repr(name[:40]) for name in sorted(content)[:10]) or "nothing"
        raise DataError(f"{path} has no {key!r}, only {found}. Is it a file of this dataset?")
    return content[key]
