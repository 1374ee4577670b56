"""Panels under one another, each with its title and note, as the bytes of a file."""

import io
import logging
import math
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlbench.core.errors import ConfigError, MissingDependencyError, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".svg", ".png", ".pdf")
INK, MUTED, AXIS, GRID = "#1b1f24", "#56606b", "#86909a", "#e3e8ed"  # of the page in light mode

_WIDTH = 7.2  # inches: a page of A4 with margins
FONT_SIZE, _NOTE_SIZE = 8.5, 7.5  # points
# Inches of a title; of a line of a note.
_TITLE, _LINE = 0.36, 0.145
_DPI = 200
# Without a date and with a fixed salt for ids, the same figure is the same bytes.
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
_RULES = {
    "axes.edgecolor": AXIS,
    "axes.labelcolor": MUTED,
    "axes.labelsize": FONT_SIZE,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.06,
    "font.size": FONT_SIZE,
    "grid.color": GRID,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "tlbench",
    "text.color": INK,
    "text.parse_math": False,  # a $ in a name is a dollar sign
    "xtick.color": AXIS,
    "xtick.labelcolor": INK,
    "ytick.color": AXIS,
    "ytick.labelcolor": INK,
}
# Fonts that have what DejaVu Sans, which comes with matplotlib, lacks; those that are installed.
_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans JP",
    "Noto Sans SC",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
    "Hiragino Sans",
    "Microsoft YaHei",
    "WenQuanYi Zen Hei",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A drawing with title and note; *draw* gets *n_axes* axes, side by side."""

    title: str
    note: str
    inches: float  # height of the drawing alone
    draw: "Callable[[Sequence[Axes]], None]"
    n_axes: int = 1


def check_plot_file(file: str | Path) -> str:
    """Return the suffix of a plot's file; raise ConfigError if it is none of `SUFFIXES`."""
    suffix = Path(file).suffix.lower()
    if suffix not in SUFFIXES:
        found = f"ends with {suffix}" if suffix else "has no suffix"
        raise ConfigError(
            f"The file of a plot must end with {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, but "
            f"{printable(str(file))} {found}."
        )
    return suffix


def check_matplotlib() -> None:
    """Raise MissingDependencyError if matplotlib cannot be imported."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingDependencyError(
            f"A plot needs matplotlib, which cannot be imported ({error}). Run: pip install "
            "'tlbench[report]'. Without it, a report in the format html has the same figures."
        ) from error
    del mpl


def drawn(panels: Sequence[Panel], suffix: str, *, n_columns: int = 1) -> bytes:
    """Return the file of a figure; the same panels give the same bytes."""
    check_matplotlib()
    with _style():
        from matplotlib.figure import Figure

        n_columns = min(n_columns, len(panels))
        n_lines = math.ceil(len(panels) / n_columns)
        notes = [_wrapped(panel.note, _WIDTH / n_columns) for panel in panels]
        heights = [
            max(
                _TITLE + panel.inches + _LINE * (note.count("\n") + 1) + 0.1
                for panel, note in list(zip(panels, notes, strict=True))[
                    line * n_columns : (line + 1) * n_columns
                ]
            )
            for line in range(n_lines)
        ]
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        parts = figure.subfigures(n_lines, n_columns, height_ratios=heights, squeeze=False)
        for part, panel, note in zip(parts.flat, panels, notes, strict=False):
            part.suptitle(
                short(panel.title, 96 // n_columns),
                x=0.012,
                ha="left",
                fontsize=10.5,
                fontweight="bold",
            )
            part.supxlabel(
                note, x=0.012, ha="left", fontsize=_NOTE_SIZE, color=MUTED, linespacing=1.3
            )
            panel.draw(part.subplots(1, panel.n_axes, squeeze=False)[0])
        file = io.BytesIO()
        kind = suffix.removeprefix(".")
        figure.savefig(file, format=kind, dpi=_DPI, metadata=_UNDATED[kind])
    return file.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Set all that a figure depends on, whatever the user's own settings of matplotlib are."""
    from matplotlib import font_manager
    from matplotlib import style as styles

    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in _FONTS if name in installed)]
    rules: dict[str, Any] = {**_RULES, "font.family": "sans-serif", "font.sans-serif": fonts}
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with styles.context(["default", rules]), warnings.catch_warnings():
        # Letters that no font has are boxes in PNG and PDF, and text in SVG.
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        try:
            yield
        finally:
            logger.setLevel(level)


def _wrapped(note: str, inches: float) -> str:
    letters = int(72 * inches / (_NOTE_SIZE * 0.545))
    return textwrap.fill(printable(note), letters, break_on_hyphens=False)


def short(name: str, most: int) -> str:
    """Return a name as text without control characters, cut where it is too long."""
    name = printable(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def named_legend(
    axes: "Axes",
    handles: Sequence[Any],
    names: Sequence[str],
    **how: Any,
) -> Any:  # noqa: ANN401
    """Add a legend and return it; matplotlib itself leaves names out that begin with ``_``."""
    found = axes.legend(list(handles), ["name"] * len(names), borderpad=0, **how)
    for text, name in zip(found.get_texts(), names, strict=True):
        text.set_text(name)
    return found


def ticked(
    axis: Any,  # noqa: ANN401 - one of matplotlib's
    places: Sequence[float],
    texts: Sequence[str],
) -> None:
    """Mark *places* of an axis, and no others, with texts that are shown as they are."""
    from matplotlib import ticker

    axis.set_major_locator(ticker.FixedLocator(list(places)))
    axis.set_major_formatter(ticker.FixedFormatter(list(texts)))
    axis.set_minor_locator(ticker.NullLocator())
