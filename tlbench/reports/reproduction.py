"""Published figures beside measured ones: shared by every laid-out format."""

from collections.abc import Sequence

from tlbench.core.units import format_percent, format_seconds
from tlbench.records import PublishedFigure, Reproduction, RunResult
from tlbench.reports.tables import Table, format_interval


def published_table(found: Reproduction) -> Table:
    """Return each figure with what was measured in its place and the verdict."""
    return Table(
        f"{found.recipe}, row {found.row}",
        ("figure", "published", "measured", "95 % interval", "verdict"),
        (False, True, True, True, False),
        tuple(
            (
                figure.name,
                _fraction(figure.published_fraction, figure.published_deviation_fraction),
                _measured(figure),
                format_interval(figure.interval) if figure.interval else "",
                figure.verdict,
            )
            for figure in found.figures
        ),
    )


def _fraction(value: float, deviation: float | None) -> str:
    """Return a figure with the digits it was published with, at most two decimals."""
    text = f"{100 * value:.2f}".rstrip("0").rstrip(".")
    return f"{text} %" if deviation is None else f"{text} ± {100 * deviation:.2f} %"


def _measured(figure: PublishedFigure) -> str:
    if figure.measured_fraction is None:
        return ""
    if figure.measured_deviation_fraction is None:
        return format_percent(figure.measured_fraction)
    deviation = 100 * figure.measured_deviation_fraction
    return f"{100 * figure.measured_fraction:.2f} ± {deviation:.2f} %"


def reproduction_lines(run: RunResult, found: Reproduction) -> list[tuple[str, list[str]]]:
    """Return what the verdicts rest on: labels, each with its lines."""
    return [
        ("Because", _reasons(found.figures)),
        ("Weights", [found.weights]),
        ("Speed", _speeds(run, found)),
        ("Original", [found.title, found.protocol, found.source]),
        ("Notes", list(found.notes)),
    ]


def _reasons(figures: Sequence[PublishedFigure]) -> list[str]:
    """Return the reasons, with the figures' names where it is not those of all."""
    of_reason: dict[str, list[str]] = {}
    for figure in figures:
        for reason in figure.reasons:
            of_reason.setdefault(reason, []).append(figure.name)
    return [
        reason if len(names) == len(figures) else f"{', '.join(names)}: {reason}"
        for reason, names in of_reason.items()
    ]


def _speeds(run: RunResult, found: Reproduction) -> list[str]:
    if not found.speeds:
        return []
    lines = [
        f"published: {_range(speed.low_s, speed.high_s)} an image, {speed.name}"
        for speed in found.speeds
    ]
    single = next((one for one in run.latency if one.batch_size == 1), None)
    if single is not None:
        lines.append(
            f"here: {format_seconds(single.median_s)} an image, {single.provider}, "
            f"{single.threads} threads (for information, not judged)"
        )
    return lines


def _range(low_s: float, high_s: float) -> str:
    low, high = format_seconds(low_s), format_seconds(high_s)
    return low if low == high else f"{low} to {high}"
