"""The report on a terminal: the answer, what it rests on, how to repeat it; within 80 columns."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from tlbench.records import Reproduction, RunResult
from tlbench.reports.drift import drift_letters, drift_table, drifted_accuracy_table, drifted_models
from tlbench.reports.layout import column_widths, laid_out, section, title_line, titled, wrapped
from tlbench.reports.metrics import grouped_table, metrics_table, search_table, worst_classes
from tlbench.reports.protocols import (
    cross_validation_table,
    inner_search_table,
    learning_curve_table,
)
from tlbench.reports.reproduction import published_table, reproduction_lines
from tlbench.reports.tables import Table, accuracy_table, extraction_table, headline, title_parts
from tlbench.reports.timing import (
    breakdown_table,
    costs_table,
    latency_table,
    models_table,
    ratio_table,
    timing_notes,
    verdict_lines,
)


def render(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Lay the run out for a terminal: the answer first."""
    return laid_out(_document(run, location, width), width=width, color=color)


def _document(run: RunResult, location: str | None, width: int) -> Group:
    parts: list[RenderableType] = [title_line(title_parts(run), width), Text()]
    if run.reproduction is not None:
        parts += _reproduction(run, run.reproduction, width)
    if rows := headline(run):
        parts += [_headline(rows, width), Text()]
    sections: list[RenderableType] = []
    worst = worst_classes(run.accuracy, run.dataset.classes if run.dataset else ())
    content: list[Table | tuple[str, Sequence[str]]] = [
        accuracy_table(run.accuracy),
        search_table(run.accuracy),
        metrics_table(run.accuracy),
        grouped_table(run.accuracy),
        ("Worst", [worst] if worst else []),
        cross_validation_table(run.cross_validation),
        learning_curve_table(run.learning_curves),
        inner_search_table(run.cross_validation, run.learning_curves),
        ("Models", drifted_models(run.drifts)),
        drift_table(run.drifts),
        drifted_accuracy_table(run.drifts),
        extraction_table(run.extraction, drift_letters(run.drifts)),
        models_table(run.models_under_test),
        ratio_table(run),
        latency_table(run.latency),
        costs_table(run.latency),
        *([breakdown_table(run.breakdown)] if run.breakdown else []),
        ("INVALID", verdict_lines(run.latency)),
        ("Cautions", [*run.model.assumptions, *run.warnings, *timing_notes(run.latency)]),
    ]
    for part in content:
        sections += _section(part, width)
    if not run.complete:
        sections += [
            section("Incomplete", Text("interrupted: what is above is all there is")),
            Text(),
        ]
    if location is not None:
        sections.append(section("Saved", Text(location, overflow="fold")))
    if run.config.command:
        sections.append(section("Repeat", Text(run.config.command, overflow="fold")))
    return Group(*parts, *sections)


def _section(part: Table | tuple[str, Sequence[str]], width: int) -> list[RenderableType]:
    """Return a table, or a title with lines, as a section and a blank; nothing for an empty one."""
    if isinstance(part, Table):
        return [titled(part, width), Text()] if part.rows else []
    title, lines = part
    # a path longer than the line is folded, not cut
    folded = Group(*(Text(line, overflow="fold") for line in lines))
    return [section(title, folded), Text()] if lines else []


def _reproduction(run: RunResult, found: Reproduction, width: int) -> list[RenderableType]:
    """Return a recipe's verdicts, and what they rest on."""
    parts: list[RenderableType] = [titled(published_table(found), width), Text()]
    for part in reproduction_lines(run, found):
        parts += _section(part, width)[:1]
    return [*parts, Text()]


def _headline(rows: list[tuple[str, str, str]], width: int) -> Padding:
    """Return the answer: the names wrap first, then what is made of the figures."""
    table = RichTable.grid(padding=(0, 2, 0, 0))
    answer = Table("", ("",) * 3, (False, True, True), tuple(rows))
    widths = column_widths(answer, width - 2)
    widths = widths or column_widths(replace(answer, right=(False, True, False)), width - 2)
    for style, wide in zip(("bold", "bold green", ""), widths or (None,) * 3, strict=True):
        table.add_column(style=style, width=wide, overflow="fold")
    for row in rows:
        table.add_row(*(map(wrapped, row, widths) if widths else row))
    return Padding(table, (0, 0, 0, 2))
