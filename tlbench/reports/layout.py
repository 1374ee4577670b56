"""Tables and lines as text for a terminal; the one file of the reports that imports rich."""

import io
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from tlbench.core.errors import printable
from tlbench.reports.base import Part, Table

_INDENT = 2
_GAP = 2
# Where a long word may break, never inside a number: after a dot, a slash and the like; where that
# will not do, after a hyphen inside the word as well.
_SEAMS = (
    re.compile(r"(?<=[./@#,:])(?=[^\W\d])"),
    re.compile(r"(?:(?<=[./@#,:])|(?<=\w-))(?=[^\W\d])"),
)
_GLUE = "\u00a0"  # a space at which textwrap does not break


def laid_out(title: Iterable[str], parts: Iterable[Part], *, width: int, color: bool) -> str:
    """Return a title and the parts that are not empty as text for a terminal.

    No line is wider than *width*, and neither a word nor a figure is cut while a line can hold it.
    """
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=color,
        color_system="auto" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(_title_line(map(printable, title), width))
    for part in map(_printable, parts):
        blocks = _table(part, width) if isinstance(part, Table) else _sections(part)
        if blocks:
            console.print()
            console.print(Padding(Group(*blocks), (0, 0, 0, _INDENT)))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _printable(part: Part) -> Part:
    """Return a part as it may go to a terminal, whatever the names in it."""
    if isinstance(part, Table):
        rows = tuple(tuple(map(printable, row)) for row in part.rows)
        columns = tuple(map(printable, part.columns))
        return replace(part, title=printable(part.title), columns=columns, rows=rows)
    return {printable(title): [*map(printable, lines)] for title, lines in part.items()}


def _title_line(parts: Iterable[str], width: int) -> Text:
    """Join the parts with dots, and break lines between parts where that will do."""
    joined = f"{_GLUE}· ".join(part.replace(" ", _GLUE) for part in parts)
    lines = textwrap.fill(joined, width, break_long_words=False, break_on_hyphens=False)
    return Text(lines.replace(_GLUE, " "), style="bold", overflow="fold")


def _sections(sections: Mapping[str, Sequence[str]]) -> list[RenderableType]:
    """Return each title with its lines under it: several lines are a list."""
    blocks: list[RenderableType] = []
    for title, lines in sections.items():
        grid = RichTable.grid(padding=(0, 1, 0, 0))
        for line in lines:
            text = Text(line, overflow="fold")
            grid.add_row(*(("-", text) if len(lines) > 1 else (text,)))
        if lines:
            blocks += [Text(title, style="bold"), Padding(grid, (0, 0, 0, _INDENT))]
    return blocks


def _table(table: Table, width: int) -> list[RenderableType]:
    """Return a table under its title; where it is too wide, each cell becomes a line."""
    if not table.rows:
        return []
    is_answer = not table.title
    room = width - _INDENT * (1 if is_answer else 2)
    widths, seam = _column_widths(table, room, None), _SEAMS[0]
    for one in _SEAMS:
        if widths is None:
            widths, seam = _column_widths(table, room, one), one
    if widths is None:
        found = _one_cell_per_line(table)
    else:
        found = RichTable(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
        found.show_header = not is_answer
        styles = ("bold", "bold green") if is_answer else ()
        for i, (name, is_right) in enumerate(zip(table.columns, table.right, strict=True)):
            found.add_column(
                _broken(name, widths[i], seam),
                width=widths[i],
                justify="right" if is_right else "left",
                overflow="fold",
                style=styles[i] if i < len(styles) else None,
            )
        for row in table.rows:
            found.add_row(
                *(_broken(cell, width, seam) for cell, width in zip(row, widths, strict=True))
            )
    if is_answer:
        return [found]
    return [Text(table.title, style="bold"), Padding(found, (0, 0, 0, _INDENT))]


def _column_widths(table: Table, room: int, seam: re.Pattern[str] | None) -> list[int] | None:
    """Return the widths at which a table fits: the widest column that can wrap gives way first.

    None where words, or their parts between seams, or figures would be cut, as rich alone would do.
    """

    def split(text: str) -> list[str]:
        return text.split() if seam is None else [p for w in text.split() for p in seam.split(w)]

    columns = [list(column) for column in zip(table.columns, *table.rows, strict=True)]
    widths, least = [max(map(cell_len, cells)) for cells in columns], []
    for (name, *cells), is_right in zip(columns, table.right, strict=True):
        whole = cells if is_right else [part for cell in cells for part in split(cell)]
        least.append(max(map(cell_len, [*split(name), *whole]), default=0))
    for _ in range(sum(widths) + _GAP * (len(widths) - 1) - room):
        wide = [i for i, width in enumerate(widths) if width > least[i]]
        if not wide:
            return None
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _broken(text: str, width: int, seam: re.Pattern[str]) -> str:
    """Break words that are too long for a line at their seams; rich wraps the rest."""
    if cell_len(text) <= width:
        return text
    words = text.split()
    return " ".join(word if cell_len(word) <= width else seam.sub("\n", word) for word in words)


def _one_cell_per_line(table: Table) -> RichTable:
    """Return a line for each cell that has a text, and a blank line between rows."""
    found = RichTable.grid(padding=(0, _GAP, 0, 0))
    found.add_column(width=max(map(cell_len, table.columns)), style="dim", overflow="fold")
    found.add_column(overflow="fold")
    for number, row in enumerate(table.rows):
        if number:
            found.add_row()
        for name, cell in zip(table.columns, row, strict=True):
            if cell:
                found.add_row(name, cell)
    return found
