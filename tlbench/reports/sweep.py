"""A sweep as rows of text: the answer, the Pareto table, the differences, the costs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tlbench.core.units import (
    format_bytes,
    format_count,
    format_factor,
    format_p,
    format_percent,
    format_points,
)
from tlbench.records import (
    CellDifference,
    CellFigures,
    CellSettings,
    Interval,
    Sweep,
    SweepCell,
)
from tlbench.reports.accuracy import format_interval, paired_cells
from tlbench.reports.base import Part, Table, json_text, table
from tlbench.reports.timing import factor_interval

# Of McNemar's test, two-sided: above it the answer says "within noise".
_SIGNIFICANCE = 0.05
_SCOPE = (
    "Times are medians; their intervals, like those of the time ratios, are over the rounds and "
    "cover neither another day nor another machine. Accuracies (Wilson) and their differences "
    "(Tango's interval, McNemar's exact test) cover the choice of the test images, not that of the "
    "training images or the seed. No correction is made for the number of cells."
)


def sweep_document(sweep: Sweep) -> str:
    """Return the sweep as JSON text: its ``sweep.json``."""
    return json_text(sweep)


def render_sweep(
    sweep: Sweep, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Lay the sweep out for a terminal: the answer, the Pareto table, what it rests on."""
    from tlbench.reports.layout import laid_out

    return laid_out(sweep_title(sweep), sweep_parts(sweep, location), width=width, color=color)


def sweep_title(sweep: Sweep) -> list[str]:
    """Return how many cells there are, what all of them share, and the data."""
    cells = sweep.cells
    shared = [
        _NOUNS[name](value)
        for name in CellSettings.__annotations__
        if len(values := {getattr(cell.settings, name) for cell in cells}) == 1
        and (value := values.pop()) is not None
    ]
    n_train, n_test = format_count(sweep.n_train), format_count(sweep.n_test)
    n_cells = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
    return [n_cells, *shared, f"{sweep.dataset} ({n_train} train, {n_test} test)"]


def sweep_parts(sweep: Sweep, location: str | None = None) -> Iterator[Part]:
    """Yield tables and lines in the order of every laid-out format."""
    yield {"Answer": [sentence] if (sentence := sweep_answer(sweep)) else []}
    yield pareto_table(sweep)
    yield difference_table(sweep)
    yield costs_table(sweep)
    yield failed_lines(sweep.cells)
    yield {"INVALID": invalid_lines(sweep.cells)}
    yield {"Energy": energy_lines(sweep.cells)}
    yield {"Warnings": sweep.warnings}
    yield {"Notes": [_SCOPE] if any(cell.figures for cell in sweep.cells) else []}
    yield {
        "Saved": [location] if location is not None else [],
        "Repeat": [sweep.command] if sweep.command else [],
    }


_NOUNS: Mapping[str, Callable[[Any], str]] = {
    "backbone": str,
    "input_size": "{} px".format,
    "fit": "fit {}".format,
    "precision": str,
    "head": str,
    "provider": str,
    "batch_size": "batch {}".format,
}


def _phrase(cell: SweepCell, names: Sequence[str]) -> str:
    """Return the settings of these names: ``efficientnet-lite0 at 128 px, int8``."""
    settings = cell.settings
    size = settings.input_size or (cell.figures.input_size if cell.figures else None)
    values = {name: getattr(settings, name) for name in names} | (
        {"input_size": size} if "input_size" in names else {}
    )
    told = [_NOUNS[name](value) for name, value in values.items() if value is not None]
    if "backbone" in names and len(told) > 1:
        return f"{told[0]} at {', '.join(told[1:])}"
    return ", ".join(told)


def sweep_answer(sweep: Sweep) -> str | None:
    """Return the sentence about the cell to take instead of the reference; None for one cell."""
    cells = {cell.id: cell for cell in sweep.cells}
    if sweep.against is None or not sweep.differences:
        return None
    reference = cells[sweep.against]
    differ = [
        name
        for name in CellSettings.__annotations__
        if len({getattr(cell.settings, name) for cell in sweep.cells}) > 1
    ]
    if sweep.recommended is None:
        name = _phrase(reference, ["backbone", *(one for one in differ if one != "backbone")])
        return (
            f"No cell is clearly faster than {name} without being clearly less accurate on the "
            "same images."
        )
    found = next(one for one in sweep.differences if one.cell == sweep.recommended)
    cell = cells[found.cell]
    unlike = [
        name for name in differ if getattr(cell.settings, name) != getattr(reference.settings, name)
    ]
    subject = _phrase(cell, ["backbone", *(name for name in unlike if name != "backbone")])
    doubt = _doubt([one.figures for one in (cell, reference) if one.figures])
    return f"{subject} {_equality(found, _phrase(reference, unlike))} and {_share(found)}.{doubt}"


def _doubt(figures: Sequence[CellFigures]) -> str:
    """Return a sentence for timings that are INVALID; nothing where none is."""
    n_invalid = sum(one.verdict == "INVALID" for one in figures)
    which = {0: "", 1: "One of the two timings is", 2: "Both timings are"}[n_invalid]
    return f" {which} INVALID, so do not rely on this ratio before you know why." if which else ""


def _equality(found: CellDifference, reference: str) -> str:
    paired = found.paired
    assert paired is not None
    tested = (
        f"McNemar p {_equals_p(paired.p_value)}, {format_points(paired.difference_fraction)} "
        f"points [{format_points(paired.interval.low)}, {format_points(paired.interval.high)}], "
        f"n = {format_count(paired.n_images)}"
    )
    if not paired.only_first_correct and not paired.only_second_correct:
        n_images = format_count(paired.n_images)
        return f"is right and wrong about the same {n_images} test images as {reference}"
    if paired.p_value > _SIGNIFICANCE:
        return f"is within noise of {reference} ({tested})"
    return f"is more accurate than {reference} ({tested})"


