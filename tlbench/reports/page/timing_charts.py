"""The samples of a timing as SVG: their distribution, and in the order measured."""

from markupsafe import Markup

from tlbench.core.units import format_seconds
from tlbench.reports.figures import TimingFigure
from tlbench.reports.page.svg import (
    COLOURS,
    LETTER,
    figure_block,
    number_text,
    path,
    rect,
    stroke,
    ticks,
    time_unit,
    words,
)
from tlbench.reports.timing_figures import halves, histogram, range_over_time, usual_range

_LEFT, _RIGHT = 34.0, 384.0
_FEW = 500  # samples whose dots may be larger


def distribution(figure: TimingFigure) -> Markup:
    """Draw how often a call took how long, with percentiles and the interval of the median."""
    samples = sorted(figure.samples_s)
    size, unit = time_unit(samples[len(samples) // 2])
    low, high = usual_range(figure)
    counts = histogram(samples, low, high)
    n_bins, n_beyond = len(counts), len(samples) - sum(counts)
    left, right, top, bottom = _LEFT, _RIGHT, 52.0, 170.0

    def at(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (right - left)

    most = max(counts)
    parts = []
    if figure.interval is not None:
        start, end = at(figure.interval.low), at(figure.interval.high)
        parts.append(rect(start, top, max(1.0, end - start), bottom - top, "soft"))
    for tick in ticks(0, most, 3):
        y = bottom - tick / most * (bottom - top)
        if tick == int(tick):
            parts += [
                stroke(left, y, right, y, "grid"),
                words(left - 5, y + 4, f"{tick:.0f}", "end"),
            ]
    width = (right - left) / n_bins
    for i, count in enumerate(counts):
        if count:
            height = count / most * (bottom - top)
            x = left + i * width
            ends = (low + (high - low) * (i + edge) / n_bins for edge in (0, 1))
            span = " to ".join(map(format_seconds, ends))
            title = f"{count} calls took {span}"
            parts.append(rect(x, bottom - height, width - 0.6, height, "main", title))
    for x, centre, level, label in _placed(
        [(at(value), name, value) for name, value in figure.marks]
    ):
        parts += [
            stroke(x, level + 3, x, bottom, "ink"),
            words(centre, level, label, "middle", "mark"),
        ]
    parts += [
        *(
            words(at(tick * size), bottom + 15, number_text(tick), "middle", "tick")
            for tick in ticks(low / size, high / size, 5)
        ),
        stroke(left, bottom, right, bottom),
        words((left + right) / 2, bottom + 31, f"{unit} per call; bars: calls", "middle"),
    ]
    if n_beyond:
        parts.append(words(right, bottom - 6, f"{n_beyond} slower →", "end", "mark"))
    return figure_block(figure, bottom + 38, parts, f"Distribution of {figure.title}")


def _placed(marks: list[tuple[float, str, float]]) -> list[tuple[float, float, float, str]]:
    """Return place, centre of the label, height and text of each percentile; no two overlap."""
    levels = (46.0, 32.0, 18.0, 4.0)
    found: list[tuple[float, float, float, str]] = []
    for x, name, value in marks:
        label = f"{name} {format_seconds(value)}"
        half = LETTER * len(label) / 2
        centre = min(max(x, _LEFT + half), _RIGHT - half)
        taken = {level for _, other, level, _ in found if abs(centre - other) < 2 * half + 4}
        level = next((level for level in levels if level not in taken), levels[-1])
        found.append((x, centre, level, label))
    return found


def over_time(figure: TimingFigure) -> Markup:
    """Draw each call in the order measured, with the running median and slow phases."""
    samples = figure.samples_s
    size, unit = time_unit(sorted(samples)[len(samples) // 2])
    low, high = range_over_time(samples)
    left, right, top, bottom = 42.0, 384.0, 10.0, 170.0
    n = max(1, len(samples) - 1)

    def across(i: float) -> float:
        return left + i / n * (right - left)

    def up(value: float) -> float:
        return bottom - (min(max(value, low), high) - low) / (high - low) * (bottom - top)

    parts = []
    for start, end in figure.slow:
        x = across(start)
        title = f"slow phase: calls {start + 1} to {end + 1}"
        parts.append(rect(x, top, max(2.0, across(end) - x), bottom - top, "slow", title))
    for tick in ticks(low / size, high / size, 4):
        y = up(tick * size)
        parts += [
            stroke(left, y, right, y, "grid"),
            words(left - 5, y + 4, number_text(tick), "end"),
        ]
    # One path of short strokes: thousands of circles would make a page of megabytes.
    step = max(1, len(samples) // 2000)
    dots = "".join(
        f"M{across(i):.1f} {up(samples[i]):.1f}h.1" for i in range(0, len(samples), step)
    )
    parts += [
        Markup(
            '<path class="s-main dots" d="{d}" stroke="{s}" stroke-width="{w}" '
            'stroke-linecap="round" stroke-opacity="0.55" fill="none"/>'
        ).format(d=dots, s=COLOURS["main"], w=4.5 if len(samples) < _FEW else 3),
        path(
            ((across(i), up(figure.running_s[i])) for i in range(0, len(samples), step)), "baseline"
        ),
        *(
            stroke(across(start), up(value), across(end), up(value), "ink")
            for (start, end), value in zip(halves(len(samples)), figure.halves_s, strict=True)
        ),
        stroke(left, bottom, right, bottom),
        words(left, bottom + 15, "1", "start", "tick"),
        words(right, bottom + 15, f"{len(samples):,}", "end", "tick"),
        words(
            (left + right) / 2,
            bottom + 31,
            f"call; up: {unit}; line: running median; black: halves",
            "middle",
        ),
    ]
    return figure_block(figure, bottom + 38, parts, f"{figure.title} over time")
