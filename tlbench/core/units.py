"""Numbers as text for people, and how such text is laid out."""

import itertools
import math
import statistics
import textwrap
from collections.abc import Sequence

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")
# Bars from low to high, and what stands for each where an output has no such characters.
_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
_TIME_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def _significant(value: float, digits: int = 3) -> str:
    """Return *value* with *digits* significant digits and no exponent: 4.2 -> 4.20."""
    rounded = float(f"{value:.{digits - 1}e}")
    whole = len(str(int(abs(rounded)))) if abs(rounded) >= 1 else 1
    return f"{rounded:.{max(0, digits - whole)}f}" if whole < digits else f"{value:,.0f}"


def format_seconds(value: float) -> str:
    """Return a duration to three significant digits: ``4.20 ms``, ``2 min 05 s``."""
    if value >= 120:  # noqa: PLR2004 - two minutes: below, seconds read better
        minutes, seconds = divmod(round(value), 60)
        if minutes < 60:  # noqa: PLR2004 - minutes of an hour
            return f"{minutes} min {seconds:02} s"
        hours, minutes = divmod(round(value / 60), 60)
        return f"{hours} h {minutes:02} min"
    if value == 0:
        return "0 s"
    for size, unit in _TIME_UNITS:
        # 0.9995 of a unit rounds to 1.00 of it, and not to 1000 of the next
        if abs(value) >= size * 0.9995 or unit == "ns":
            return f"{_significant(value / size)} {unit}"
    raise AssertionError


def format_bytes(value: float) -> str:
    """Return a size in decimal units: ``17.4 MB``."""
    for power, unit in enumerate(_BYTE_UNITS):
        if value < 999.5 * 1000**power or unit == _BYTE_UNITS[-1]:
            scaled = value / 1000**power
            return f"{scaled:.0f} B" if power == 0 else f"{_significant(scaled)} {unit}"
    raise AssertionError


def format_percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction as percent: ``87.4 %``."""
    return f"{100 * fraction:.{digits}f} %"


def format_points(fraction: float, digits: int = 1) -> str:
    """Return a difference of fractions in percentage points, with its sign: ``-3.0``."""
    return f"{100 * fraction:+.{digits}f}"


def format_p(value: float) -> str:
    """Return a p-value: ``0.042``, ``< 0.001``."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - three decimals


def format_factor(value: float) -> str:
    """Return a ratio to three significant digits: ``0.123``, ``1.00``, ``7.33``, ``1,230``."""
    rounded = float(f"{value:.2e}")
    if rounded != 0 and not 1e-3 <= abs(rounded) < 1e6:  # noqa: PLR2004 - zeros nobody counts
        return f"{value:.2e}"
    decimals = 2 - math.floor(math.log10(abs(rounded))) if rounded else 0
    return f"{rounded:,.{max(0, decimals)}f}"


def format_count(value: float) -> str:
    """Return a count with thousands separated: ``1,017``."""
    return f"{value:,.0f}"


def sparkline(values: Sequence[float]) -> str:
    """Return a bar for each value, between the lowest and the highest: ``▁▃█▂``."""
    low, high = min(values), max(values)
    step = (high - low) / (len(_BARS) - 1) or 1.0
    return "".join(_BARS[round((one - low) / step)] for one in values)


def group_medians(values: Sequence[float], most: int) -> list[float]:
    """Return the medians of at most *most* groups of neighbours, of nearly equal size."""
    n_groups = min(most, len(values))
    ends = [len(values) * i // n_groups for i in range(n_groups + 1)]
    return [statistics.median(values[i:j]) for i, j in itertools.pairwise(ends)]


def encodable(text: str, encoding: str | None) -> str:
    """Return text for an output whose encoding may lack the bars of `sparkline`: ``_:#.``."""
    try:
        _BARS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return text.translate(str.maketrans(_BARS, _PLAIN_BARS))
    return text


def labelled(label: str, text: str, *, indent: int, width: int = 80) -> str:
    """Return *text* behind *label*, wrapped at *width* and indented; long words stay whole."""
    return textwrap.fill(
        text,
        width,
        initial_indent=f"{label:<{indent}}",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
