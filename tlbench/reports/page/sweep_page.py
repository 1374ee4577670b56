"""The page of a sweep: its answer, the Pareto front, all tables, and what each cell measured."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from tlbench.core.units import format_percent, format_seconds
from tlbench.records import CellSettings, RunResult, Sweep, SweepCell
from tlbench.reports import conditions
from tlbench.reports.base import Part, Table, table
from tlbench.reports.comparison_figures import sweep_pareto_figure
from tlbench.reports.console import answer_sentence, run_parts
from tlbench.reports.figures import accuracy_figure
from tlbench.reports.page import charts, timing_charts
from tlbench.reports.page.markup import (
    Page,
    Section,
    command_markup,
    figures_markup,
    folded,
    lines_markup,
    paragraph,
    render_page,
    table_markup,
)
from tlbench.reports.sweep import sweep_answer, sweep_parts, sweep_title
from tlbench.reports.timing_figures import timing_figures

_LOUD = ("INVALID",)


def sweep_page(
    sweep: Sweep, runs: Mapping[str, RunResult] | None = None, location: str | None = None
) -> str:
    """Return one self-contained document.

    Parameters
    ----------
    sweep : Sweep
        The sweep.
    runs : mapping of str to RunResult
        The runs of cells by the cells' ids; a cell without one shows its settings alone.
    location : str or None
        Where the sweep is saved.
    """
    places = _places(sweep.cells)
    figure = sweep_pareto_figure(sweep)
    overview = [figures_markup([charts.pareto(figure)]) if figure else Markup()]
    tables: list[Markup] = []
    warnings: list[Markup] = []
    origin: list[Markup] = []
    for part in sweep_parts(sweep, location):
        if isinstance(part, Table):
            (tables if overview[1:] else overview).append(table_markup(part, links=places))
        elif "Repeat" in part:
            origin += _origin(part)
        elif "Answer" not in part:  # that is the heading
            warnings += _lines(part)
    details = [_cell(cell, (runs or {}).get(cell.id), location) for cell in sweep.cells]
    first = next(iter((runs or {}).values()), None)
    if first is not None:
        origin.append(folded("Environment", [table_markup(conditions.environment_table(first))]))
    sections = (
        Section(id="overview", title="Overview", blocks=tuple(overview)),
        Section(id="tables", title="Differences and costs", blocks=tuple(tables)),
        Section(id="cells", title="Each cell", blocks=tuple(details)),
        Section(id="warnings", title="Warnings and notes", blocks=tuple(warnings)),
        Section(id="origin", title="Origin", blocks=tuple(origin)),
    )
    title = sweep_title(sweep)
    return render_page(
        Page(
            title=f"Sweep of {title[0]}. tlbench",
            kicker=" · ".join(title),
            sentence=_sentence(sweep),
            cards=(),
            sections=tuple(one for one in sections if any(one.blocks)),
        )
    )


def _sentence(sweep: Sweep) -> str:
    """Return the verdict; of a single cell, and of none, how many were measured."""
    n_measured = sum(cell.figures is not None for cell in sweep.cells)
    n_cells = len(sweep.cells)
    counted = f"{n_measured} of {n_cells} cell{'' if n_cells == 1 else 's'} measured."
    return sweep_answer(sweep) or counted


def _places(cells: Sequence[SweepCell]) -> dict[str, str]:
    """Return where the details of each cell are, by its name; no place for a name of two cells."""
    names = [cell.name for cell in cells]
    return {cell.name: f"cell-{cell.id}" for cell in cells if names.count(cell.name) == 1}


def _lines(part: Part) -> list[Markup]:
    assert not isinstance(part, Table)
    return [
        lines_markup(title, list(lines), "loud" if title in _LOUD else "")
        for title, lines in part.items()
        if lines
    ]


def _origin(part: Part) -> list[Markup]:
    assert not isinstance(part, Table)
    blocks = [lines_markup("Saved", list(part["Saved"]))]
    return blocks + [command_markup("Repeat", line) for line in part["Repeat"]]


def _cell(cell: SweepCell, run: RunResult | None, location: str | None) -> Markup:
    """Return what is known of a cell, folded; a link of the tables opens it."""
    settings = [
        (name.replace("_", " "), str(value))
        for name in CellSettings.__annotations__
        if (value := getattr(cell.settings, name)) is not None
    ]
    rows = [("id", cell.id), *settings, ("state", cell.state)]
    rows += [("reason", cell.reason)] if cell.reason else []
    if location is not None and cell.figures:
        rows.append(("report", f"tlbench report {location}/cells/{cell.id}"))
    blocks = [
        Markup('<div id="{}">{}</div>').format(
            f"cell-{cell.id}", table_markup(table("Settings", " | ", rows))
        )
    ]
    if run is not None:
        figure = accuracy_figure(run)
        drawings = [charts.interval(figure)] if figure else []
        drawings += [timing_charts.distribution(one) for one in timing_figures(run.latency)]
        blocks += [paragraph(answer_sentence(run), "about"), figures_markup(drawings)]
        for found in run_parts(run, None):
            blocks += [table_markup(found)] if isinstance(found, Table) else _lines(found)
    figures = cell.figures
    summary = cell.reason or cell.state
    if figures is not None:
        accuracy = format_percent(figures.accuracy_fraction)
        summary = f"{accuracy}, {format_seconds(figures.image_s)} per image"
    return folded(f"{cell.name}: {summary}", blocks)
