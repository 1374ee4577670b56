"""What all reports share: the contract of a renderer, tables as rows of text, and their layout."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Protocol

from tlbench.core.registry import Registry
from tlbench.records import RunResult, encode_run, plain_value


class Renderer(Protocol):
    """An entry of the group ``tlbench.renderers``."""

    def __call__(
        self, run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
    ) -> str:
        """Return the run as text that ends with a line break.

        *location* is where the run is saved; *width*, in columns, and *color*, whether terminal
        escapes may be used, are for formats that are laid out.
        """


RENDERERS: Registry[Renderer] = Registry("renderers")


def render_json(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return the run as JSON: exactly its ``run.json``."""
    del location, width, color
    return encode_run(run).decode()


def json_text(record: Any) -> str:  # noqa: ANN401 - any record
    """Return a record as indented JSON text."""
    return json.dumps(plain_value(record), indent=2, ensure_ascii=False) + "\n"


def letters_of(labels: Iterable[str]) -> dict[str, str]:
    """Return a letter for each different label, A for the first; labels may be long paths."""
    names = dict.fromkeys(labels)
    more = map(str, range(len(ascii_uppercase), len(names)))
    return dict(zip(names, [*ascii_uppercase, *more], strict=False))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; ``right`` says which columns are figures: right-aligned and never wrapped.

    A table without a title is the answer of a report: it has no header and stands out. ``note``
    says what the figures rest on, where the format has room for it: number, unit, interval.
    """

    title: str
    columns: tuple[str, ...]
    right: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


# A table, or lines of text under the titles of their sections.
Part = Table | Mapping[str, Sequence[str]]


def table(title: str, columns: str, rows: Iterable[Sequence[str]], note: str = "") -> Table:
    """Return a table; names of columns stand between bars, a ``>`` before those of figures."""
    names = [name.strip() for name in columns.split("|")]
    right = tuple(name.startswith(">") for name in names)
    return Table(
        title, tuple(name.lstrip(">") for name in names), right, tuple(map(tuple, rows)), note
    )
