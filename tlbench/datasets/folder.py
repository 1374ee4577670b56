"""The dataset of a folder with one subfolder of image files per class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tlbench.core.arrays import ImageArray, LabelArray
from tlbench.core.errors import DataError
from tlbench.core.hashing import sha256_file, sha256_value
from tlbench.core.progress import Listener, task
from tlbench.datasets.base import Dataset, DatasetRequest, Split
from tlbench.datasets.decode import SUFFIXES, decode_image, quiet_pillow

_Tree = dict[str, list[Path]]  # the image files of each class
_LAYOUT: Final = "PATH/train/<class>/* with PATH/test/<class>/*, or PATH/<class>/*"
_TEST_SHARE: Final = 5  # one image in five


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images that are decoded on each access; safe to read from several threads."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> ImageArray:
        return decode_image(self.paths[index])


def load(request: DatasetRequest, /) -> Dataset:
    """Return the dataset ``folder:PATH``: JPEG, PNG and WebP files, one subfolder per class.

    If PATH has no folders ``train`` and ``test``, one fifth of each class, chosen by
    ``request.seed``, is for testing. Hidden files, other files and nested folders are ignored.
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
        raise DataError(f"Dataset 'folder' needs a path: write folder:PATH. Layouts: {_LAYOUT}.")
    root = Path(argument).expanduser()
    if not root.exists():
        raise DataError(
            f"The folder {root} does not exist (looked in {Path.cwd()}). Check the path."
        )
    if not root.is_dir():
        raise DataError(f"{root} is a file, not a folder. Name a folder. Layouts: {_LAYOUT}.")
    return root


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"Cannot read the folder {folder}: {reason}. Check its permissions."
        ) from error


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _is_split_in_two(root: Path) -> bool:
    halves = {path.name: path for path in _folders(root) if path.name in {"train", "test"}}
    # A single folder "train" that contains images and no folders is the class of railway trains.
    if len(halves) == 1 and _folders(next(iter(halves.values()))):
        missing = "test" if "train" in halves else "train"
        found = ", ".join(path.name for path in _folders(root))
        msg = f"{root} has no folder {missing!r}, only {found}. Add it. Layouts: {_LAYOUT}."
        raise DataError(msg)
    return len(halves) == len({"train", "test"})


def _scan(folder: Path) -> _Tree:
    """Return the image files of each class; classes and files are sorted by name."""
    return {
        path.name: [
            file for file in _entries(path) if file.suffix.lower() in SUFFIXES and file.is_file()
        ]
        for path in _folders(folder)
    }


def _flat(tree: _Tree) -> list[Path]:
    return [file for files in tree.values() for file in files]


def _check_filled(folder: Path, tree: _Tree) -> None:
    if not _flat(tree):
        suffixes = ", ".join(sorted(SUFFIXES))
        found = f"{len(tree)} class folders" if tree else "no class folders"
        raise DataError(f"No images ({suffixes}) in {folder}: {found}. Layouts: {_LAYOUT}.")


def _check_two(root: Path, train: _Tree, test: _Tree) -> tuple[str, ...]:
    _check_filled(root / "train", train)
    _check_filled(root / "test", test)
    if unknown := sorted(set(test) - set(train)):
        raise DataError(
            f"{root / 'test'} has classes that {root / 'train'} lacks: {', '.join(unknown)}. "
            "Add training images of them, or remove them from the test folder."
        )
    if empty := [name for name, files in train.items() if not files]:
        raise DataError(
            f"{root / 'train'} has no images of the class {', '.join(empty)}. "
            "Add some, or remove the folder from train and test."
        )
    return tuple(train)


def _check_one(root: Path, tree: _Tree) -> tuple[str, ...]:
    _check_filled(root, tree)
    for name, files in tree.items():
        if len(files) < 2:  # noqa: PLR2004 - one to train, one to test
            raise DataError(
                f"Class {name!r} in {root} has {len(files)} image{'' if files else 's'}: a class "
                "needs two or more, one of them for testing. Add images, or remove the folder."
            )
    return tuple(tree)


def _divide(tree: _Tree, seed: int) -> tuple[list[Path], list[Path]]:
    import numpy as np

    generator = np.random.default_rng(seed)
    train: list[Path] = []
    test: list[Path] = []
    for files in tree.values():
        n_test = max(1, round(len(files) / _TEST_SHARE))
        chosen = set(generator.permutation(len(files))[:n_test].tolist())
        for index, file in enumerate(files):
            (test if index in chosen else train).append(file)
    return train, test


def _digest(files: list[Path], listener: Listener) -> dict[Path, str]:
    """Return the SHA-256 of each file's bytes."""
    digests: dict[Path, str] = {}
    with task(listener, "read image files", len(files), "images"):
        for file in files:
            try:
                digests[file] = sha256_file(file)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise DataError(f"Cannot read {file}: {reason}. Check the file.") from error
            listener.advance()
    return digests


def _warn_of_shared(
    train: list[Path], test: list[Path], digests: dict[Path, str], listener: Listener
) -> None:
    seen = {digests[file] for file in train}
    if shared := sum(digests[file] in seen for file in test):
        listener.warn(
            f"{shared} of {len(test)} test files are also training files, byte for byte: "
            "the accuracy will be too high."
        )


def _split(files: list[Path], classes: tuple[str, ...], digests: dict[Path, str]) -> Split:
    import numpy as np

    index = {name: number for number, name in enumerate(classes)}
    labels: LabelArray = np.array([index[file.parent.name] for file in files], dtype=np.int64)
    # Paths are relative to the split, so that a moved dataset keeps its fingerprint.
    content = [
        [f"{file.parent.name}/{file.name}", digests[file], int(label)]
        for file, label in zip(files, labels, strict=True)
    ]
    return Split(
        images=ImageFiles(tuple(files)),
        labels=labels,
        fingerprint=sha256_value(content),
        images_fingerprint=sha256_value([digests[file] for file in files]),
    )
