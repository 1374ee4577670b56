"""How a report is laid out on a terminal: sections with a label, grids, a title in parts."""

import io
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from tlbench.reports.tables import Table

__all__ = ["column_widths", "laid_out", "section", "title_line", "titled"]

_LABEL_WIDTH = 11
_INDENT = 2
_GAP = 2


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

    The widest of the columns that wrap gives way first. None where a word, or a figure, which is
    what a column aligned to the right holds, is longer than its share.
    """
    widths = _natural_widths(table)
    least = [
        max(
            map(cell_len, [*name.split(), *(cells if is_right else " ".join(cells).split())]),
            default=0,
        )
        for name, is_right, *cells in zip(table.columns, table.right, *table.rows, strict=True)
    ]
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


def _grid(table: Table, widths: Sequence[int]) -> RichTable:
    found = RichTable.grid(padding=(0, _GAP, 0, 0))
    for width, is_right in zip(widths, table.right, strict=True):
        found.add_column(width=width, justify="right" if is_right else "left", overflow="fold")
    found.add_row(*(Text(name, style="dim") for name in table.columns))
    for row in table.rows:
        found.add_row(*row)
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
