"""The image files that the rows of a table name, and the images beside them that no row names."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tlbench.core.errors import DataError
from tlbench.datasets.files import ImageFinder, unread
from tlbench.datasets.formats import is_image_suffix


def folder_of(table: Path, texts: Sequence[str]) -> Path:
    """Return the folder that paths in a table are relative to: its own, or one beside the table.

    Of several folders that have files of these names, the one that is called as the table is:
    ``train_images`` for ``train.csv``.
    """
    folder = table.parent
    if _has_one(folder, texts):
        return folder
    found = [
        one
        for one in sorted(folder.iterdir())
        if one.is_dir() and not one.name.startswith(".") and _has_one(one, texts)
    ]
    if len(found) > 1:
        found = [one for one in found if _is_called_as(one, table)] or found
    if len(found) > 1:
        raise DataError(
            f"The images that {table} names are in several folders: "
            f"{', '.join(one.name for one in found)}. Write each path relative to {folder}."
        )
    return found[0] if found else folder


def _has_one(folder: Path, texts: Sequence[str]) -> bool:
    files = NamedFiles(folder)
    return any(isinstance(files.find(text), Path) for text in texts)


def _is_called_as(folder: Path, table: Path) -> bool:
    word = re.match("[a-z]+", folder.name.lower())
    return word is not None and table.stem.lower().startswith(word[0])


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """Finds files by the texts of a table; paths are relative to *base*."""

    base: Path
    _names: dict[Path, str] = field(default_factory=dict)  # of each file that was found
    _by_stem: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)

    def find(self, text: str) -> Path | str:
        """Return the file that a text names, or why there is none to use."""
        if "://" in text:
            return "row with a web address"
        for written in dict.fromkeys((text, text.strip(), text.strip().replace("\\", "/"))):
            # Without "." and "..", so that two ways to write a path are one file.
            path = Path(os.path.normpath(self.base / written))
            if os.path.isfile(path):  # noqa: PTH113 - False for names that no file can have
                return self._checked(path, written)
            if os.path.exists(path):  # noqa: PTH110
                kind = "folder" if path.is_dir() else "pipe or device"
                return f"row whose path is a {kind}"
            with_suffix = self._stems(path.parent).get(path.name, [])
            if len(with_suffix) > 1:
                return "row whose name several files have, but for the suffix"
            if with_suffix:
                return self._checked(with_suffix[0], written)
        return "row whose file does not exist"

    def _checked(self, path: Path, written: str) -> Path | str:
        is_relative = not Path(written).is_absolute() or path.is_relative_to(self.base)
        name = Path(os.path.relpath(path, self.base)) if is_relative else path
        self._names.setdefault(path, name.as_posix())
        return unread(path) or path

    def _stems(self, folder: Path) -> dict[str, list[Path]]:
        """Return the image files of a folder by their names without suffix."""
        if folder not in self._by_stem:
            stems: dict[str, list[Path]] = {}
            try:
                paths = sorted(folder.iterdir())
            except (OSError, ValueError):  # that the row's file does not exist says enough
                paths = []
            for path in paths:
                if is_image_suffix(path.suffix.lower()):
                    stems.setdefault(path.stem, []).append(path)
            self._by_stem[folder] = stems
        return self._by_stem[folder]

    def unnamed(self) -> Iterator[Path]:
        """Yield the images that no text named, of the folders in which images were found."""
        for folder in sorted({path.parent for path in self._names}):
            for path in ImageFinder(folder).entries(folder)[0]:
                if path not in self._names:
                    yield path

    def name_of(self, path: Path) -> str:
        """Return the path relative to the base; one that the table has as absolute, as it is."""
        return self._names.get(path) or Path(os.path.relpath(path, self.base)).as_posix()
