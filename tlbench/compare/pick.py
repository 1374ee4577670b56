"""The best cell of a sweep that keeps to a budget, judged by intervals and not by luck.

The cell with the best figures of many is partly the luckiest. So every budget is held against
intervals that hold for all cells at once (Bonferroni): of sweeps in which some cell exceeds a
budget, at most one in twenty lets any such cell pass, whichever is picked then.
"""

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from tlbench import __version__
from tlbench.compare.cells import (
    SIGNIFICANCE,
    MeasuredCell,
    cell_difference,
    open_cells,
    rounds_interval,
)
from tlbench.core.errors import ConfigError, ResultError
from tlbench.core.registry import unknown_name
from tlbench.core.units import format_bytes, format_percent, format_seconds
from tlbench.records import (
    BudgetMiss,
    Budgets,
    CellDifference,
    CellFigures,
    Interval,
    JudgedCell,
    LatencyResult,
    Pick,
    Sweep,
    SweepCell,
    SweepFolder,
)
from tlbench.stats import wilson_interval

Objective: TypeAlias = Literal["accuracy", "latency", "size"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
_CONFIDENCE = 0.95
# Checks whose failure means that the calls may have been shorter than real ones. A machine that is
# busy or unsteady makes them longer, which does not let a cell pass.
_TOO_SHORT = {"batch", "caching", "arithmetic", "finished"}


def pick_cell(folder: SweepFolder, budgets: Budgets, objective: Objective = "accuracy") -> Pick:
    """Return the best cell of a saved sweep that keeps to *budgets*.

    Raises
    ------
    ResultError
        If the sweep is not finished, has no measured cell, or a cell is damaged.
    ConfigError, UnknownNameError
        If a budget is impossible, or the objective unknown.
    """
    check_budgets(budgets)
    if objective not in OBJECTIVES:
        raise unknown_name("objective", objective, list(OBJECTIVES))
    sweep = folder.read()
    if not sweep.complete:
        raise ResultError(
            f"The sweep in {folder.path} is not finished. Run the same `tlbench sweep` again: it "
            "goes on where it stopped."
        )
    measured = open_cells(folder, sweep)
    if not measured:
        raise ResultError(f"All cells of the sweep in {folder.path} failed: there is none to pick.")
    return judge_cells(sweep, measured, budgets, objective, folder=str(folder.path))


def check_budgets(budgets: Budgets) -> None:
    """Raise ConfigError for a limit that no cell could keep to, or that is no number."""
    for name in ("max_latency_s", "max_size_bytes", "max_memory_bytes"):
        value = getattr(budgets, name)
        if value is not None and not 0 < value < float("inf"):
            raise ConfigError(f"{name} must be greater than 0, got {value}.")
    floor = budgets.min_accuracy_fraction
    if floor is not None and not 0 <= floor < 1:
        raise ConfigError(f"min_accuracy must be at least 0 and below 1, got {floor}.")
    if budgets.licences is not None and not budgets.licences:
        raise ConfigError("licences is empty: name at least one licence.")


def judge_cells(
    sweep: Sweep,
    measured: Mapping[str, MeasuredCell],
    budgets: Budgets,
    objective: Objective,
    *,
    folder: str = "",
) -> Pick:
    """Return the pick among cells that are read already."""
    cells = [cell for cell in sweep.cells if cell.id in measured]
    n_intervals = _n_intervals(measured, budgets)
    # Bonferroni: however the intervals depend on one another
    each = 1 - (1 - _CONFIDENCE) / max(1, n_intervals)
    judged = [_judge(cell, measured[cell.id], budgets, objective, each) for cell in cells]
    passing = [one.cell for one in judged if one.passes]
    best = picked = nearest = None
    ties: tuple[CellDifference, ...] = ()
    if passing:
        best, ties = _best(passing, measured, objective)
        equals = {best.id, *(one.cell for one in ties)}
        picked = min((one for one in passing if one.id in equals), key=_PREFERENCES[objective]).id
    else:
        nearest = min(judged, key=_distance).cell.id
    return Pick(
        tlbench_version=__version__,
        folder=folder,
        sweep=sweep.id,
        objective=objective,
        budgets=budgets,
        confidence_fraction=_CONFIDENCE,
        cells=tuple(judged),
        picked=picked,
        best=best.id if best else None,
        ties=ties,
        nearest=nearest,
        commands=_commands(folder, picked, measured) if picked else {},
        notes=tuple(_notes(judged, n_intervals, each)),
    )


def _commands(folder: str, picked: str, measured: Mapping[str, MeasuredCell]) -> dict[str, str]:
    """Return what to do with the picked cell next."""
    run, head = str(Path(folder) / "cells" / picked), measured[picked].accuracy.head
    return {
        "fuse": shlex.join(["tlbench", "fuse", run, "--head", head, "-o", "classifier.onnx"]),
        "gate": shlex.join(["tlbench", "baseline", "save", run, "-o", "baseline.json"])
        + " && tlbench gate RUN --baseline baseline.json",
        "report": shlex.join(["tlbench", "report", run]),
    }


def _n_intervals(measured: Mapping[str, MeasuredCell], budgets: Budgets) -> int:
    """Return how many intervals the budgets need: cells that share a figure need one for it."""
    n_intervals = 0
    if budgets.max_latency_s is not None:
        n_intervals += len({cell.timing.samples_s for cell in measured.values()})
    if budgets.min_accuracy_fraction is not None:
        n_intervals += len({cell.predicted.tobytes() for cell in measured.values()})
    return n_intervals


def _judge(
    cell: SweepCell, measured: MeasuredCell, budgets: Budgets, objective: Objective, each: float
) -> JudgedCell:
    """Hold a cell against every budget, with intervals of the confidence *each*."""
    assert cell.figures is not None
    timing, accuracy = measured.timing, measured.accuracy
    image_interval = accuracy_interval = None
    misses: list[BudgetMiss | None] = []
    if budgets.max_latency_s is not None or objective == "latency":
        misses.append(_unbelievable(timing))
    if budgets.max_latency_s is not None:
        image_interval = rounds_interval(timing, each)
        misses.append(_slow(cell.figures, image_interval, budgets.max_latency_s))
    if budgets.min_accuracy_fraction is not None:
        low, high = wilson_interval(accuracy.n_correct, accuracy.n_test, each)
        accuracy_interval = Interval(
            low=low, high=high, confidence_fraction=each, method="Wilson score interval"
        )
        misses.append(_inaccurate(cell.figures, accuracy_interval, budgets.min_accuracy_fraction))
    if budgets.max_size_bytes is not None:
        misses.append(_large("size", cell.figures.size_bytes, budgets.max_size_bytes))
    if budgets.max_memory_bytes is not None:
        used = [cell.figures.memory_bytes, cell.figures.device_bytes]
        most = max((one for one in used if one is not None), default=None)
        misses.append(_large("memory", most, budgets.max_memory_bytes))
    if budgets.licences is not None:
        misses.append(_unlicensed(cell.figures.licence, budgets.licences))
    return JudgedCell(
        cell=cell,
        image_interval=image_interval,
        accuracy_interval=accuracy_interval,
        misses=tuple(miss for miss in misses if miss),
    )


def _unbelievable(timing: LatencyResult) -> BudgetMiss | None:
    failed = [one.text for one in timing.checks if one.outcome == "fail" and one.name in _TOO_SHORT]
    if not failed:
        return None
    text = f"its times may be too short: {'; '.join(failed)}"
    return BudgetMiss(budget="latency", excess_fraction=None, text=text)


def _slow(figures: CellFigures, interval: Interval | None, limit: float) -> BudgetMiss | None:
    if interval is None:
        text = (
            f"no interval: {figures.n_rounds} rounds are too few, or drift too much; sweep again "
            "with more rounds"
        )
        return BudgetMiss(budget="latency", excess_fraction=None, text=text)
    if interval.high < limit:
        return None
    excess = interval.high / limit - 1
    found = f"{format_seconds(figures.image_s)}, at most {format_seconds(interval.high)}"
    if figures.image_s < limit:
        found = f"{found}: not certainly under {format_seconds(limit)}"
    return BudgetMiss(
        budget="latency",
        excess_fraction=excess,
        text=f"{found}, {format_seconds(interval.high - limit)} over the limit",
    )


def _inaccurate(figures: CellFigures, interval: Interval, floor: float) -> BudgetMiss | None:
    if interval.low > floor:
        return None
    found = f"{format_percent(figures.accuracy_fraction)}, at least {format_percent(interval.low)}"
    if figures.accuracy_fraction > floor:
        found = f"{found}: not certainly above {format_percent(floor)}"
    return BudgetMiss(
        budget="accuracy",
        excess_fraction=(floor - interval.low) / floor if floor else 0.0,
        text=f"{found}, {100 * (floor - interval.low):.1f} points under the limit",
    )


def _large(
    budget: Literal["size", "memory"], value: float | None, limit: float
) -> BudgetMiss | None:
    if value is None:
        text = "its memory was not measured: sweep again with costs=True"
        return BudgetMiss(budget=budget, excess_fraction=None, text=text)
    if value <= limit:
        return None
    text = f"{format_bytes(value)}, {format_bytes(value - limit)} over the limit"
    return BudgetMiss(budget=budget, excess_fraction=value / limit - 1, text=text)


def _unlicensed(licence: str | None, allowed: Sequence[str]) -> BudgetMiss | None:
    """Compare licences as written and without what is in brackets: ``Apache-2.0 (Google)``."""
    named = (licence or "").casefold()
    if {named, named.partition(" (")[0]} & {one.strip().casefold() for one in allowed}:
        return None
    text = f"{licence or 'no licence is known'}: not in {', '.join(allowed)}"
    return BudgetMiss(budget="licence", excess_fraction=None, text=text)


def _distance(judged: JudgedCell) -> tuple[float, ...]:
    """Return how far a cell is from passing: by its worst miss, then by the others."""
    beyond = [math.inf if m.excess_fraction is None else m.excess_fraction for m in judged.misses]
    return (*sorted(beyond, reverse=True), _figures(judged.cell).image_s)


def _figures(cell: SweepCell) -> CellFigures:
    assert cell.figures is not None
    return cell.figures


def _cheapest(cell: SweepCell) -> tuple[float, ...]:
    one = _figures(cell)
    return one.image_s, one.size_bytes, -one.accuracy_fraction


def _most_accurate(cell: SweepCell) -> tuple[float, ...]:
    one = _figures(cell)
    return -one.accuracy_fraction, one.image_s, one.size_bytes


# Among cells that are equal by the objective.
_PREFERENCES: Mapping[Objective, Callable[[SweepCell], tuple[float, ...]]] = {
    "accuracy": _cheapest,
    "latency": _most_accurate,
    "size": _most_accurate,
}


def _best(
    passing: Sequence[SweepCell], measured: Mapping[str, MeasuredCell], objective: Objective
) -> tuple[SweepCell, tuple[CellDifference, ...]]:
    """Return the cell with the best figure, and those that cannot be told from it."""
    keys: dict[Objective, Callable[[SweepCell], Any]] = {
        "accuracy": _most_accurate,
        "latency": _cheapest,
        "size": lambda cell: (_figures(cell).size_bytes, *_most_accurate(cell)),
    }
    best = min(passing, key=keys[objective])

    def is_tie(other: SweepCell, difference: CellDifference) -> bool:
        if objective == "accuracy":
            return difference.paired is not None and difference.paired.p_value > SIGNIFICANCE
        if objective == "latency":
            interval = difference.ratio_interval
            return interval is None or interval.low <= 1
        return _figures(other).size_bytes == _figures(best).size_bytes

    ties = []
    for other in passing:
        if other.id != best.id:
            found = cell_difference((best.id, other.id), measured[best.id], measured[other.id])
            if is_tie(other, found):
                ties.append(found)
    return best, tuple(ties)


def _notes(judged: Sequence[JudgedCell], n_intervals: int, each: float) -> Iterator[str]:
    if n_intervals:
        yield (
            f"Budgets are held against {n_intervals} intervals of {100 * each:.4g} % each, which "
            f"all hold at once in at least {100 * _CONFIDENCE:g} % of sweeps (Bonferroni): of so "
            "many cells, the best looks better than it is. They cover the test images and the "
            "rounds, but not another day or another machine."
        )
    for one in judged:
        if one.passes and _figures(one.cell).verdict == "INVALID":
            yield (
                f"{one.cell.id} ({one.cell.name}): the timing is INVALID: "
                f"{'; '.join(_figures(one.cell).reasons)}"
            )
