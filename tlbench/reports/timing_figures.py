"""The data of figures about time: samples, slow phases, and the steps from image to label."""

import math
import statistics
from collections.abc import Sequence

from tlbench.core.units import format_count, format_points, format_seconds
from tlbench.records import Breakdown, LatencyResult
from tlbench.reports.figures import PartsFigure, TimingFigure
from tlbench.reports.timing import timing_title

# A phase is slow if the median of so many neighbouring calls is so much above that of all.
SLOW_WINDOW = 9
SLOW_FRACTION = 0.1


def timing_figure(one: LatencyResult, name: str) -> TimingFigure:
    """Return the samples of a timing with percentiles and slow phases."""
    samples = one.samples_s
    running = tuple(running_medians(samples, SLOW_WINDOW))
    slow = tuple(slow_phases(samples, running))
    marks = tuple(
        (f"p{100 * p.fraction:g}" if p.fraction != 0.5 else "median", p.value_s)  # noqa: PLR2004
        for p in one.percentiles
        if p.value_s is not None
    )
    if not any(mark == "median" for mark, _ in marks):
        marks = (("median", one.median_s), *marks)
    interval = "no interval of the median: too few samples"
    if one.median_interval:
        low, high = map(format_seconds, one.median_interval)
        interval = f"band: 95 % interval of the median, {low} to {high}"
    first, second = (
        statistics.median(samples[start : end + 1]) for start, end in halves(len(samples))
    )
    images = "1 image" if one.batch_size == 1 else f"{one.batch_size} images"
    found = {0: "no slow phase", 1: "1 slow phase, shaded"}.get(
        len(slow), f"{len(slow)} slow phases, shaded"
    )
    return TimingFigure(
        title=name,
        samples_s=samples,
        running_s=running,
        marks=marks,
        interval=one.median_interval,
        slow=slow,
        halves_s=(first, second),
        valid=one.verdict != "INVALID",
        note=f"n = {format_count(len(samples))} calls of {images} after "
        f"{format_count(len(one.warmup_s))} to warm up; {interval}; {found}; second half "
        f"against the first: {format_points(second / first - 1) if first else 'n/a'} %.",
    )


def timing_figures(results: Sequence[LatencyResult]) -> list[TimingFigure]:
    """Return a figure for each timing that has samples."""
    return [timing_figure(one, timing_title(one, results)) for one in results if one.samples_s]


def usual_range(figure: TimingFigure) -> tuple[float, float]:
    """Return the seconds between which a distribution is drawn.

    Beyond the last percentile that is known, a few outliers would flatten everything else.
    """
    samples = sorted(figure.samples_s)
    known = max([value for _, value in figure.marks] + [samples[len(samples) // 2]])
    low = samples[0]
    high = min(samples[-1], max(known * 1.15, known + 2 * (known - low))) or 1e-9
    return _widened(low, high)


def range_over_time(samples: Sequence[float]) -> tuple[float, float]:
    """Return the seconds between which samples are drawn in their order."""
    ordered = sorted(samples)
    cut = ordered[min(len(ordered) - 1, int(0.995 * len(ordered)))] * 1.5
    return _widened(ordered[0], min(ordered[-1], cut))


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low * 0.95, high * 1.05 or 1.0)


def histogram(samples: Sequence[float], low: float, high: float) -> list[int]:
    """Return how many samples up to *high* lie in each of some bins of equal width."""
    n_bins = max(6, min(40, 2 * round(math.sqrt(len(samples)))))
    counts = [0] * n_bins
    for sample in samples:
        if sample <= high:
            counts[min(n_bins - 1, int((sample - low) / (high - low) * n_bins))] += 1
    return counts


def halves(n_samples: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and last call of each half; a single call is both."""
    middle = n_samples // 2
    return (0, max(0, middle - 1)), (min(middle, n_samples - 1), n_samples - 1)


def running_medians(samples: Sequence[float], window: int) -> list[float]:
    """Return the median of each sample and its neighbours."""
    half = window // 2
    return [
        statistics.median(samples[max(0, i - half) : i + half + 1]) for i in range(len(samples))
    ]


def slow_phases(samples: Sequence[float], running: Sequence[float]) -> list[tuple[int, int]]:
    """Return first and last call of each stretch whose running median is well above the median."""
    if len(samples) < 2 * SLOW_WINDOW:
        return []
    limit = (1 + SLOW_FRACTION) * statistics.median(samples)
    phases: list[tuple[int, int]] = []
    for i, value in enumerate(running):
        if value > limit:
            if phases and phases[-1][1] == i - 1:
                phases[-1] = phases[-1][0], i
            else:
                phases.append((i, i))
    return [phase for phase in phases if phase[1] - phase[0] >= SLOW_WINDOW // 2]


def parts_figure(found: Breakdown) -> PartsFigure:
    """Return the steps from image to label."""
    return PartsFigure(
        title="From image to label",
        parts=tuple(found.parts.items()),
        note=f"n = {format_count(found.n_images)} images, one at a time; medians of each step, "
        f"which have no intervals; head {found.head}; timed as a whole: "
        f"{format_seconds(found.end_to_end_s)}.",
    )
