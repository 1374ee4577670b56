"""Which images train and which test: by the names of splits, or by seed within each class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tlbench.core.arrays import BoolArray, LabelArray
from tlbench.core.errors import DataError
from tlbench.core.progress import Listener
from tlbench.core.units import format_count

TRAIN: Final = "train"
TEST: Final = "test"
VALIDATION: Final = "validation"
EITHER: Final = ""  # a row that the seed assigns to a split
_KINDS: Final = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "testing"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), VALIDATION),
}
SPLIT_NAMES: Final = frozenset(_KINDS)
_TEST_SHARE: Final = 5  # one image in five
_SHOWN: Final = 3
K = TypeVar("K", bound=Hashable)
_WHOLE_NUMBER: Final = re.compile(r"0|-?[1-9]\d*")


def kind_of(name: str) -> str | None:
    """Return what a split of this name is for: train, test or validation; None for other names."""
    return _KINDS.get(name.strip().casefold())


def draw_test_rows(labels: LabelArray, seed: int) -> BoolArray:
    """Return which rows test, bool (n,): a fifth of each class, at least one, drawn by seed."""
    import numpy as np

    generator = np.random.default_rng(seed)
    is_test = np.zeros(len(labels), dtype=np.bool_)
    counts = np.unique(labels, return_counts=True)[1]
    by_class = np.argsort(labels, kind="stable")
    for rows in np.split(by_class, np.cumsum(counts)[:-1]):
        n_test = max(1, round(len(rows) / _TEST_SHARE))
        is_test[rows[generator.permutation(len(rows))[:n_test]]] = True
    return is_test


def warn_of_shared(
    train: Iterable[K], test: Sequence[K], digests: Mapping[K, str], listener: Listener
) -> None:
    """Warn of test images whose digest is that of a training image."""
    seen = {digests[one] for one in train}
    if shared := sum(digests[one] in seen for one in test):
        listener.warn(
            f"{shared} of {len(test)} test images are also training images, byte for byte: "
            "the accuracy will be too high."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """For each row ``TRAIN``, ``TEST``, ``EITHER``, or None for a row that is not used."""

    of_row: tuple[str | None, ...]
    how: str


def sides_by_seed(n_rows: int, seed: int) -> Sides:
    """Return the sides of rows that have no splits."""
    return Sides(of_row=(EITHER,) * n_rows, how=f"80/20 by seed {seed}")


def choose_sides(
    splits: Sequence[str],
    *,
    where: str,
    table: str,
    seed: int,
    listener: Listener,
    leave_out: Callable[[str, int], None],
) -> Sides:
    """Return the side of each row from the name of its split.

    Validation rows test where there are no test rows; where there are neither, the seed divides the
    training rows. *leave_out* gets the reason and the position of each row of another split.
    """
    kinds = [kind_of(name) for name in splits]
    counts = Counter(splits)
    found = ", ".join(f"{name!r} ({format_count(n)})" for name, n in counts.most_common(10))
    if TRAIN not in kinds:
        raise DataError(
            f"{table} has no training images: the splits in {where} are {found or 'empty'}. "
            "Call them train and test."
        )
    tests = next((kind for kind in (TEST, VALIDATION) if kind in kinds), None)
    for row, (kind, name) in enumerate(zip(kinds, splits, strict=True)):
        if kind not in {TRAIN, tests}:
            leave_out(f"row of the split {name!r}" if name else "row without a split", row)
    sides: dict[str | None, str | None] = {TRAIN: TRAIN, tests: TEST}
    how = f"by {where}"
    if tests is None:
        sides = {TRAIN: EITHER}
        how = f"the training images, {sides_by_seed(0, seed).how}"
        listener.warn(
            f"{table} has no test images: the splits in {where} are {found}. The training images "
            f"are split {sides_by_seed(0, seed).how}."
        )
    elif tests == VALIDATION:
        how += ", validation as test"
        listener.warn(f"{table} has no test images: its validation images are used for testing.")
    return Sides(of_row=tuple(sides.get(kind) for kind in kinds), how=how)


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """The rows of two splits in the order of the table, and the class of each row.

    Arrays are int64: positions (n_train,) and (n_test,), and class indices (n_rows,).
    """

    train: LabelArray
    test: LabelArray
    labels: LabelArray
    classes: tuple[str, ...]


def divide(
    labels: Sequence[int | str],
    sides: Sequence[str],
    *,
    classes: Sequence[str] = (),
    table: str,
    seed: int,
    listener: Listener,
    left_out: str = "",
) -> Division:
    """Return the splits of labelled rows, of which each has the side ``TRAIN``, ``TEST`` or either.

    Parameters
    ----------
    labels : sequence of int or str
        If *classes* are given, numbers are indices into them and text is one of them; else the
        different labels are the classes, whole numbers in their order.
    table, left_out : str
        How messages call the table, and their account of rows that were not used.

    Raises
    ------
    DataError
        If labels are out of range, or a class has no image where it must have one.
    """
    import numpy as np

    account = f" Not used: {left_out}." if left_out else ""
    names, values = _classes(labels, classes, table)
    index = {value: number for number, value in enumerate(values)}
    found: LabelArray = np.array([index[label] for label in labels], dtype=np.int64)
    if EITHER in sides:
        _check_counts(found, names, table, account)
        is_test = draw_test_rows(found, seed)
        is_train = ~is_test
    else:
        is_train, is_test = (np.array([one == side for one in sides]) for side in (TRAIN, TEST))
    for title, rows in (("training", is_train), ("test", is_test)):
        if not rows.any():
            raise DataError(f"{table} has no {title} image that can be used.{account}")
    _check_classes(found[is_train], found[is_test], names, table, listener)
    return Division(
        train=np.flatnonzero(is_train), test=np.flatnonzero(is_test), labels=found, classes=names
    )


def _classes(
    labels: Sequence[int | str], classes: Sequence[str], table: str
) -> tuple[tuple[str, ...], Sequence[int | str]]:
    """Return the names of the classes, and the label that stands for each."""
    different: set[Any] = set(labels)
    numbers = [label for label in different if isinstance(label, int)]
    if not classes:
        if all(_WHOLE_NUMBER.fullmatch(str(label)) for label in different):
            values = sorted(different, key=int)
        else:
            values = sorted(different, key=str)
        return tuple(map(str, values)), values
    if numbers and not 0 <= min(numbers) <= max(numbers) < len(classes):
        raise DataError(
            f"{table} has labels from {min(numbers)} to {max(numbers)}, but names "
            f"{len(classes)} classes: labels must be 0 to {len(classes) - 1}."
        )
    if not numbers and (unknown := sorted(different - set(classes))):
        raise DataError(
            f"{table} has the label {unknown[0]!r}, which is not one of the classes that it names: "
            f"{_some(classes)}."
        )
    return tuple(classes), range(len(classes)) if numbers else classes


def _check_counts(labels: LabelArray, names: Sequence[str], table: str, account: str) -> None:
    """Raise DataError if a class has too few images for two splits."""
    import numpy as np

    numbers, counts = np.unique(labels, return_counts=True)
    if single := [names[number] for number in numbers[counts == 1]]:
        which = f"The class {single[0]!r} has"
        if len(single) > 1:
            which = f"{len(single)} of {len(numbers)} classes ({_some(single)}) have"
        raise DataError(
            f"{which} a single image in {table}: a class needs two or more, one of them for "
            f"testing. Add images, remove these, or check the label column.{account}"
        )


def _check_classes(
    train: LabelArray, test: LabelArray, names: Sequence[str], table: str, listener: Listener
) -> None:
    """Raise DataError for test classes that have no training image; warn of the reverse."""
    in_train, in_test = set(train.tolist()), set(test.tolist())
    if unknown := [names[label] for label in sorted(in_test - in_train)]:
        raise DataError(
            f"{table} has test images of classes without a training image: {_some(unknown)}. Add "
            "training images of them, or remove the test images."
        )
    if untested := [names[label] for label in sorted(in_train - in_test)]:
        listener.warn(f"{table} has no test images of {_some(untested)}.")


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
