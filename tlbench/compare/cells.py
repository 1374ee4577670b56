"""The cells of a sweep held against one another: figures, Pareto front, differences from one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median, median_high, median_low

from tlbench.compare.effect import paired_difference
from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError, ResultError
from tlbench.core.registry import unknown_name
from tlbench.records import (
    FITTED_EARLIER,
    AccuracyResult,
    CellDifference,
    CellFigures,
    CellSettings,
    Interval,
    LatencyResult,
    PairedDifference,
    PixelBaseline,
    Predictions,
    RunResult,
    Sweep,
    SweepCell,
    SweepFolder,
    entry_name,
)
from tlbench.stats import autocorrelation_time, quantile_interval
from tlbench.stats import ratio_interval as paired_ratio

# Of McNemar's test, two-sided, and without a correction: of many cells, rather too few than too
# many are then said to be as accurate as another.
SIGNIFICANCE = 0.05
_CONFIDENCE = 0.95
_FEATURES = "backbone"
# BACKBONE@input_size=128,precision=int8, as for a candidate of `tlbench latency`.
_SPEC = re.compile(r"(?P<backbone>.+?)(?:@(?P<settings>\w+=[^=,]*(?:,\w+=[^=,]*)*))?")
_SHORTEST_ID = 4
_FIGURE = re.compile(r"\d[\d.,]*")
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredCell:
    """A measured cell with all that its folder holds."""

    run: RunResult
    predictions: Predictions

    @property
    def accuracy(self) -> AccuracyResult:
        """The accuracy of its one head on the backbone's own features."""
        found = (one for one in self.run.accuracy if not one.baseline and not one.fitted_on)
        result = next(found, None)
        if result is None:
            raise ResultError(f"Cell {self.run.id} is damaged: it has no accuracy.")
        return result

    @property
    def predicted(self) -> LabelArray:
        """The class that the head predicts for each test image."""
        return self.predictions.entries[entry_name(self.accuracy)]

    @property
    def timing(self) -> LatencyResult:
        """Its one timing, in rounds."""
        if len(self.run.latency) != 1 or not self.run.latency[0].block_sizes:
            raise ResultError(f"Cell {self.run.id} is damaged: it has no timing in rounds.")
        return self.run.latency[0]


def open_cells(folder: SweepFolder, sweep: Sweep) -> dict[str, MeasuredCell]:
    """Return the measured cells of a sweep by id; raise ResultError for one that is damaged."""
    found = {}
    for cell in sweep.cells:
        if cell.state == "measured":
            content = folder.run_of(cell.id)
            if content is None:
                raise ResultError(
                    f"The cell {cell.id} is missing in {folder.cells}. Run `tlbench sweep` again "
                    "to measure it."
                )
            found[cell.id] = MeasuredCell(run=content[0], predictions=content[1])
    return found


def rounds_interval(result: LatencyResult, confidence: float = _CONFIDENCE) -> Interval | None:
    """Return the confidence interval of the median seconds per image; None for too few rounds.

    The rounds are the sample, not the calls: calls of one round share the machine's phase. A
    round's lower and upper median are each at or beyond the true median in half of all rounds, so
    that the order statistics of the rounds bound it, whatever the distribution of the calls.
    """
    blocks = result.blocks_s
    if len(blocks) < 2:  # noqa: PLR2004 - an interval needs two ends
        return None
    inflation = autocorrelation_time([median(block) for block in blocks])
    ends = [
        quantile_interval(
            [middle(block) for block in blocks], confidence=confidence, inflation=inflation
        )
        for middle in (median_low, median_high)
    ]
    if ends[0] is None or ends[1] is None:
        return None
    # Of few calls a round, the median of all calls may lie outside the medians of the rounds.
    low, high = min(ends[0][0], result.median_s), max(ends[1][1], result.median_s)
    return Interval(
        low=low / result.batch_size,
        high=high / result.batch_size,
        confidence_fraction=confidence,
        method="order statistics of the rounds' medians",
    )


