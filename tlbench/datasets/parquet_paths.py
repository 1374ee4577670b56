"""Which Parquet files a path, a folder or a pattern means, and the split that a name tells."""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from tlbench.core.errors import DataError
from tlbench.core.unused import HIDDEN, OTHER, UnusedTally
from tlbench.datasets.formats import is_image_suffix
from tlbench.datasets.splits import kind_of

_ADVICE: Final = (
    "write parquet:PATH, where PATH is a file, a folder or a pattern like data/*.parquet"
)
_SUFFIXES: Final = frozenset({".parquet", ".parq", ".pq"})


def find_files(argument: str | None, tally: UnusedTally) -> tuple[Path, list[Path]]:
    """Return a folder and the Parquet files in it; count its other files."""
    if not argument:
        raise DataError(f"Dataset 'parquet' needs a path: {_ADVICE}.")
    path = Path(argument).expanduser()
    if path.is_file():
        return path.parent, [path]
    if path.is_dir():
        found = sorted(_below(path, tally))
        if not found:
            raise DataError(f"The folder {path} has no Parquet file. Check the path: {_ADVICE}.")
        return path, found
    matches = glob.glob(str(path), recursive=True)  # noqa: PTH207 - Path.glob takes no whole path
    found = sorted(one for one in map(Path, matches) if one.is_file())
    if not found:
        is_pattern = glob.has_magic(str(path))
        problem = f"No file matches {path}" if is_pattern else f"{path} does not exist"
        raise DataError(f"{problem} (looked in {Path.cwd()}). Check the path: {_ADVICE}.")
    return Path(os.path.commonpath([one.parent for one in found])), found


def _below(root: Path, tally: UnusedTally) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            inside = path.relative_to(root)
            if any(part.startswith(".") for part in inside.parts):
                tally.add(HIDDEN, inside.as_posix())
            elif path.suffix.lower() in _SUFFIXES:
                yield path
            elif is_image_suffix(path.suffix.lower()):
                tally.add("image outside the Parquet files", inside.as_posix())
            else:
                tally.add(OTHER, inside.as_posix())


def split_of_file(name: str) -> str:
    """Return the split that a file's name begins with, or that a folder above it is called.

    ``train`` for ``train-00000-of-00002.parquet``; the name itself where it tells no split.
    """
    path = PurePosixPath(name)
    word = re.match("[a-z]+", path.name.lower())
    words = [word[0] if word else "", *(parent.name for parent in path.parents)]
    return next((one for one in words if kind_of(one)), name)