def _equals_p(value: float) -> str:
    text = format_p(value)
    return text if text.startswith("<") else f"= {text}"


def _share(found: CellDifference) -> str:
    return f"takes {format_factor(found.ratio)} {factor_interval(found.ratio_interval)} of the time"


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds without the unit."""
    return format_factor(1000 * seconds)


def milliseconds_interval(interval: Interval | None) -> str:
    """Return an interval of seconds in milliseconds: ``[5.31, 5.52]``, or n/a."""
    if interval is None:
        return "n/a"
    return f"[{milliseconds(interval.low)}, {milliseconds(interval.high)}]"


def fastest_first(cells: Sequence[SweepCell]) -> list[tuple[SweepCell, CellFigures]]:
    """Return the measured cells with their figures, the fastest first."""
    found = [(cell, cell.figures) for cell in cells if cell.figures]
    return sorted(found, key=lambda pair: pair[1].image_s)


def samples_text(cells: Sequence[SweepCell]) -> str:
    """Return how many images and rounds the figures rest on."""
    measured = fastest_first(cells)
    images = "/".join(dict.fromkeys(format_count(one.n_test) for _, one in measured))
    rounds = "/".join(dict.fromkeys(format_count(one.n_rounds) for _, one in measured))
    return f"n = {images} test images, {rounds} rounds"


def pareto_table(sweep: Sweep) -> Table:
    """Return accuracy and time of every measured cell, the fastest first, and of the baselines."""
    rows = []
    for cell, one in fastest_first(sweep.cells):
        marks = ["front"] * one.on_front + ["reference"] * (cell.id == sweep.against)
        rows.append(
            (
                cell.name,
                format_percent(one.accuracy_fraction),
                format_interval(one.accuracy_interval),
                milliseconds(one.image_s),
                milliseconds_interval(one.image_interval),
                ", ".join(marks),
            )
        )
    rows += [
        (
            f"{one.head} on {one.features}",
            format_percent(one.accuracy_fraction),
            format_interval(one.accuracy_interval),
            "",
            "",
            "baseline",
        )
        for one in sweep.baselines
    ]
    columns = "cell | >accuracy | >95 % interval | >ms/image | >95 % interval | "
    title = f"Accuracy and time per image ({samples_text(sweep.cells)})"
    return table(title, columns, rows if fastest_first(sweep.cells) else ())


def difference_table(sweep: Sweep) -> Table:
    """Return every cell against the reference: image by image, and round by round."""
    names = {cell.id: cell.name for cell in sweep.cells}
    order = [cell.id for cell, _ in fastest_first(sweep.cells)]
    rows = [
        (
            names[one.cell],
            *((("n/a",) * 2) if one.paired is None else paired_cells(one.paired)[:2]),
            "n/a" if one.paired is None else format_p(one.paired.p_value),
            format_factor(one.ratio),
            factor_interval(one.ratio_interval),
        )
        for one in sorted(sweep.differences, key=lambda one: order.index(one.cell))
    ]
    reference = names.get(sweep.against or "", "")
    title = f"Compared with {reference} ({samples_text(sweep.cells)})"
    return table(title, "cell | >points | >95 % interval | >p | >time | >95 % interval", rows)


def costs_table(sweep: Sweep) -> Table:
    """Return what each measured cell needs, its id, and how far its timing can be believed."""
    measured = fastest_first(sweep.cells)
    has_device = any(one.device_bytes is not None for _, one in measured)
    has_energy = any(one.energy_j_per_image is not None for _, one in measured)
    rows = [
        (
            cell.name,
            cell.id,
            format_bytes(one.size_bytes),
            "-" if one.memory_bytes is None else format_bytes(one.memory_bytes),
            *["-" if one.device_bytes is None else format_bytes(one.device_bytes)] * has_device,
            *["-" if (j := one.energy_j_per_image) is None else format_factor(j)] * has_energy,
            format_count(one.n_samples),
            one.verdict or "",
        )
        for cell, one in measured
    ]
    columns = "cell | id | >file | >memory"
    columns += " | >GPU memory" * has_device + " | >J/image" * has_energy + " | >calls | timing"
    title = f"Size, peak memory and timing ({samples_text(sweep.cells)})"
    return table(title, columns, rows)


def failed_lines(cells: Sequence[SweepCell]) -> dict[str, list[str]]:
    """Return each reason for which cells could not be measured, once, with these cells."""
    who: dict[str, list[str]] = {}
    for cell in cells:
        if cell.state == "failed":
            who.setdefault(cell.reason or "", []).append(f"{cell.name} ({cell.id})")
    n_failed = sum(map(len, who.values()))
    lines = [f"{', '.join(names)}: {reason}" for reason, names in who.items()]
    return {f"Failed: {n_failed} of {len(cells)} cells": lines}


def invalid_lines(cells: Sequence[SweepCell]) -> list[str]:
    """Return each reason for which timings are INVALID, once, with the cells that it is about."""
    who: dict[str, list[str]] = {}
    for cell, one in fastest_first(cells):
        for reason in one.reasons:
            who.setdefault(reason, []).append(cell.name)
    n_measured = len(fastest_first(cells))
    return [
        f"{'all cells' if len(names) == n_measured else ', '.join(names)}: {reason}"
        for reason, names in who.items()
    ]


def energy_lines(cells: Sequence[SweepCell]) -> list[str]:
    """Return what the energy counts, or why there is none."""
    return list(
        dict.fromkeys(one.energy_note for _, one in fastest_first(cells) if one.energy_note)
    )
