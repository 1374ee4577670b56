"""What a report says about times, as rows of text: shared by every laid-out format."""

from collections.abc import Iterable, Sequence
from string import ascii_uppercase

from tlbench.core.units import format_bytes, format_percent, format_seconds
from tlbench.records import (
    Breakdown,
    LatencyRatio,
    LatencyResult,
    ModelUnderTest,
    Percentile,
    RunResult,
)
from tlbench.reports.tables import Table, format_rate

_SHOWN = (0.5, 0.9, 0.99)
# Where nobody could look at these, silence would be taken for a quiet machine.
_DISTURBANCES = {"other load", "gpu clock"}
_BAR_WIDTH = 24


def _letter(i: int) -> str:
    return ascii_uppercase[i] if i < len(ascii_uppercase) else str(i)


def _letters(results: Sequence[LatencyResult]) -> dict[str, str]:
    """Return a letter for each candidate, in order; labels may be long paths."""
    labels = dict.fromkeys(result.label for result in results if result.label is not None)
    return {label: _letter(i) for i, label in enumerate(labels)}


def _name(result: LatencyResult, letters: dict[str, str]) -> str:
    place = " (device)" if result.boundary == "device->device" else ""
    prefix = f"{letters[result.label]} " if result.label in letters else ""
    return f"{prefix}{result.scenario}{place}"


def _percentile(found: Percentile) -> str:
    return "n/a" if found.value_s is None else format_seconds(found.value_s)


def latency_table(results: Sequence[LatencyResult]) -> Table:
    """Return every timing; times are for one call of the whole batch."""
    letters, rows = _letters(results), []
    for result in results:
        by_fraction = {found.fraction: found for found in result.percentiles}
        rows.append(
            (
                _name(result, letters),
                str(result.batch_size),
                *(_percentile(by_fraction[fraction]) for fraction in _SHOWN),
                format_rate(result.images_per_s),
                result.verdict or "",
            )
        )
    return Table(
        "Latency",
        ("scenario", "batch", "median", "p90", "p99", "images/s", "verdict"),
        (False, True, True, True, True, True, False),
        tuple(rows),
    )


def costs_table(results: Sequence[LatencyResult]) -> Table:
    """Return what each timing rests on and what it costs besides time.

    Processor time counts all threads, those that wait in a busy loop included. Memory is the peak
    of a fresh process; no column of it where it was not measured.
    """
    letters = _letters(results)
    has_memory = any(result.peak_rss_bytes for result in results)
    columns = ["scenario", "batch", "n", "median, 95 %", "CPU an image"]
    rows = []
    for result in results:
        row = [
            _name(result, letters),
            str(result.batch_size),
            str(len(result.samples_s)),
            _interval(result),
            format_seconds(result.cpu_s_per_image),
        ]
        if has_memory:
            row.append(format_bytes(result.peak_rss_bytes) if result.peak_rss_bytes else "-")
        rows.append(tuple(row))
    if has_memory:
        columns.append("memory")
    is_number = (False, *[True] * (len(columns) - 1))
    return Table("Behind it", tuple(columns), is_number, tuple(rows))


def _interval(result: LatencyResult) -> str:
    if result.median_interval is None:
        return "n/a"
    low, high = (
        format_seconds(x) for x in (result.median_interval.low, result.median_interval.high)
    )
    number, unit = high.rsplit(" ", 1)
    return f"{low.removesuffix(f' {unit}')} to {number} {unit}"


def verdict_lines(results: Sequence[LatencyResult]) -> list[str]:
    """Return why each INVALID timing is, and what to do; nothing where all are VALID."""
    letters = _letters(results)
    return [
        f"{_name(result, letters)}, batch {result.batch_size}: {reason}"
        for result in results
        for reason in result.reasons
    ]


def timing_notes(results: Sequence[LatencyResult]) -> list[str]:
    """Return what a reader must know besides: missing percentiles, slow phases, busy waiting."""
    letters = _letters(results)
    notes = []
    for result in results:
        title = f"{_name(result, letters)}, batch {result.batch_size}"
        missing = [p for p in result.percentiles if p.value_s is None and p.fraction in _SHOWN]
        if missing:
            needs = ", ".join(f"p{100 * p.fraction:.0f} needs {p.n_needed}" for p in missing)
            notes.append(f"{title}: {needs}, has {len(result.samples_s)} samples")
        notes += [f"{title}: {c.text}" for c in result.checks if c.outcome == "note"]
        notes += [
            f"{title}: {c.name}: {c.text}"
            for c in result.checks
            if c.outcome == "unknown" and c.name in _DISTURBANCES
        ]
        if result.idle_cpu_s is not None and result.idle_cpu_s > 0.1:  # noqa: PLR2004 - a tenth
            notes.append(
                f"{title}: threads took {result.idle_cpu_s:.2f} s of processor time in the second "
                "after the last call; --no-spin ends that"
            )
        if result.server is not None:
            notes.append(f"{title}: {_server(result)}")
    return notes


def _server(result: LatencyResult) -> str:
    load = result.server
    assert load is not None
    is_valid = load.over_high <= load.allowed_fraction
    return (
        f"{load.qps:.3g} requests a second, {format_percent(load.over_fraction, 2)} over "
        f"{format_seconds(load.latency_bound_s)} (at most {format_percent(load.over_high, 2)}, "
        f"{format_percent(load.allowed_fraction)} allowed): "
        + ("in time" if is_valid else "too late")
        + (f", {load.n_unanswered} never answered" if load.n_unanswered else "")
        + (", the highest rate found" if load.is_peak else "")
    )


def models_table(models_under_test: Iterable[ModelUnderTest]) -> Table:
    """Return who took turns; the first is the reference."""
    return Table(
        "In turn",
        ("", "model", "precision", "provider", "threads"),
        (False, False, False, False, True),
        tuple(
            (_letter(i), c.label, c.precision, c.provider, str(c.threads))
            for i, c in enumerate(models_under_test)
        ),
    )


def ratio_table(run: RunResult) -> Table:
    """Return the time of each candidate over that of the reference, and what else differs."""
    letters = {candidate.label: _letter(i) for i, candidate in enumerate(run.models_under_test)}

    def row(ratio: LatencyRatio) -> tuple[str, ...]:
        found = ratio.interval
        return (
            " / ".join(letters.get(label, label) for label in (ratio.label, ratio.reference)),
            ratio.scenario,
            str(ratio.batch_size),
            f"{ratio.ratio:.3f}",
            "n/a" if found is None else f"[{found.low:.3f}, {found.high:.3f}]",
            str(ratio.n_blocks),
            ", ".join(ratio.unlike) or "nothing",
        )

    return Table(
        "Ratio",
        ("time", "scenario", "batch", "ratio", "95 % interval", "blocks", "differs in"),
        (False, False, True, True, True, True, False),
        tuple(row(ratio) for ratio in run.ratios),
    )


def breakdown_table(found: Breakdown) -> Table:
    """Return the parts of the way from image to label, their sum, and the whole."""
    rows = [
        (name, format_seconds(part), "#" * round(_BAR_WIDTH * part / found.sum_s))
        for name, part in found.parts.items()
    ]
    rows += [
        ("sum", format_seconds(found.sum_s), ""),
        ("end to end", format_seconds(found.end_to_end_s), f"{found.n_images} images"),
    ]
    return Table("One image", ("part", "median", ""), (False, True, False), tuple(rows))
