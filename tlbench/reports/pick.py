"""A pick among the cells of a sweep as rows of text: the answer, every cell, ties, what next."""

from collections.abc import Iterator

from tlbench.core.units import format_bytes, format_factor, format_p, format_percent, format_seconds
from tlbench.records import BudgetMiss, JudgedCell, Pick
from tlbench.reports.accuracy import paired_cells
from tlbench.reports.base import Part, Table, json_text, table
from tlbench.reports.sweep import fastest_first, milliseconds, samples_text
from tlbench.reports.timing import factor_interval


def pick_document(pick: Pick) -> str:
    """Return the pick as JSON text, every figure of it."""
    return json_text(pick)


def render_pick(pick: Pick, *, width: int = 80, color: bool = False) -> str:
    """Lay the pick out for a terminal: the answer, every cell against the budgets, what next."""
    from tlbench.reports.layout import laid_out

    return laid_out(pick_title(pick), pick_parts(pick), width=width, color=color)


def pick_title(pick: Pick) -> list[str]:
    """Return the answer: which cell, or that there is none."""
    cells = {one.cell.id: one.cell for one in pick.cells}
    n_passing = sum(one.passes for one in pick.cells)
    passed = f"{n_passing} of {len(pick.cells)} cells pass"
    if pick.picked is None:
        return ["NO CELL PASSES", budget_text(pick)]
    return [f"PICKED {cells[pick.picked].name}", pick.picked, passed, budget_text(pick)]


def budget_text(pick: Pick) -> str:
    """Return the objective and the limits in words."""
    budgets = pick.budgets
    goal = {"accuracy": "most accurate", "latency": "fastest", "size": "smallest"}[pick.objective]
    limits = []
    if budgets.max_latency_s is not None:
        limits.append(f"under {format_seconds(budgets.max_latency_s)} per image")
    if budgets.min_accuracy_fraction is not None:
        limits.append(f"above {format_percent(budgets.min_accuracy_fraction)}")
    if budgets.max_size_bytes is not None:
        limits.append(f"at most {format_bytes(budgets.max_size_bytes)}")
    if budgets.max_memory_bytes is not None:
        limits.append(f"in {format_bytes(budgets.max_memory_bytes)} of memory")
    if budgets.licences is not None:
        limits.append(f"licence {' or '.join(budgets.licences)}")
    return ", ".join([goal, *limits])


def pick_parts(pick: Pick) -> Iterator[Part]:
    """Yield tables and lines in the order of every laid-out format."""
    yield {"Answer": pick_answer(pick)}
    yield judged_table(pick)
    yield tie_table(pick)
    yield {f"{name.capitalize()}": [command] for name, command in pick.commands.items()}
    yield {"Notes": pick.notes}


def pick_answer(pick: Pick) -> list[str]:
    """Return the sentence about the picked cell and its ties, or about the nearest miss."""
    cells = {one.cell.id: one for one in pick.cells}
    if pick.picked is None:
        assert pick.nearest is not None
        nearest = cells[pick.nearest]
        missed = "; ".join(_miss(miss) for miss in nearest.misses)
        return [f"The nearest is {nearest.cell.name} ({nearest.cell.id}). It misses {missed}."]
    cell = cells[pick.picked].cell
    assert cell.figures is not None
    figures = (
        f"{cell.name} classifies {format_percent(cell.figures.accuracy_fraction)} correctly at "
        f"{format_seconds(cell.figures.image_s)} per image"
    )
    if not pick.ties:
        return [f"{figures}. No other cell that passes is tied with it."]
    assert pick.best is not None
    n_ties = len(pick.ties) + 1
    what = {"accuracy": "accuracy", "latency": "time", "size": "size"}[pick.objective]
    how = {"accuracy": "fastest", "latency": "most accurate", "size": "most accurate"}
    tied = f"It is the {how[pick.objective]} of {n_ties} cells that are tied in {what}"
    if pick.best != pick.picked:
        tied += f": {cells[pick.best].cell.name} has the best figure, but no test tells them apart"
    return [f"{figures}. {tied}."]


def _miss(miss: BudgetMiss) -> str:
    return f"{miss.budget}: {miss.text}"


def judged_table(pick: Pick) -> Table:
    """Return every cell with the bounds that were held against the budgets, and what it misses."""
    has_time = any(one.image_interval for one in pick.cells)
    has_accuracy = any(one.accuracy_interval for one in pick.cells)

    def row(one: JudgedCell) -> tuple[str, ...]:
        figures = one.cell.figures
        assert figures is not None
        low, high = one.accuracy_interval, one.image_interval
        return (
            one.cell.name,
            format_percent(figures.accuracy_fraction),
            *[format_percent(low.low) if low else "n/a"] * has_accuracy,
            milliseconds(figures.image_s),
            *[milliseconds(high.high) if high else "n/a"] * has_time,
            "passes" if one.passes else f"misses {_missed(one)}",
        )

    order = {cell.id: i for i, (cell, _) in enumerate(fastest_first([j.cell for j in pick.cells]))}
    rows = [row(one) for one in sorted(pick.cells, key=lambda one: order[one.cell.id])]
    columns = "cell | >accuracy" + " | >at least" * has_accuracy
    columns += " | >ms/image" + " | >at most" * has_time + " | budget"
    samples = samples_text([one.cell for one in pick.cells])
    return table(f"Cells against the budget ({samples})", columns, rows)


def _missed(one: JudgedCell) -> str:
    return ", ".join(dict.fromkeys(miss.budget for miss in one.misses))


def tie_table(pick: Pick) -> Table:
    """Return the cells that cannot be told from the best one, and by how little they differ."""
    names = {one.cell.id: one.cell.name for one in pick.cells}
    rows = [
        (
            names[one.cell],
            *((("n/a",) * 2) if one.paired is None else paired_cells(one.paired)[:2]),
            "n/a" if one.paired is None else format_p(one.paired.p_value),
            format_factor(one.ratio),
            factor_interval(one.ratio_interval),
        )
        for one in pick.ties
    ]
    samples = samples_text([one.cell for one in pick.cells])
    title = f"Tied with {names.get(pick.best or '', '')} ({samples})"
    return table(title, "cell | >points | >95 % interval | >p | >time | >95 % interval", rows)
