"""A comparison of saved runs, as text for people or as JSON."""

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from tlbench.records import AccuracyDifference, Comparison, Mismatch, SpeedUp, plain_value
from tlbench.reports.comparison_tables import (
    accuracy_difference_table,
    differing_table,
    paired_table,
    runs_table,
    speed_up_table,
    timing_name,
    timing_table,
    timings_of,
)
from tlbench.reports.layout import laid_out, section, title_line, titled


def comparison_document(comparison: Comparison) -> str:
    """Return the comparison as JSON text, every figure of it."""
    return json.dumps(plain_value(comparison), indent=2, ensure_ascii=False) + "\n"


def render_comparison(comparison: Comparison, *, width: int = 80, color: bool = False) -> str:
    """Lay the comparison out for a terminal: who, the answer, what it rests on.

    Parameters
    ----------
    comparison : Comparison
    width : int
        Columns.
    color : bool
        Whether terminal escapes may be used.
    """
    return laid_out(_document(comparison, width), width=width, color=color)


def _document(comparison: Comparison, width: int) -> Group:
    models = dict.fromkeys(run.model for run in comparison.runs)
    parts: list[RenderableType] = [title_line([*models, "compared with A"], width), Text()]
    for table in (
        runs_table(comparison),
        speed_up_table(comparison.speed_ups),
        timing_table(comparison.speed_ups),
        accuracy_difference_table(comparison.accuracy),
        paired_table(comparison.accuracy),
        differing_table(comparison),
    ):
        if table.rows:
            parts += [titled(table, width), Text()]
    for label, lines in (
        ("* Unlike", _unlike_lines(comparison)),
        ("INVALID", _reason_lines(comparison.speed_ups)),
        ("Interrupted", _interrupted_lines(comparison.speed_ups)),
        ("No partner", _unpaired_lines(comparison)),
        ("The same", _alike_lines(comparison)),
        ("Energy", _energy_lines(comparison.speed_ups)),
        ("Cautions", _head_lines(comparison.accuracy)),
        ("Notes", comparison.notes),
    ):
        if lines:
            content = Group(*(Text(line, overflow="fold") for line in lines))
            parts += [section(label, content), Text()]
    return Group(*parts[:-1])


def _alike_lines(comparison: Comparison) -> list[str]:
    alike = [f"{fact.name} {fact.values[0]}" for fact in comparison.properties if not fact.differs]
    return [" · ".join(alike)] if alike else []


def _unlike_lines(comparison: Comparison) -> list[str]:
    lines = [
        f"{pair.other.run}, {timing_name(pair.other)}: {_listed(pair.mismatches)}"
        for pair in comparison.speed_ups
        if pair.mismatches
    ]
    lines += [
        f"{pair.other.run}, {pair.other.head} on {pair.other.title}: {_listed(pair.mismatches)}"
        for pair in comparison.accuracy
        if pair.mismatches
    ]
    return lines


def _listed(differences: Sequence[Mismatch]) -> str:
    return "; ".join(map(str, differences))


def _reason_lines(pairs: Sequence[SpeedUp]) -> list[str]:
    return [
        f"{one.run}, {timing_name(one)}: {reason}"
        for one in timings_of(pairs)
        for reason in one.reasons
    ]


def _interrupted_lines(pairs: Sequence[SpeedUp]) -> list[str]:
    return [
        f"{one.run}, {timing_name(one)}: after {one.n_samples} samples"
        for one in timings_of(pairs)
        if not one.complete
    ]


def _unpaired_lines(comparison: Comparison) -> list[str]:
    return [
        f"{one.run}, {one.what}: not in {', '.join(one.missing_in)}" for one in comparison.unpaired
    ]


def _energy_lines(pairs: Sequence[SpeedUp]) -> list[str]:
    """Return what the counters count, where two figures stand next to one another."""
    compared = [pair for pair in pairs if pair.energy_ratio is not None]
    notes = dict.fromkeys(
        (one.run, one.energy_note or "no note of what was counted")
        for pair in compared
        for one in (pair.reference, pair.other)
    )
    return [f"{run}: {note}" for run, note in notes]


def _head_lines(pairs: Sequence[AccuracyDifference]) -> list[str]:
    return list(
        dict.fromkeys(
            f"{one.run}, {one.head} on {one.title}: {note}"
            for pair in pairs
            for one in (pair.reference, pair.other)
            for note in one.notes
        )
    )