def figures_of(cell: MeasuredCell) -> CellFigures:
    """Return the figures of a measured cell, of which the front is not known yet."""
    run, accuracy, timing = cell.run, cell.accuracy, cell.timing
    card = run.model.card
    return CellFigures(
        input_size=card.input_size[0] if card else None,
        n_test=accuracy.n_test,
        n_correct=accuracy.n_correct,
        accuracy_fraction=accuracy.accuracy_fraction,
        accuracy_interval=accuracy.interval,
        n_rounds=len(timing.block_sizes),
        n_samples=len(timing.samples_s),
        image_s=timing.median_s / timing.batch_size,
        image_interval=rounds_interval(timing),
        size_bytes=run.model.size_bytes,
        memory_bytes=timing.peak_rss_bytes,
        device_bytes=timing.device_bytes,
        energy_j_per_image=timing.energy_j_per_image,
        energy_note=timing.energy_note,
        licence=card.weights.licence if card else None,
        verdict=timing.verdict,
        reasons=timing.reasons,
    )


def front_of(figures: Mapping[str, CellFigures]) -> set[str]:
    """Return which cells are on the Pareto front: no other is as accurate, as fast, and better."""

    def dominated(one: CellFigures) -> bool:
        return any(
            other.accuracy_fraction >= one.accuracy_fraction
            and other.image_s <= one.image_s
            and (other.accuracy_fraction, other.image_s) != (one.accuracy_fraction, one.image_s)
            for other in figures.values()
        )

    return {name for name, one in figures.items() if not dominated(one)}


def cell_difference(
    ids: tuple[str, str], reference: MeasuredCell, other: MeasuredCell
) -> CellDifference:
    """Return how much more accurate, and how much slower, another cell is than the reference."""
    one, two = reference.timing, other.timing
    scale = one.batch_size / two.batch_size  # from calls to images
    n_rounds = min(len(one.block_sizes), len(two.block_sizes))
    blocks = [[median(block) for block in timing.blocks_s[:n_rounds]] for timing in (two, one)]
    found = paired_ratio(*blocks)
    interval = None
    if found.low is not None and found.high is not None:
        interval = Interval(
            low=scale * found.low,
            high=scale * found.high,
            method="Hodges-Lehmann and Wilcoxon over the rounds' medians",
        )
    return CellDifference(
        cell=ids[1],
        reference=ids[0],
        paired=_paired(reference, other),
        ratio=scale * found.ratio,
        ratio_interval=interval,
        n_rounds=n_rounds,
    )


def _paired(reference: MeasuredCell, other: MeasuredCell) -> PairedDifference | None:
    import numpy as np

    one, two = reference.predictions, other.predictions
    if not (np.array_equal(one.index, two.index) and np.array_equal(one.labels, two.labels)):
        return None
    return paired_difference(one.labels, reference.predicted, other.predicted)


def find_cell(cells: Sequence[SweepCell], text: str) -> SweepCell:
    """Return the cell that *text* names.

    An id or the beginning of one; or ``BACKBONE`` or ``BACKBONE@input_size=128,precision=int8``,
    which means, of the cells with these settings that have not failed, the one with the largest
    input, and of several the first in the order of the grid.
    """
    by_id = [cell for cell in cells if len(text) >= _SHORTEST_ID and cell.id.startswith(text)]
    if len(by_id) == 1:
        return _usable(by_id[0])
    found = _SPEC.fullmatch(text)
    backbones = list(dict.fromkeys(cell.settings.backbone for cell in cells))
    if found is None or found["backbone"] not in backbones:
        raise unknown_name("cell or backbone of the sweep", text, backbones)
    chosen = [cell for cell in cells if cell.settings.backbone == found["backbone"]]
    known = [name for name in CellSettings.__annotations__ if name != "backbone"]
    for setting in (found["settings"] or "").split(",") if found["settings"] else ():
        name, _, value = setting.partition("=")
        if name not in known:
            raise unknown_name("setting of a cell", name, known)
        having = [cell for cell in chosen if str(getattr(cell.settings, name)) == value]
        if not having:
            values = dict.fromkeys(str(getattr(cell.settings, name)) for cell in chosen)
            raise ConfigError(
                f"No cell of {found['backbone']} has {setting}. Values of {name}: "
                f"{', '.join(values)}."
            )
        chosen = having
    usable = [cell for cell in chosen if cell.state != "failed"]
    return max(usable, key=_size_of) if usable else _usable(chosen[0])


