"""The report on a terminal: the answer, what it rests on, how to repeat it; within 80 columns."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from tlbench.reports.drift import (
    drift_letters,
    drift_table,
    drifted_accuracy_table,
    drifted_models,
)
from tlbench.reports.layout import grid, laid_out, section, title_line
from tlbench.reports.tables import (
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


def render(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Lay the run out for a terminal: the answer first."""
    return laid_out(_document(run, location, width), width=width, color=color)


def _document(run: RunResult, location: str | None, width: int) -> Group:
    parts: list[RenderableType] = [title_line(title_parts(run), width), Text()]
    if rows := headline(run):
        parts += [_headline(rows), Text()]
    sections: list[RenderableType] = []
    if models := drifted_models(run.drifts):
        named = Group(*(Text(model, overflow="fold") for model in models))
        sections += [section("Models", named), Text()]
    for table in (
        accuracy_table(run.accuracy),
        drift_table(run.drifts),
        drifted_accuracy_table(run.drifts),
        extraction_table(run.extraction, drift_letters(run.drifts)),
        contestants_table(run.contestants),
        ratio_table(run),
        latency_table(run.latency),
        costs_table(run.latency),
        *([breakdown_table(run.breakdown)] if run.breakdown else []),
    ):
        if table.rows:
            sections += [section(table.title, grid(table)), Text()]
    for title, lines in (
        ("INVALID", verdict_lines(run.latency)),
        ("Cautions", [*run.model.assumptions, *run.cautions, *timing_notes(run.latency)]),
    ):
        if lines:
            sections += [section(title, Group(*(Text(line) for line in lines))), Text()]
    if not run.complete:
        sections += [
            section("Incomplete", Text("interrupted: what is above is all there is")),
            Text(),
        ]
    if location is not None:
        sections.append(section("Saved", Text(location, overflow="fold")))
    sections.append(section("Repeat", Text(run.config.command, overflow="fold")))
    return Group(*parts, *sections)


def _headline(rows: list[tuple[str, str, str]]) -> Padding:
    table = RichTable.grid(padding=(0, 2, 0, 0))
    for style in ("bold", "bold green", ""):
        table.add_column(style=style, no_wrap=style != "")
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2))
