"""A gate's verdict on a terminal: the answer, the figures, every rule, what could be found."""

import json

from rich.console import Group, RenderableType
from rich.text import Text

from tlbench.records import GateVerdict, plain_value
from tlbench.reports.gate_tables import (
    accuracy_rows,
    checks_table,
    compared_line,
    sensitivity_lines,
    timing_rows,
    verdict_parts,
)
from tlbench.reports.layout import laid_out, section, title_line, titled


def verdict_document(verdict: GateVerdict) -> str:
    """Return the verdict as JSON text."""
    return json.dumps(plain_value(verdict), indent=2, ensure_ascii=False) + "\n"


def render_verdict(verdict: GateVerdict, *, width: int = 80, color: bool = False) -> str:
    """Lay the verdict out for a terminal.

    Parameters
    ----------
    verdict : GateVerdict
    width : int
        Columns.
    color : bool
        Whether terminal escapes may be used.
    """
    return laid_out(_document(verdict, width), width=width, color=color)


def _document(verdict: GateVerdict, width: int) -> Group:
    parts: list[RenderableType] = [
        title_line(verdict_parts(verdict), width),
        Text(compared_line(verdict), overflow="fold"),
        Text(),
    ]
    for table in (
        accuracy_rows(verdict.accuracy),
        timing_rows(verdict.timings),
        checks_table(verdict.checks),
    ):
        if table.rows:
            parts += [titled(table, width), Text()]
    for label, lines in (
        ("Could find", sensitivity_lines(verdict)),
        ("Cautions", verdict.warnings),
    ):
        if lines:
            content = Group(*(Text(line, overflow="fold") for line in lines))
            parts += [section(label, content), Text()]
    return Group(*parts[:-1])