def _size_of(cell: SweepCell) -> int:
    measured = cell.figures.input_size if cell.figures else None
    return measured or cell.settings.input_size or 0


def _usable(cell: SweepCell) -> SweepCell:
    if cell.state == "failed":
        raise ConfigError(f"The cell {cell.id} ({cell.name}) failed: {cell.reason}")
    return cell


def summarise(sweep: Sweep, measured: Mapping[str, MeasuredCell], against: str | None) -> Sweep:
    """Return *sweep* with all that follows from its measured cells.

    *against* names the cell to compare the others with, as for `find_cell`; None for the first
    backbone's cell with the largest input.
    """
    figures = {name: figures_of(cell) for name, cell in measured.items()}
    front = front_of(figures)
    cells = tuple(
        replace(cell, figures=replace(figures[cell.id], on_front=cell.id in front))
        if cell.id in figures
        else cell
        for cell in sweep.cells
    )
    reference = None
    if usable := [cell for cell in cells if cell.figures]:
        reference = find_cell(cells, against or usable[0].settings.backbone).id
    differences = (
        ()
        if reference is None
        else tuple(
            cell_difference((reference, name), measured[reference], cell)
            for name, cell in measured.items()
            if name != reference
        )
    )
    return replace(
        sweep,
        cells=cells,
        baselines=_baselines(measured.values()),
        against=reference,
        differences=differences,
        recommended=_recommended(differences),
        warnings=_warnings(measured),
    )


def _recommended(differences: Iterable[CellDifference]) -> str | None:
    faster = [
        one
        for one in differences
        if one.ratio_interval is not None
        and one.ratio_interval.high < 1
        and one.paired is not None
        and not is_worse(one)
    ]

    def key(one: CellDifference) -> tuple[float, float]:
        return one.ratio, -one.paired.difference_fraction if one.paired else 0.0

    return min(faster, key=key).cell if faster else None


def is_worse(difference: CellDifference) -> bool:
    """Return whether the paired test finds the cell less accurate than its reference."""
    paired = difference.paired
    return paired is not None and paired.difference_fraction < 0 and paired.p_value <= SIGNIFICANCE


def _baselines(measured: Iterable[MeasuredCell]) -> tuple[PixelBaseline, ...]:
    found = {}
    for cell in measured:
        for one in cell.run.accuracy:
            if one.baseline:
                found[one.features, one.head] = PixelBaseline(
                    features=one.features,
                    head=one.head,
                    n_test=one.n_test,
                    n_correct=one.n_correct,
                    accuracy_fraction=one.accuracy_fraction,
                    accuracy_interval=one.interval,
                )
    return tuple(found.values())


def _warnings(measured: Mapping[str, MeasuredCell]) -> tuple[str, ...]:
    """Return the warnings of the cells' runs; those that differ in figures only are one.

    Cells share what they can, and no table of a sweep shows how long a head took to fit.
    """
    alike: dict[str, dict[str, str]] = {}
    for name, cell in measured.items():
        for warning in cell.run.warnings:
            if warning == FITTED_EARLIER:
                continue
            alike.setdefault(_FIGURE.sub("#", warning), {})[name] = warning
    found = []
    for warnings in alike.values():
        first, *_ = warnings.values()
        names, n_more = list(warnings)[:_MOST_NAMED], len(warnings) - _MOST_NAMED
        if len(warnings) < len(measured):
            more = f" and {n_more} more" if n_more > 0 else ""
            first = f"{', '.join(names)}{more}: {first}"
        if len(set(warnings.values())) > 1:
            first = f"{first} (that is {names[0]}; similar for the others)"
        found.append(first)
    return tuple(found)
