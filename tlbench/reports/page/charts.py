"""Figures as SVG: intervals, lines, one stacked bar, and the Pareto front."""

import math

from markupsafe import Markup

from tlbench.core.errors import printable
from tlbench.core.units import format_percent, format_seconds
from tlbench.reports.figures import IntervalFigure, LineFigure, ParetoFigure, PartsFigure
from tlbench.reports.labels import label_centres
from tlbench.reports.page.svg import (
    COLOURS,
    FONT_SIZE,
    LETTER,
    N_COLOURS,
    WIDTH,
    figure_block,
    log_ticks,
    name_text,
    number,
    number_text,
    path,
    percent_text,
    rect,
    stroke,
    ticks,
    time_unit,
    words,
)


def interval(figure: IntervalFigure) -> Markup:
    """Draw values with whiskers: bars from zero, or points where the axis does not begin there."""
    longest = max(len(printable(row.label)) for row in figure.rows)
    widest = max(len(row.text) for row in figure.rows)
    left = min(178.0, 10 + LETTER * longest)
    right = WIDTH - 12 - LETTER * widest
    low = 0.0 if figure.from_zero else min(row.low for row in figure.rows)
    high = max(row.high for row in figure.rows)
    if figure.reference is not None:
        low, high = min(low, figure.reference), max(high, figure.reference)
    if not figure.from_zero:
        pad = 0.08 * (high - low) or 0.01
        low, high = low - pad, high + pad
    elif figure.percent:
        high = 1.0
    high = high if high > low else low + 1.0
    line_height = 24 if len(figure.rows) <= 12 else 18  # noqa: PLR2004 - rows on half a screen
    bottom = 8 + line_height * len(figure.rows)

    def at(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (right - left)

    written = percent_text if figure.percent else number_text
    parts = []
    for tick in ticks(low, high, 4):
        parts += [
            stroke(at(tick), 4, at(tick), bottom, "grid"),
            words(at(tick), bottom + 15, written(tick), "middle", "tick"),
        ]
    if figure.reference is not None:
        parts.append(stroke(at(figure.reference), 4, at(figure.reference), bottom, "ink"))
    for i, row in enumerate(figure.rows):
        middle = 8 + line_height * (i + 0.5)
        ends = f"{written(row.low)} to {written(row.high)}"
        title = f"{row.label}: {row.text}, interval {ends}"
        parts.append(name_text(left - 6, middle + 4, row.label, left - 8))
        if figure.from_zero:
            parts.append(rect(left, middle - 6, at(row.value) - left, 12, row.tone, title))
        else:
            parts.append(rect(at(row.value) - 4, middle - 4, 8, 8, row.tone, title))
        parts += [
            stroke(at(row.low), middle, at(row.high), middle, "ink"),
            *(
                stroke(at(end), middle - 4, at(end), middle + 4, "ink")
                for end in (row.low, row.high)
            ),
            words(right + 8, middle + 4, row.text),
        ]
    parts += [
        stroke(left, bottom, right, bottom),
        words((left + right) / 2, bottom + 31, figure.axis, "middle", "axis-title"),
    ]
    return figure_block(figure, bottom + 38, parts)


def stacked(figure: PartsFigure) -> Markup:
    """Draw the steps as one stacked bar with a legend."""
    total = sum(value for _, value in figure.parts) or 1.0
    x, parts = 4.0, []
    for i, (name, value) in enumerate(figure.parts):
        width = value / total * (WIDTH - 8)
        kind = f"c{i % N_COLOURS}"
        share = format_percent(value / total)
        label = f"{name}: {format_seconds(value)}, {share}"
        parts += [
            rect(x, 8, width, 34, kind, label),
            rect(4, 56 + 22 * i, 12, 12, kind),
            words(22, 66 + 22 * i, label),
        ]
        x += width
    return figure_block(figure, 60 + 22 * len(figure.parts), parts)


def lines(figure: LineFigure) -> Markup:
    """Draw lines with points, whiskers and a legend."""
    xs = sorted({x for line in figure.lines for x, *_ in line.points})
    lows = [low for line in figure.lines for *_, low, _ in line.points]
    highs = [high for line in figure.lines for *_, high in line.points]
    low, high = min(lows), max(highs)
    pad = 0.06 * (high - low) or 0.02
    low, high = low - pad, high + pad
    if figure.percent:
        low, high = max(0.0, low), min(1.0, high)
    high = high if high > low else low + 1.0
    left, right, top, bottom = 42.0, 388.0, 10.0, 190.0

    def scale(x: float) -> float:
        return math.log(x) if figure.log_x and x > 0 else x

    span = scale(xs[-1]) - scale(xs[0])

    def across(x: float) -> float:
        share = 0.5 if span == 0 else (scale(x) - scale(xs[0])) / span
        return left + 8 + share * (right - left - 16)

    def up(value: float) -> float:
        return bottom - (min(max(value, low), high) - low) / (high - low) * (bottom - top)

    written = percent_text if figure.percent else number_text
    parts = []
    for tick in ticks(low, high, 5):
        parts += [
            stroke(left, up(tick), right, up(tick), "grid"),
            words(left - 5, up(tick) + 4, written(tick), "end"),
        ]
    marked = xs if len(xs) <= 8 else [t for t in ticks(xs[0], xs[-1], 6) if t >= xs[0]]  # noqa: PLR2004
    parts += [words(across(x), bottom + 15, f"{x:g}", "middle", "tick") for x in marked]
    for i, line in enumerate(figure.lines):
        kind = f"c{i % N_COLOURS}"
        parts.append(path(((across(x), up(y)) for x, y, *_ in line.points), kind))
        for x, y, least, most in line.points:
            if most > least:
                parts.append(stroke(across(x), up(least), across(x), up(most), kind))
            if len(line.points) <= 40:  # noqa: PLR2004 - more would touch
                title = f"{line.label}, {x:g}: {written(y)}"
                parts.append(rect(across(x) - 3, up(y) - 3, 6, 6, kind, title))
        parts += [
            rect(left, bottom + 42 + 18 * i, 12, 12, kind),
            name_text(left + 18, bottom + 52 + 18 * i, line.label, 330, "start"),
        ]
    parts += [
        stroke(left, bottom, right, bottom),
        words((left + right) / 2, bottom + 31, f"{figure.x_axis}; up: {figure.y_axis}", "middle"),
    ]
    height = bottom + 46 + 18 * len(figure.lines)
    return figure_block(figure, height, parts)


def pareto(figure: ParetoFigure) -> Markup:
    """Draw accuracy against time on a logarithmic axis, with the front as a line."""
    seconds = [one.seconds for one in figure.points]
    size, unit = time_unit(math.sqrt(min(seconds) * max(seconds)))
    seconds += [end for one in figure.points for end in one.seconds_interval or ()]
    fractions = [end for one in figure.points for end in one.interval]
    low_s, high_s = min(seconds) / 1.15, max(seconds) * 1.15
    low = max(0.0, min(fractions) - 0.01)
    high = min(1.0, max(fractions) + 0.01)
    left, right, top, bottom = 42.0, 388.0, 10.0, 210.0

    def across(value: float) -> float:
        share = math.log(value / low_s) / math.log(high_s / low_s)
        return left + share * (right - left)

    def up(value: float) -> float:
        return bottom - (min(max(value, low), high) - low) / (high - low or 1) * (bottom - top)

    parts = []
    for tick in ticks(low, high, 5):
        parts += [
            stroke(left, up(tick), right, up(tick), "grid"),
            words(left - 5, up(tick) + 4, percent_text(tick), "end"),
        ]
    parts += [
        words(across(tick), bottom + 15, number_text(tick / size), "middle", "tick")
        for tick in log_ticks(low_s, high_s, size)
    ]
    front = sorted((one.seconds, one.fraction) for one in figure.points if one.on_front)
    steps: list[tuple[float, float]] = []
    for second, fraction in front:
        if steps:
            steps.append((across(second), steps[-1][1]))
        steps.append((across(second), up(fraction)))
    parts.append(path(steps, "good"))
    places = [(across(one.seconds), up(one.fraction)) for one in figure.points]
    room = (left, top - FONT_SIZE, WIDTH, bottom)
    centres = label_centres(places, [one.label for one in figure.points], FONT_SIZE, room)
    for i, (one, (x, y), centre) in enumerate(zip(figure.points, places, centres, strict=True)):
        kind = "good" if one.on_front else "baseline"
        if one.seconds_interval:
            ends = (across(end) for end in one.seconds_interval)
            parts.append(stroke(next(ends), y, next(ends), y, "ink"))
        parts.append(stroke(x, up(one.interval.low), x, up(one.interval.high), "ink"))
        title = (
            f"{one.label} {one.name}: {format_percent(one.fraction)}, "
            f"{format_seconds(one.seconds)} per image"
        )
        colour = COLOURS[kind]
        parts += [
            Markup(
                '<circle class="{p}-{k}" cx="{x}" cy="{y}" r="5" fill="{f}" stroke="{s}" '
                'stroke-width="2"><title>{t}</title></circle>'
            ).format(
                p="fs" if one.valid else "s",
                k=kind,
                x=number(x),
                y=number(y),
                f=colour if one.valid else "none",
                s=colour,
                t=printable(title),
            ),
            words(centre[0], centre[1] + 0.35 * FONT_SIZE, one.label, "middle", "mark"),
            name_text(left, bottom + 52 + 18 * i, f"{one.label}  {one.name}", 346, "start"),
        ]
    parts += [
        stroke(left, bottom, right, bottom),
        words((left + right) / 2, bottom + 31, f"{unit} per image; up: accuracy, %", "middle"),
    ]
    height = bottom + 46 + 18 * len(figure.points)
    return figure_block(figure, height, parts)
