"""Marks of inline SVG: they read without scripts and, where styles are blocked, without them.

Everything is drawn 400 units wide, so that a telephone shows it nearly at its own size.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from markupsafe import Markup

from tlbench.core.errors import printable
from tlbench.reports.page.markup import figure_markup

WIDTH = 400


class Drawn(Protocol):
    """What every figure has."""

    @property
    def title(self) -> str:
        """Heading."""

    @property
    def note(self) -> str:
        """Number, unit and interval."""


FONT_SIZE = 12
LETTER = 6.6  # width of a letter at this size
# Each class of the style sheet with the colour that it has on white.
COLOURS = {
    "main": "#3d7fc1",
    "baseline": "#c9742a",
    "good": "#1b7837",
    "bad": "#b2182b",
    "soft": "#d6e4f2",
    "slow": "#f8d7c4",
    "c0": "#3d7fc1",
    "c1": "#c9742a",
    "c2": "#1b7837",
    "c3": "#762a83",
    "c4": "#8c6d1f",
    "c5": "#b2182b",
}
N_COLOURS = 6
_MANY = 1000  # from here on, a number has a separator and no power of ten


def figure_block(
    figure: Drawn, height: float, parts: Iterable[Markup], title: str | None = None
) -> Markup:
    """Return a figure with its heading, drawing and note."""
    title = title or figure.title
    return figure_markup(title, drawing(height, f"{title}. {figure.note}", parts), figure.note)


def drawing(height: float, label: str, parts: Iterable[Markup]) -> Markup:
    """Return an SVG element; *label* says what it shows."""
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="{label}" font-family="sans-serif" font-size="{size}">{parts}</svg>'
    ).format(
        width=WIDTH,
        height=number(height),
        label=printable(label),
        size=FONT_SIZE,
        parts=Markup().join(parts),
    )


def number(value: float) -> str:
    """Return a coordinate."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def words(x: float, y: float, value: str, anchor: str = "start", kind: str = "") -> Markup:
    """Return a short text of our own."""
    return Markup(
        '<text class="{k}" x="{x}" y="{y}" text-anchor="{a}" fill="#333">{v}</text>'
    ).format(k=kind, x=number(x), y=number(y), a=anchor, v=printable(value))


def name_text(x: float, y: float, value: str, room: float, anchor: str = "end") -> Markup:
    """Return a name, cut where it does not fit; the whole of it shows on hover."""
    most = max(4, int(room / LETTER))
    value = printable(value)
    shown = value if len(value) <= most else f"{value[: most - 1]}…"
    return Markup(
        '<text x="{x}" y="{y}" text-anchor="{a}" fill="#333"><title>{whole}</title>{shown}</text>'
    ).format(x=number(x), y=number(y), a=anchor, whole=value, shown=shown)


def rect(  # noqa: PLR0917 - x, y, width, height, as everywhere
    x: float, y: float, width: float, height: float, kind: str, title: str = ""
) -> Markup:
    """Return a rectangle in a colour of `COLOURS`, whose title shows on hover."""
    inner = Markup("<title>{}</title>").format(printable(title)) if title else Markup()
    return Markup(
        '<rect class="f-{k}" x="{x}" y="{y}" width="{w}" height="{h}" fill="{c}">{t}</rect>'
    ).format(
        k=kind,
        x=number(x),
        y=number(y),
        w=number(max(0.0, width)),
        h=number(height),
        c=COLOURS[kind],
        t=inner,
    )


def stroke(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> Markup:
    """Return a straight line."""
    colour = {"axis": "#888", "grid": "#ddd", "ink": "#222"}.get(kind, COLOURS.get(kind, "#222"))
    return Markup('<line class="s-{k}" x1="{a}" y1="{b}" x2="{c}" y2="{d}" stroke="{s}"/>').format(
        k=kind, a=number(x1), b=number(y1), c=number(x2), d=number(y2), s=colour
    )


def path(points: Iterable[tuple[float, float]], kind: str) -> Markup:
    """Return a line through points."""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return Markup(
        '<path class="s-{k}" d="M{d}" fill="none" stroke="{s}" stroke-width="1.5"/>'
    ).format(k=kind, d=steps, s=COLOURS.get(kind, "#222"))


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers inside a range."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / wanted
    size = 10 ** math.floor(math.log10(rough))
    step = next((size * f for f in (1, 2, 2.5, 5, 10) if size * f >= rough * 0.999), size * 10)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]


def percent_text(value: float) -> str:
    """Return a fraction as a number of percent, for an axis."""
    return f"{100 * value:.1f}".removesuffix(".0")


def number_text(value: float) -> str:
    """Return a number for an axis."""
    return f"{value:,.0f}" if abs(value) >= _MANY else f"{value:.4g}"


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the unit in which a time is read best, in seconds, and its sign."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return size, unit
    return 1e-9, "ns"


def log_ticks(low: float, high: float, size: float) -> Sequence[float]:
    """Return 1, 2 and 5 times powers of ten inside a range; ends of it where there are none."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [
        factor * 10.0**power
        for power in range(first, last + 1)
        for factor in (1, 2, 5)
        if low <= factor * 10.0**power <= high
    ]
    if len(found) >= 2:  # noqa: PLR2004 - an axis needs two numbers
        return found
    return [tick * size for tick in ticks(low / size, high / size, 4)]
