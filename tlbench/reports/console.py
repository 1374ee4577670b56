"""The report on a terminal: the answer, what it rests on, how to repeat it; within 80 columns."""

import io

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from tlbench.reports.tables import (
    Table,
    accuracy_table,
    extraction_table,
    headline,
    title_parts,
)
from tlbench.reports.timing import (
    breakdown_table,
    contestants_table,
    costs_table,
    latency_table,
    ratio_table,
    timing_notes,
    verdict_lines,
)
from tlbench.results.records import RunResult

__all__ = ["render"]

_LABEL_WIDTH = 11


def render(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Lay the run out for a terminal: the answer first."""
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
    console.print(_document(run, location, width))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _document(run: RunResult, location: str | None, width: int) -> Group:
    parts: list[RenderableType] = [_title(run, width), Text()]
    if rows := headline(run):
        parts += [_headline(rows), Text()]
    sections: list[RenderableType] = []
    for table in (
        accuracy_table(run.accuracy),
        extraction_table(run.extraction),
        contestants_table(run.contestants),
        ratio_table(run),
        latency_table(run.latency),
        costs_table(run.latency),
        *([breakdown_table(run.breakdown)] if run.breakdown else []),
    ):
        if table.rows:
            sections += [_section(table.title, _grid(table)), Text()]
    for title, lines in (
        ("INVALID", verdict_lines(run.latency)),
        ("Cautions", [*run.model.assumptions, *run.cautions, *timing_notes(run.latency)]),
    ):
        if lines:
            sections += [_section(title, Group(*(Text(line) for line in lines))), Text()]
    if not run.complete:
        sections += [
            _section("Incomplete", Text("interrupted: what is above is all there is")),
            Text(),
        ]
    if location is not None:
        sections.append(_section("Saved", Text(location, overflow="fold")))
    sections.append(_section("Repeat", Text(run.config.command, overflow="fold")))
    return Group(*parts, *sections)


def _title(run: RunResult, width: int) -> Text:
    """Join the parts with dots, breaking lines only between parts."""
    lines, line = [], ""
    for part in title_parts(run):
        joined = f"{line} · {part}" if line else part
        if line and len(joined) > width:
            lines.append(f"{line} ·")
            joined = part
        line = joined
    return Text("\n".join([*lines, line]), style="bold")


def _headline(rows: list[tuple[str, str, str]]) -> Padding:
    table = RichTable.grid(padding=(0, 2, 0, 0))
    for style in ("bold", "bold green", ""):
        table.add_column(style=style, no_wrap=style != "")
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2))


def _grid(table: Table) -> RichTable:
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    for is_right in table.right:
        grid.add_column(justify="right" if is_right else "left", no_wrap=True)
    grid.add_row(*(Text(name, style="dim") for name in table.columns))
    for row in table.rows:
        grid.add_row(*row)
    return grid


def _section(label: str, content: RenderableType) -> Padding:
    table = RichTable.grid(padding=(0, 2, 0, 0))
    table.add_column(width=_LABEL_WIDTH, style="bold")
    table.add_column()
    table.add_row(label, content)
    return Padding(table, (0, 0, 0, 2))
