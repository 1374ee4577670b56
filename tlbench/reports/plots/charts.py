"""Panels of intervals, lines, timings and the Pareto front; the data are those of the page."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tlbench.core.units import format_percent, format_seconds
from tlbench.reports.figures import (
    IntervalFigure,
    LineFigure,
    ParetoFigure,
    PartsFigure,
    TimingFigure,
)
from tlbench.reports.labels import label_centres
from tlbench.reports.page.svg import (
    COLOURS,
    N_COLOURS,
    log_ticks,
    number_text,
    percent_text,
    ticks,
    time_unit,
)
from tlbench.reports.plots.canvas import (
    FONT_SIZE,
    GRID,
    INK,
    MUTED,
    Panel,
    named_legend,
    short,
    ticked,
)
from tlbench.reports.timing_figures import halves, histogram, range_over_time, usual_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WHISKER = {"ecolor": INK, "elinewidth": 1.0, "capsize": 2.5, "fmt": "none"}
_LETTERS = 34  # of a name beside or below a drawing
_MOST_MARKS = 40  # of a line; more would touch


def interval_panel(figure: IntervalFigure) -> Panel:
    """Draw values with whiskers, one below the other."""

    def draw(found: "Sequence[Axes]") -> None:
        (axes,) = found
        rows = figure.rows
        lines = range(len(rows))
        for line, row in zip(lines, rows, strict=True):
            axes.plot(row.value, line, "s", color=COLOURS[row.tone], markersize=6)
            around = [[row.value - row.low], [row.high - row.value]]
            axes.errorbar(row.value, line, xerr=around, **_WHISKER)
        if figure.reference is not None:
            axes.axvline(figure.reference, color=INK, linewidth=0.8, linestyle="--")
        axes.set_ylim(len(rows) - 0.4, -0.6)
        ticked(axes.yaxis, lines, [short(f"{row.label}: {row.text}", _LETTERS) for row in rows])
        axes.tick_params(axis="y", length=0)
        _number_axis(axes, "x", percent=figure.percent)
        axes.set_xlabel(figure.axis)

    inches = 0.55 + 0.24 * len(figure.rows)
    return Panel(title=figure.title, note=figure.note, inches=max(1.2, inches), draw=draw)


def lines_panel(figure: LineFigure) -> Panel:
    """Draw lines with whiskers over a common axis."""

    def draw(found: "Sequence[Axes]") -> None:
        (axes,) = found
        handles: list[Any] = []
        for k, line in enumerate(figure.lines):
            xs, ys, lows, highs = zip(*line.points, strict=True)
            colour = COLOURS[f"c{k % N_COLOURS}"]
            marker = "os^Dv"[k % 5] if len(xs) <= _MOST_MARKS else None
            handles += axes.plot(xs, ys, color=colour, marker=marker, markersize=4)
            around = [
                [y - low for y, low in zip(ys, lows, strict=True)],
                [high - y for y, high in zip(ys, highs, strict=True)],
            ]
            if any(map(any, around)):
                axes.errorbar(xs, ys, yerr=around, **(_WHISKER | {"ecolor": colour}))
        places = sorted({x for line in figure.lines for x, *_ in line.points})
        if figure.log_x and places[0] > 0:
            axes.set_xscale("log")
        elif len(places) > 8:  # noqa: PLR2004 - numbers that have room
            places = [place for place in ticks(places[0], places[-1], 6) if place >= places[0]]
        ticked(axes.xaxis, places, [f"{place:g}" for place in places])
        _number_axis(axes, "y", percent=figure.percent)
        axes.set_xlabel(figure.x_axis)
        axes.set_ylabel(figure.y_axis)
        names = [short(line.label, _LETTERS) for line in figure.lines]
        n_columns = 1 if len(names) > 2 else len(names)  # noqa: PLR2004 - two fit on one line
        named_legend(axes, handles, names, loc="upper left", bbox_to_anchor=(-0.02, -0.2),
                     ncols=n_columns)  # fmt: skip

    n_lines = len(figure.lines) if len(figure.lines) > 2 else 1  # noqa: PLR2004 - two fit on one
    inches = 2.5 + 0.17 * n_lines
    return Panel(title=figure.title, note=figure.note, inches=inches, draw=draw)


def _number_axis(axes: "Axes", name: str, *, percent: bool) -> None:
    low, high = sorted(axes.get_xlim() if name == "x" else axes.get_ylim())
    if percent and name == "y":
        low, high = max(0.0, low), min(1.0, high)
        axes.set_ylim(low, high + 0.02 * (high - low))
    places = ticks(low, high, 5)
    written = percent_text if percent else number_text
    ticked(axes.xaxis if name == "x" else axes.yaxis, places, list(map(written, places)))
    axes.grid(visible=True, axis=name)


def timing_panel(figure: TimingFigure) -> Panel:
    """Draw the samples as a distribution, and beside it in the order measured."""

    def draw(found: "Sequence[Axes]") -> None:
        distribution, over_time = found
        samples = sorted(figure.samples_s)
        size, unit = time_unit(samples[len(samples) // 2])
        _distribution(distribution, figure, size)
        distribution.set_xlabel(f"{unit} per call")
        _over_time(over_time, figure, size)
        over_time.set_ylabel(unit)

    title = figure.title if figure.valid else f"{figure.title} (INVALID)"
    return Panel(title=title, note=figure.note, inches=2.5, draw=draw, n_axes=2)


def _distribution(axes: "Axes", figure: TimingFigure, size: float) -> None:
    low, high = usual_range(figure)
    counts = histogram(figure.samples_s, low, high)
    width = (high - low) / len(counts) / size
    starts = [low / size + i * width for i in range(len(counts))]
    if figure.interval is not None:
        ends = [end / size for end in figure.interval]
        axes.axvspan(*ends, color=COLOURS["soft"], linewidth=0)
    axes.bar(starts, counts, width=width, align="edge", color=COLOURS["main"], edgecolor="white",
             linewidth=0.4)  # fmt: skip
    top = max(counts)
    # The labels of percentiles stand above each other, so that none covers another.
    for level, (name, value) in enumerate(reversed(figure.marks)):
        height = top * (1.08 + 0.11 * level)
        place = min(max(value, low), high)
        axes.plot([place / size] * 2, [0, height], color=INK, linewidth=0.9)
        is_right = (place - low) / (high - low) > 0.68  # noqa: PLR2004 - else there is room
        axes.text(
            place / size,
            height,
            f" {name} {format_seconds(value)} ",
            ha="right" if is_right else "left",
            va="center",
            fontsize=7.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8},
        )
    axes.set_xlim(low / size, high / size + width * 0.2)
    axes.set_ylim(0, top * (1.14 + 0.11 * len(figure.marks)))
    places = [place for place in ticks(0, top, 4) if place == int(place)]
    ticked(axes.yaxis, places, [f"{place:.0f}" for place in places])
    _number_axis(axes, "x", percent=False)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("calls")
    n_beyond = len(figure.samples_s) - sum(counts)
    if n_beyond:
        axes.text(1, 0.02, f"{n_beyond} slower →", transform=axes.transAxes, ha="right",
                  va="bottom", fontsize=7.5, color=MUTED)  # fmt: skip


def _over_time(axes: "Axes", figure: TimingFigure, size: float) -> None:
    samples = figure.samples_s
    low, high = range_over_time(samples)
    calls = range(1, len(samples) + 1)
    for start, end in figure.slow:
        axes.axvspan(start + 1, max(end, start + 1) + 1, color=COLOURS["slow"], linewidth=0)
    axes.plot(
        calls,
        [min(value, high) / size for value in samples],
        "o",
        color=COLOURS["main"],
        markersize=2.2,
        alpha=0.5,
        markeredgewidth=0,
        label="call",
    )
    axes.plot(calls, [value / size for value in figure.running_s], color=COLOURS["baseline"],
              linewidth=1.2, label="running median")  # fmt: skip
    both = zip(halves(len(samples)), figure.halves_s, strict=True)
    for k, ((start, end), value) in enumerate(both):
        label = None if k else "median of each half"
        axes.plot([start + 1, end + 1], [value / size] * 2, color=INK, linewidth=1.2, label=label)
    axes.set_ylim(low / size - 0.04 * (high - low) / size, high / size + 0.04 * (high - low) / size)
    _number_axis(axes, "y", percent=False)
    ticked(axes.xaxis, [1, len(samples)], ["1", f"{len(samples):,}"])
    axes.set_xlabel("call, in the order measured")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.03, 1.0), ncols=3, fontsize=7.5, borderpad=0,
                handlelength=1.1, columnspacing=1.0)  # fmt: skip


def parts_panel(figure: PartsFigure) -> Panel:
    """Draw the steps as one stacked bar with a legend."""

    def draw(found: "Sequence[Axes]") -> None:
        (axes,) = found
        total = sum(value for _, value in figure.parts) or 1.0
        start, handles, names = 0.0, [], []
        for k, (name, value) in enumerate(figure.parts):
            share = format_percent(value / total)
            names.append(f"{short(name, _LETTERS)}: {format_seconds(value)}, {share}")
            handles.append(
                axes.barh(
                    0,
                    value / total,
                    left=start,
                    height=1,
                    color=COLOURS[f"c{k % N_COLOURS}"],
                    edgecolor="white",
                    linewidth=0.6,
                )
            )
            start += value / total
        axes.set_xlim(0, 1)
        axes.set_axis_off()
        named_legend(axes, handles, names, loc="upper left", bbox_to_anchor=(-0.01, -0.1),
                     ncols=2)  # fmt: skip

    inches = 0.75 + 0.2 * math.ceil(len(figure.parts) / 2)
    return Panel(title=figure.title, note=figure.note, inches=inches, draw=draw)


def pareto_panel(figure: ParetoFigure) -> Panel:
    """Draw accuracy against time on a logarithmic axis, with the front as a line."""
    n_columns = 1 if max(len(one.name) for one in figure.points) > 48 else 2  # noqa: PLR2004

    def draw(found: "Sequence[Axes]") -> None:
        (axes,) = found
        ends = [end for one in figure.points for end in one.seconds_interval or ()]
        ends += [one.seconds for one in figure.points]
        low, high = min(ends) / 1.15, max(ends) * 1.15
        times = [one.seconds for one in figure.points]
        size, unit = time_unit(math.sqrt(min(times) * max(times)))
        axes.set_xscale("log")
        axes.set_xlim(low / size, high / size)
        front = sorted((one.seconds / size, one.fraction) for one in figure.points if one.on_front)
        axes.step(*zip(*front, strict=True), where="post", color=COLOURS["good"], linewidth=1.2)
        handles: list[Any] = []
        for one in figure.points:
            x, y = one.seconds / size, one.fraction
            colour = COLOURS["good" if one.on_front else "baseline"]
            whisker = _WHISKER | {"ecolor": colour, "alpha": 0.6}
            axes.errorbar(x, y, yerr=[[y - one.interval.low], [one.interval.high - y]], **whisker)
            if one.seconds_interval is not None:
                least, most = (end / size for end in one.seconds_interval)
                axes.errorbar(x, y, xerr=[[max(0, x - least)], [max(0, most - x)]], **whisker)
            handles += axes.plot(
                x,
                y,
                "o" if one.on_front else "D",
                markersize=6.5 if one.on_front else 5.5,
                markerfacecolor=colour if one.valid else "white",
                markeredgecolor=colour,
                markeredgewidth=1.4,
                zorder=3,
            )
        places = log_ticks(low, high, size)
        ticked(axes.xaxis, [place / size for place in places],
               [number_text(place / size) for place in places])  # fmt: skip
        axes.grid(visible=True, axis="x", color=GRID)
        _number_axis(axes, "y", percent=True)
        axes.set_xlabel(f"{unit} per image")
        axes.set_ylabel("accuracy, %")
        _label_points(axes, figure, size)
        room = 96 if n_columns == 1 else 50
        names = [short(f"{one.label}   {one.name}", room) for one in figure.points]
        named_legend(axes, handles, names, loc="upper left", bbox_to_anchor=(-0.02, -0.16),
                     ncols=n_columns)  # fmt: skip

    inches = 3.3 + 0.17 * math.ceil(len(figure.points) / n_columns)
    return Panel(title=figure.title, note=figure.note, inches=inches, draw=draw)


def _label_points(axes: "Axes", figure: ParetoFigure, size: float) -> None:
    """Write each point's label where it is free; the limits of the axes must be final."""
    pixels = 72 / axes.figure.dpi
    places = axes.transData.transform([(p.seconds / size, p.fraction) for p in figure.points])
    frame = axes.get_window_extent()
    # Downwards, in points, as on a page.
    down = [(x * pixels, -y * pixels) for x, y in places]
    room = (frame.x0 * pixels, -frame.y1 * pixels, frame.x1 * pixels, -frame.y0 * pixels)
    centres = label_centres(down, [one.label for one in figure.points], FONT_SIZE, room)
    for one, point, centre in zip(figure.points, down, centres, strict=True):
        axes.annotate(
            one.label,
            (one.seconds / size, one.fraction),
            xytext=(centre[0] - point[0], point[1] - centre[1]),
            textcoords="offset points",
            ha="center",
            va="center",
            fontweight="bold" if one.on_front else "normal",
            zorder=4,
        )
