"""Files that were found and not used: how many, for which reason, and a few of their names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tlbench.core.units import format_count

_N_EXAMPLES: Final = 3
_NOUN: Final = re.compile(r"(?<![\w-])(file|folder|image|link|pipe|page|row)\b")

HIDDEN: Final = "hidden file"
OTHER: Final = "file without an image"
UNNAMED: Final = "image that no row of the table names"
REPEATED: Final = "repeated row"
# Nobody misses these: they are counted and shown, but strictness is about images.
_EXPECTED: Final = frozenset({HIDDEN, OTHER, UNNAMED, REPEATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedFiles:
    """The files of a dataset that were not used for one reason.

    Attributes
    ----------
    reason : a phrase for one of them, such as ``"empty file"``
    examples : the names of the first few, relative to the dataset's folder
    """

    reason: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        noun = self.reason if self.count == 1 else _NOUN.sub(r"\1s", self.reason, count=1)
        more = ", ..." if self.count > len(self.examples) else ""
        names = f": {', '.join(self.examples)}{more}" if self.examples else ""
        return f"{format_count(self.count)} {noun}{names}"


class UnusedTally:
    """Counts unused files by reason; keeps the first names of each."""

    def __init__(self, counted: Iterable[UnusedFiles] = ()) -> None:
        self._count = {one.reason: one.count for one in counted}
        self._examples = {one.reason: [*one.examples] for one in counted}

    def add(self, reason: str, name: str) -> None:
        """Count one file."""
        self._count[reason] = self._count.get(reason, 0) + 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < _N_EXAMPLES:
            examples.append(name)

    def add_all(self, counted: Iterable[UnusedFiles], folder: Path) -> None:
        """Add what was counted in a folder; its name goes before those of the files."""
        for one in counted:
            self._count[one.reason] = self._count.get(one.reason, 0) + one.count
            examples = self._examples.setdefault(one.reason, [])
            room = _N_EXAMPLES - len(examples)
            examples += [str(folder / name) for name in one.examples[:room]]

    def result(self) -> tuple[UnusedFiles, ...]:
        """Return what was counted, the most frequent reason first."""
        return tuple(
            UnusedFiles(reason=reason, count=count, examples=tuple(self._examples[reason]))
            for reason, count in sorted(self._count.items(), key=lambda item: (-item[1], item[0]))
        )


def missed(unused: Iterable[UnusedFiles]) -> bool:
    """Return whether one of the files may be an image: neither hidden nor of another kind."""
    return any(one.reason not in _EXPECTED for one in unused)


def account(unused: Iterable[UnusedFiles]) -> str:
    """Return one line that accounts for every file."""
    return "; ".join(map(str, unused))
