"""The data of figures about several runs: speed-up, difference in accuracy, the Pareto front."""

from collections.abc import Sequence

from tlbench.core.units import format_count, format_factor, format_points
from tlbench.records import Comparison, RunResult, Sweep
from tlbench.reports.accuracy import first_result
from tlbench.reports.figures import IntervalFigure, IntervalRow, ParetoFigure, ParetoPoint, Tone
from tlbench.reports.sweep import fastest_first, samples_text


def speed_up_figure(comparison: Comparison) -> IntervalFigure | None:
    """Return the speed of each timing relative to the reference, where it has an interval."""
    rows = tuple(
        IntervalRow(
            label=f"{pair.other.run} {pair.other.scenario}, batch {pair.other.batch_size}",
            value=pair.speed_up,
            low=pair.interval.low,
            high=pair.interval.high,
            text=format_factor(pair.speed_up),
            tone=_tone(pair.interval.low, pair.interval.high, 1.0),
        )
        for pair in comparison.speed_ups
        if pair.interval is not None
    )
    if not rows:
        return None
    low = min(pair.other.n_samples for pair in comparison.speed_ups)
    return IntervalFigure(
        title="Speed-up over A",
        axis="time of A / time of the run: above 1 is faster",
        rows=rows,
        note=f"n = {format_count(low)} or more samples of each timing; a ratio has no unit; "
        "whiskers: 95 % intervals of the noise of sampling. Blue: the interval holds 1.",
        percent=False,
        reference=1.0,
        from_zero=False,
    )


def difference_figure(comparison: Comparison) -> IntervalFigure | None:
    """Return the paired differences in accuracy from the reference."""
    pairs = [pair for pair in comparison.accuracy if pair.paired]
    rows = tuple(
        IntervalRow(
            label=f"{pair.other.run} {pair.other.head} on {pair.other.title}",
            value=found.difference_fraction,
            low=found.interval.low,
            high=found.interval.high,
            text=format_points(found.difference_fraction),
            tone=_tone(found.interval.low, found.interval.high, 0.0),
        )
        for pair in pairs
        if (found := pair.paired) is not None
    )
    if not rows:
        return None
    sizes = sorted({pair.paired.n_images for pair in pairs if pair.paired})
    return IntervalFigure(
        title="Accuracy less that of A, on the same images",
        axis="percentage points",
        rows=rows,
        note=f"n = {' or '.join(map(format_count, sizes))} test images; whiskers: 95 % intervals "
        "of the paired difference. Blue: the interval holds 0.",
        reference=0.0,
        from_zero=False,
    )


def _tone(low: float, high: float, neutral: float) -> Tone:
    if low > neutral:
        return "good"
    return "bad" if high < neutral else "main"


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return which (seconds, accuracy) no other point beats in one without losing in the other."""
    return [
        not any(other[0] <= one[0] and other[1] >= one[1] and other != one for other in points)
        for one in points
    ]


def pareto_figure(runs: Sequence[tuple[str, RunResult]]) -> ParetoFigure | None:
    """Return accuracy of the first head against time per image, for letters and their runs."""
    found = []
    for letter, run in runs:
        first = first_result(run.accuracy)
        timing = next((one for one in run.latency if one.batch_size == 1 and one.samples_s), None)
        if first is not None and timing is not None:
            found.append((letter, run, first, timing))
    if len(found) < 2:  # noqa: PLR2004 - a front of one says nothing
        return None
    front = pareto_front([(t.median_s, a.accuracy_fraction) for _, _, a, t in found])
    sizes = sorted({format_count(a.n_test) for _, _, a, _ in found})
    return ParetoFigure(
        title="Accuracy against time",
        points=tuple(
            ParetoPoint(
                label=letter,
                name=f"{run_name(run)}, {first.head}",
                seconds=timing.median_s,
                seconds_interval=timing.median_interval,
                fraction=first.accuracy_fraction,
                interval=first.interval,
                on_front=on_front,
                valid=timing.verdict != "INVALID",
            )
            for (letter, run, first, timing), on_front in zip(found, front, strict=True)
        ),
        note=f"n = {' or '.join(sizes)} test images; whiskers: 95 % intervals. On the front: no "
        "other run is both faster and more accurate. A hollow mark: the timing is INVALID.",
    )


def sweep_pareto_figure(sweep: Sweep) -> ParetoFigure | None:
    """Return accuracy against time of the measured cells, numbered from the fastest."""
    measured = fastest_first(sweep.cells)
    if len(measured) < 2:  # noqa: PLR2004 - a front of one says nothing
        return None
    return ParetoFigure(
        title="Accuracy against time",
        points=tuple(
            ParetoPoint(
                label=str(number),
                name=cell.name + (", reference" if cell.id == sweep.against else ""),
                seconds=one.image_s,
                seconds_interval=one.image_interval,
                fraction=one.accuracy_fraction,
                interval=one.accuracy_interval,
                on_front=one.on_front,
                valid=one.verdict != "INVALID",
            )
            for number, (cell, one) in enumerate(measured, start=1)
        ),
        note=f"{samples_text(sweep.cells)}; whiskers: 95 % intervals, those of times over the "
        "rounds. On the front: no other cell is both faster and more accurate. A hollow mark: the "
        "timing is INVALID.",
    )


def run_name(run: RunResult) -> str:
    """Return what was measured, in short: backbone, input size and precision."""
    card = run.model.card
    if card is None:
        return run.model.path_name
    height, width = card.input_size
    size = f"{height} px" if height == width else f"{height} x {width} px"
    return f"{card.backbone}, {size}, {card.precision}"
