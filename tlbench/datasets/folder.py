"""A dataset in the user's own folder: one sub-folder of image files for each class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tlbench.core.arrays import ImageArray, LabelArray
from tlbench.core.errors import DataError
from tlbench.core.hashing import sha256_file, sha256_value
from tlbench.core.progress import Listener
from tlbench.datasets.base import Dataset, DatasetRequest, Split
from tlbench.datasets.decode import SUFFIXES, decode_image, quiet_pillow

_LAYOUT: Final = "PATH/train/<class>/* with PATH/test/<class>/*, or PATH/<class>/*"
_TEST_SHARE: Final = 5  # one image in five


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images that are decoded anew on each access; safe to read from several threads."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def __getitem__(self, index: int, /) -> ImageArray:
        """Decode one image, see `tlbench.datasets.decode.decode_image`."""
        return decode_image(self.paths[index])


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    class_name: str


def load(request: DatasetRequest, /) -> Dataset:
    """Load ``folder:PATH``: JPEG, PNG and WebP files, one sub-folder for each class.

    With both ``PATH/train`` and ``PATH/test`` these are the splits, and other folders in PATH are
    left alone. Else each folder in PATH is a class, and one fifth of each class's images, at least
    one, is kept for testing, chosen by ``request.seed``. Hidden files, other files and folders
    inside a class are ignored. All files are read once for the fingerprint; they are decoded when
    they are asked for, and an image that cannot be decoded raises UnreadableImageError only then.

    Raises
    ------
    DataError
        If the path is missing, has neither layout, a class has too few images, or the test folder
        has a class that the train folder lacks.
    """
    root = _root(request.argument)
    quiet_pillow()
    if _is_split_in_two(root):
        train, test = _scan(root / "train"), _scan(root / "test")
        classes = _check_two(root, train, test)
        how = "its own train and test folders"
        train_files, test_files = _flat(train), _flat(test)
    else:
        tree = _scan(root)
        classes = _check_one(root, tree)
        how = f"80/20 by seed {request.seed}"
        train_files, test_files = _divide(tree, request.seed)
    digests = _digest([*train_files, *test_files], request.listener)
    _warn_of_shared(train_files, test_files, digests, request.listener)
    return Dataset(
        name=request.name,
        classes=classes,
        train=_split(train_files, classes, digests),
        test=_split(test_files, classes, digests),
        source=f"image files in {root}, split: {how}",
    )


def _root(argument: str | None) -> Path:
    if not argument:
        raise DataError(f"Dataset 'folder' needs a path. Write folder:PATH; layouts: {_LAYOUT}.")
    root = Path(argument).expanduser()
    if not root.exists():
        raise DataError(
            f"The folder {root} does not exist (looked in {Path.cwd()}). Check the path."
        )
    if not root.is_dir():
        raise DataError(f"{root} is a file, not a folder. Give the folder; layouts: {_LAYOUT}.")
    return root


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"Cannot read the folder {folder}: {reason}. Check its rights.") from error


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _is_split_in_two(root: Path) -> bool:
    halves = {path.name: path for path in _folders(root) if path.name in {"train", "test"}}
    # A lone folder "train" that holds images and no folders is the class of railway trains.
    if len(halves) == 1 and _folders(next(iter(halves.values()))):
        missing = "test" if "train" in halves else "train"
        found = ", ".join(path.name for path in _folders(root))
        msg = f"{root} has no folder {missing!r}, only {found}. Add it; layouts: {_LAYOUT}."
        raise DataError(msg)
    return len(halves) == len({"train", "test"})


def _scan(folder: Path) -> dict[str, list[_File]]:
    """Return the image files of each class, classes and files in the order of their names."""
    return {
        path.name: [
            _File(file, path.name)
            for file in _entries(path)
            if file.suffix.lower() in SUFFIXES and file.is_file()
        ]
        for path in _folders(folder)
    }


def _flat(tree: dict[str, list[_File]]) -> list[_File]:
    return [file for files in tree.values() for file in files]


def _check_filled(folder: Path, tree: dict[str, list[_File]]) -> None:
    if not _flat(tree):
        kinds = ", ".join(sorted(SUFFIXES))
        found = f"{len(tree)} class folders" if tree else "no class folders"
        msg = f"No images ({kinds}) in {folder}: {found}. Layouts: {_LAYOUT}."
        raise DataError(msg)


def _check_two(
    root: Path, train: dict[str, list[_File]], test: dict[str, list[_File]]
) -> tuple[str, ...]:
    _check_filled(root / "train", train)
    _check_filled(root / "test", test)
    if unknown := sorted(set(test) - set(train)):
        msg = (
            f"{root / 'test'} has classes that {root / 'train'} lacks: {', '.join(unknown)}. "
            "Add training images for them, or remove them from the test folder."
        )
        raise DataError(msg)
    if empty := [name for name, files in train.items() if not files]:
        msg = (
            f"{root / 'train'} has no images of the class {', '.join(empty)}. "
            "Add some, or remove the folder from train and test."
        )
        raise DataError(msg)
    return tuple(train)


def _check_one(root: Path, tree: dict[str, list[_File]]) -> tuple[str, ...]:
    _check_filled(root, tree)
    for name, files in tree.items():
        if len(files) < 2:  # noqa: PLR2004 - one to train, one to test
            msg = (
                f"Class {name!r} in {root} has {len(files)} image{'' if files else 's'}: too few "
                "to have one in each split. Add images, or remove the folder."
            )
            raise DataError(msg)
    return tuple(tree)


def _divide(tree: dict[str, list[_File]], seed: int) -> tuple[list[_File], list[_File]]:
    generator = np.random.default_rng(seed)
    train: list[_File] = []
    test: list[_File] = []
    for files in tree.values():
        n_test = max(1, round(len(files) / _TEST_SHARE))
        chosen = set(generator.permutation(len(files))[:n_test].tolist())
        for index, file in enumerate(files):
            (test if index in chosen else train).append(file)
    return train, test


def _digest(files: list[_File], listener: Listener) -> dict[Path, str]:
    """Return the SHA-256 of each file's bytes."""
    digests: dict[Path, str] = {}
    listener.start("read image files", len(files), "images")
    try:
        for file in files:
            try:
                digests[file.path] = sha256_file(file.path)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise DataError(f"Cannot read {file.path}: {reason}. Check the file.") from error
            listener.advance()
    finally:
        listener.finish()
    return digests


def _warn_of_shared(
    train: list[_File], test: list[_File], digests: dict[Path, str], listener: Listener
) -> None:
    seen = {digests[file.path] for file in train}
    shared = sum(digests[file.path] in seen for file in test)
    if shared:
        listener.warn(
            f"{shared} of {len(test)} test images are byte for byte training images too: "
            "the accuracy will be too good."
        )


def _split(files: list[_File], classes: tuple[str, ...], digests: dict[Path, str]) -> Split:
    index = {name: number for number, name in enumerate(classes)}
    labels: LabelArray = np.array([index[file.class_name] for file in files], dtype=np.int64)
    # The path counts from the split's folder, so that a moved dataset stays the same dataset.
    content = [
        [f"{file.class_name}/{file.path.name}", digests[file.path], int(label)]
        for file, label in zip(files, labels, strict=True)
    ]
    return Split(
        images=ImageFiles(tuple(file.path for file in files)),
        labels=labels,
        fingerprint=sha256_value(content),
        images_fingerprint=sha256_value([digests[file.path] for file in files]),
    )
