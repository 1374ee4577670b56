"""The dataset of a folder with one subfolder of image files per class."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import DataError
from tlbench.core.hashing import sha256_value
from tlbench.core.unused import account
from tlbench.datasets.base import Dataset, DatasetRequest, Split
from tlbench.datasets.decode import ImageFiles, quiet_pillow
from tlbench.datasets.files import ImageFinder, digest_files
from tlbench.datasets.formats import decoder_versions
from tlbench.datasets.splits import SPLIT_NAMES, draw_test_rows, warn_of_shared

_Tree = dict[str, list[Path]]  # the image files of each class
_LAYOUT: Final = "PATH/train/<class>/* with PATH/test/<class>/*, or PATH/<class>/*"
_TESTS: Final = ("test", "val", "valid", "validation")  # the first that is there is for testing
_OUTSIDE: Final = "image outside the class folders"


def load(request: DatasetRequest, /) -> Dataset:
    """Return the dataset ``folder:PATH``: image files, one subfolder per class.

    A class has the images in its folder and in all folders below it. Beside ``train``, a folder
    ``val``, ``valid`` or ``validation`` takes the place of ``test`` where that is absent. If PATH
    has no such folders, one fifth of each class, chosen by ``request.seed``, is for testing. Files
    that are not used are counted in the dataset's ``unused``.
    """
    request.columns.refuse(request.name)
    root = _root(request.argument)
    quiet_pillow()
    finder = ImageFinder(root)
    files, folders = finder.entries(root)
    halves = _halves(root, folders)
    bases = [root / half for half in halves] or [root]
    if halves:
        trees = [_scan(finder, base) for base in bases]
        _leave_out(finder, files)
        for folder in folders:
            if folder.name not in halves:
                _leave_out(finder, finder.below(folder))
        how = f"its own {' and '.join(halves)} folders"
        if "test" not in halves:
            request.listener.warn(
                f"{root} has no folder test: the images in {halves[1]} are used for testing."
            )
    else:
        trees = [_tree(finder, files, folders)]
        how = f"80/20 by seed {request.seed}"
    _check(finder, bases, trees)
    digests = digest_files(
        [file for tree in trees for file in _flat(tree)], finder.leave_out, request.listener
    )
    trees = [
        {name: [file for file in files if file in digests] for name, files in tree.items()}
        for tree in trees
    ]
    classes = _check(finder, bases, trees)
    train, test = map(_flat, trees) if halves else _divide(trees[0], request.seed)
    warn_of_shared(train, test, digests, request.listener)
    splits = [
        _split(files, root, base, classes, digests)
        for files, base in ((train, bases[0]), (test, bases[-1]))
    ]
    return Dataset(
        name=request.name,
        classes=classes,
        train=splits[0],
        test=splits[1],
        source=f"image files in {root}, split: {how}",
        unused=finder.unused.result(),
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


def _halves(root: Path, folders: Iterable[Path]) -> tuple[str, ...]:
    """Return the names of the folders for training and testing; nothing if the root has classes."""
    found = [path.name for path in folders]
    test = next((name for name in _TESTS if name in found), None)
    if "train" in found and test == "test":
        return "train", test
    # A single folder "train" that contains images and no folders is the class of railway trains.
    half = "train" if "train" in found else test or ""
    if half not in {"train", "test"} or not ImageFinder(root).entries(root / half)[1]:
        return ()
    if half == "train" and test is not None:
        return half, test
    missing = "test" if half == "train" else "train"
    msg = f"{root} has no folder {missing!r}, only {', '.join(found)}. Add it. "
    raise DataError(f"{msg}Layouts: {_LAYOUT}.")


def _scan(finder: ImageFinder, folder: Path) -> _Tree:
    return _tree(finder, *finder.entries(folder))


def _tree(finder: ImageFinder, files: Iterable[Path], folders: Iterable[Path]) -> _Tree:
    """Return the image files of each class folder; classes and files are sorted by name."""
    _leave_out(finder, files)
    return {folder.name: finder.below(folder) for folder in folders}


def _leave_out(finder: ImageFinder, files: Iterable[Path]) -> None:
    for file in files:
        finder.leave_out(_OUTSIDE, file)


def _flat(tree: _Tree) -> list[Path]:
    return [file for files in tree.values() for file in files]


def _check(finder: ImageFinder, bases: list[Path], trees: list[_Tree]) -> tuple[str, ...]:
    """Return the classes; raise DataError if there is not an image of each where one must be."""
    root = finder.root
    unused = account(finder.unused.result())
    left_out = f" Files that were not used: {unused}." if unused else ""
    for base, tree in zip(bases, trees, strict=True):
        if not _flat(tree):
            found = f"{len(tree)} class folders" if tree else "no class folders"
            also = f", and {unused}" if unused else ""
            raise DataError(
                f"No images of a class in {base}: found {found}{also}. Layouts: {_LAYOUT}."
            )
        _check_depth(base, tree)
    if len(trees) == 1:
        for name, files in trees[0].items():
            if len(files) < 2:  # noqa: PLR2004 - one to train, one to test
                raise DataError(
                    f"Class {name!r} in {root} has {len(files)} image{'' if files else 's'}: a "
                    "class needs two or more, one of them for testing. Add images, or remove the "
                    f"folder.{left_out}"
                )
        return tuple(trees[0])
    train, test = trees
    if unknown := sorted(set(test) - set(train)):
        raise DataError(
            f"{bases[1]} has classes that {bases[0]} lacks: {', '.join(unknown)}. "
            "Add training images of them, or remove them from the test folder."
        )
    if empty := [name for name, files in train.items() if not files]:
        raise DataError(
            f"{bases[0]} has no images of the class {', '.join(empty)}. "
            f"Add some, or remove the folder from train and test.{left_out}"
        )
    return tuple(train)


def _check_depth(base: Path, tree: _Tree) -> None:
    """Raise DataError if the folders are not the classes: these lie deeper, or those are splits."""
    names = [name for name, files in tree.items() if files]
    if any(file.parent.parent == base for name in names for file in tree[name]):
        return
    if len(names) == 1:
        files = tree[names[0]]
        inner = Path(os.path.commonpath([file.parent for file in files]))
        below = sorted({file.relative_to(inner).parts[0] for file in files if file.parent != inner})
        depth = len(inner.relative_to(base).parts)
        if len(below) > 1:
            raise DataError(
                f"All images lie {'one level' if depth == 1 else f'{depth} levels'} deeper, in "
                f"{inner.relative_to(base).as_posix()}: no other folder in {base} has images. If "
                f"its folders {', '.join(below[:3])}{', ...' if below[3:] else ''} are the "
                f"classes, write folder:{inner}."
            )
    elif all(name.lower() in SPLIT_NAMES for name in names):
        raise DataError(
            f"The folders {', '.join(names)} in {base} look like splits, not classes: all images "
            f"lie one level deeper. Call the folders train and test. Layouts: {_LAYOUT}."
        )


def _divide(tree: _Tree, seed: int) -> tuple[list[Path], list[Path]]:
    import numpy as np

    files = _flat(tree)
    is_test = draw_test_rows(np.repeat(np.arange(len(tree)), [*map(len, tree.values())]), seed)
    train, test = (
        [file for file, one in zip(files, is_test, strict=True) if one == half]
        for half in (False, True)
    )
    return train, test


def _split(
    files: list[Path], root: Path, base: Path, classes: tuple[str, ...], digests: dict[Path, str]
) -> Split:
    import numpy as np

    index = {name: number for number, name in enumerate(classes)}
    # Paths are relative to the split, so that a moved dataset keeps its fingerprint.
    inside = [file.relative_to(base) for file in files]
    labels: LabelArray = np.array([index[path.parts[0]] for path in inside], dtype=np.int64)
    content = [
        [path.as_posix(), digests[file], int(label)]
        for path, file, label in zip(inside, files, labels, strict=True)
    ]
    return Split(
        images=ImageFiles(tuple(files)),
        labels=labels,
        fingerprint=sha256_value(content),
        images_fingerprint=sha256_value([decoder_versions(), [digests[file] for file in files]]),
        names=tuple(file.relative_to(root).as_posix() for file in files),
    )
