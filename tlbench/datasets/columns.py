"""Which columns of a table have the image, its label and its split."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from tlbench.core.errors import ConfigError, DataError
from tlbench.core.registry import unknown_name

# The best first, as `_plain` writes them. An id is a path only where nothing else is.
_PATHS: Final = (
    *("path", "image_path", "img_path", "file_path", "filepath", "image", "img", "file"),
    *("filename", "file_name", "image_file", "image_filename", "image_name", "img_name"),
    *("picture", "photo", "image_id", "img_id", "imageid", "id_code", "id"),
)
_LABELS: Final = (
    *("label", "labels", "class", "class_name", "classname", "category", "target", "label_name"),
    *("category_name", "class_id", "label_id", "category_id"),
)
_SPLITS: Final = ("split", "set", "subset", "data_set", "dataset", "partition", "fold", "usage")
_TWO: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a table to read; None looks for one with a usual name.

    Attributes
    ----------
    path_column : str or None
        The path of an image file, or the image itself where the table holds images.
    label_column : str or None
        The class.
    split_column : str or None
        ``train``, ``test`` or ``validation``.
    """

    path_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None

    def __post_init__(self) -> None:
        names = list(self.given.values())
        if twice := [name for name in names if names.count(name) > 1]:
            raise ConfigError(
                f"path_column, label_column and split_column must differ, got {twice[0]!r} twice."
            )

    @property
    def given(self) -> dict[str, str]:
        """The columns that are given, by parameter."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def refuse(self, dataset: str) -> None:
        """Raise ConfigError if any is given: a dataset without columns would ignore it."""
        for name, value in self.given.items():
            raise ConfigError(
                f"{name}={value!r} does not apply to the dataset {dataset!r}, which has no "
                "columns. Leave it out, or use csv:FILE or parquet:PATH."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumns:
    """The columns of a table: their names as the table has them."""

    path: str
    label: str
    split: str | None


def find_columns(
    names: Sequence[str], wanted: Columns, table: str, *, holders: Sequence[str] | None = None
) -> FoundColumns:
    """Return which of the columns *names* are the ones *wanted*.

    Where a column is not given by name, the first usual name counts; in a table of two columns, the
    one that is not the path is the label. *holders* are the columns that can hold the image: a
    single one does, whatever its name.
    """
    found: dict[str, str | None] = {
        "path": wanted.path_column,
        "label": wanted.label_column,
        "split": wanted.split_column,
    }
    for role, name in found.items():
        if name is not None and name not in names:
            raise unknown_name(f"{role} column", name, list(names))
    if found["path"] is None and holders is not None and len(holders) == 1:
        found["path"] = holders[0]
    for role, usual in (("label", _LABELS), ("split", _SPLITS), ("path", _PATHS)):
        taken = {name for name in found.values() if name is not None}
        among = names if role != "path" or holders is None else holders
        found[role] = found[role] or _usual([name for name in among if name not in taken], usual)
    rest = [name for name in names if name not in found.values()]
    if len(names) == _TWO and len(rest) == 1 and found["split"] is None:
        found["path"], found["label"] = found["path"] or rest[0], found["label"] or rest[0]
    path, label = found["path"], found["label"]
    if path is None or label is None:
        role, meant = ("path", "the image") if path is None else ("label", "the class")
        raise DataError(
            f"{table} has no column that is called as {meant} usually is; its columns: "
            f"{', '.join(map(repr, names))}. Name one with {role}_column=..., or give the table a "
            "first line with the names path and label."
        )
    if twice := [name for name in (path, label, found["split"]) if name and names.count(name) > 1]:
        raise DataError(f"{table} has several columns named {twice[0]!r}. Rename them.")
    return FoundColumns(path=path, label=label, split=found["split"])


def _usual(names: Sequence[str], usual: Sequence[str]) -> str | None:
    by_plain_name = {_plain(name): name for name in reversed(names)}
    return next((by_plain_name[one] for one in usual if one in by_plain_name), None)


def _plain(name: str) -> str:
    """Return a name in lower case, with underscores for spaces and punctuation."""
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
