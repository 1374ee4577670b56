"""How a report is laid out on a terminal: sections with a label, grids, a title in parts."""

import io
import re
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from tlbench.reports.tables import Table

_LABEL_WIDTH = 11
_INDENT = 2
_GAP = 2
_SEAM = re.compile(r"(?<=[./@#,:])(?=[^\W\d])")


def laid_out(document: RenderableType, *, width: int, color: bool) -> str:
    """Return a document as text without blanks at the ends of lines."""
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
    console.print(document)
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def title_line(parts: Sequence[str], width: int) -> Text:
    """Join the parts with dots, breaking lines only between parts."""
    lines, line = [], ""
    for part in parts:
        joined = f"{line} · {part}" if line else part
        if line and len(joined) > width:
            lines.append(f"{line} ·")
            joined = part
        line = joined
    return Text("\n".join([*lines, line]), style="bold")


def section(label: str, content: RenderableType) -> Padding:
    """Return content behind its label."""
    table = RichTable.grid(padding=(0, _GAP, 0, 0))
    table.add_column(width=_LABEL_WIDTH, style="bold")
    table.add_column()
    table.add_row(label, content)
    return Padding(table, (0, 0, 0, _INDENT))


def _block(label: str, content: RenderableType) -> Padding:
    """Return content under its label, for what needs nearly the whole width."""
    table = RichTable.grid()
    table.add_row(Text(label, style="bold"))
    table.add_row(Padding(content, (0, 0, 0, _INDENT)))
    return Padding(table, (0, 0, 0, _INDENT))


def titled(table: Table, width: int) -> Padding:
    """Return a table behind its title, or under it where there is no room.

    No figure and no word is cut: texts and headers wrap between words, and where that does not do
    each row becomes lines of its own, a name and a value each.
    """
    behind = column_widths(table, width - _INDENT - _LABEL_WIDTH - _GAP)
    if behind == _natural_widths(table) and cell_len(table.title) <= _LABEL_WIDTH:
        return section(table.title, _grid(table, behind))
    widths = column_widths(table, width - 2 * _INDENT)
    return _block(table.title, _records(table) if widths is None else _grid(table, widths))


def column_widths(table: Table, room: int) -> list[int] | None:
    """Return the widths at which a table fits into *room* columns of a terminal.

    Texts and headers wrap between words, or else after a dot, a slash and the like; figures, which
    are what a column aligned to the right holds, do not. None where that is not enough.
    """
    return _shrunk(table, room, str.split) or _shrunk(table, room, _pieces)


def _shrunk(table: Table, room: int, split: Callable[[str], list[str]]) -> list[int] | None:
    """Let the widest column that can be narrower give way, until there is room."""
    widths, least = _natural_widths(table), []
    for name, is_right, *cells in zip(table.columns, table.right, *table.rows, strict=True):
        parts = cells if is_right else [part for cell in cells for part in split(cell)]
        least.append(max(map(cell_len, [*split(name), *parts]), default=0))
    excess = sum(widths) + _GAP * (len(widths) - 1) - room
    while excess > 0:
        wide = [i for i, width in enumerate(widths) if width > least[i]]
        if not wide:
            return None
        # what follows a column belongs to it, as rich counts
        widest = max(wide, key=lambda i: widths[i] + _GAP * (i < len(widths) - 1))
        widths[widest] -= 1
        excess -= 1
    return widths


def _natural_widths(table: Table) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(table.columns, *table.rows, strict=True)]


def _pieces(text: str) -> list[str]:
    """Return the parts of a text that stay whole at any width: of 0.05 there is one."""
    return [piece for word in text.split() for piece in _SEAM.split(word)]


def wrapped(text: str, width: int) -> str:
    """Break a text between words, and a word that is too long at a seam if it has one."""
    if cell_len(text) <= width:
        return text
    lines: list[str] = []
    for word in text.split():
        glue = " "
        for piece in [word] if cell_len(word) <= width else _SEAM.split(word):
            if lines and cell_len(lines[-1] + glue + piece) <= width:
                lines[-1] += glue + piece
            else:
                lines.append(piece)
            glue = ""
    return "\n".join(lines)


def _grid(table: Table, widths: Sequence[int]) -> RichTable:
    found = RichTable.grid(padding=(0, _GAP, 0, 0))
    for width, is_right in zip(widths, table.right, strict=True):
        found.add_column(width=width, justify="right" if is_right else "left", overflow="fold")
    for row, style in ((table.columns, "dim"), *((row, "") for row in table.rows)):
        cells = (wrapped(cell, width) for cell, width in zip(row, widths, strict=True))
        found.add_row(*(Text(cell, style=style) for cell in cells))
    return found


def _records(table: Table) -> RichTable:
    """Return a line for each cell that has a text, and a blank one between rows."""
    found = RichTable.grid(padding=(0, _GAP, 0, 0))
    found.add_column(width=max(map(cell_len, table.columns)), style="dim", overflow="fold")
    found.add_column(overflow="fold")
    for number, row in enumerate(table.rows):
        if number:
            found.add_row("", "")
        for name, cell in zip(table.columns, row, strict=True):
            if cell:
                found.add_row(name, cell)
    return found
