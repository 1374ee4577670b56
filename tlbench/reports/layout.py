"""How a report is laid out on a terminal: sections with a label, grids, a title in parts."""

import io
from collections.abc import Container, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from tlbench.reports.tables import Table

__all__ = ["block", "grid", "laid_out", "section", "title_line"]

_LABEL_WIDTH = 11


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


def grid(table: Table, *, wrapped: Container[str] = ()) -> RichTable:
    """Return a table as columns; those named in *wrapped* break lines where space is short."""
    found = RichTable.grid(padding=(0, 2, 0, 0))
    for name, is_right in zip(table.columns, table.right, strict=True):
        found.add_column(
            justify="right" if is_right else "left",
            no_wrap=name not in wrapped,
            overflow="fold" if name in wrapped else "ellipsis",
        )
    found.add_row(*(Text(name, style="dim") for name in table.columns))
    for row in table.rows:
        found.add_row(*row)
    return found


def section(label: str, content: RenderableType) -> Padding:
    """Return content behind its label."""
    table = RichTable.grid(padding=(0, 2, 0, 0))
    table.add_column(width=_LABEL_WIDTH, style="bold")
    table.add_column()
    table.add_row(label, content)
    return Padding(table, (0, 0, 0, 2))


def block(label: str, content: RenderableType) -> Padding:
    """Return content under its label, for what needs nearly the whole width."""
    table = RichTable.grid()
    table.add_row(Text(label, style="bold"))
    table.add_row(Padding(content, (0, 0, 0, 2)))
    return Padding(table, (0, 0, 0, 2))
