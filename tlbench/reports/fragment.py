"""Reports as fragments of HTML, which notebooks show in place of an object."""

from collections.abc import Iterable
from html import escape

from tlbench.records import Comparison, GateVerdict, Pick, RunResult, Sweep
from tlbench.reports.base import Part, Table
from tlbench.reports.comparison import comparison_parts, comparison_title
from tlbench.reports.console import run_parts, title_parts
from tlbench.reports.gate import all_verdict_parts, verdict_title
from tlbench.reports.pick import pick_parts, pick_title
from tlbench.reports.sweep import sweep_parts, sweep_title

# Notebooks align the cells of every table to the right unless each cell says otherwise.
_ALIGNED = {side: f' style="text-align: {side}"' for side in ("left", "right")}


def run_fragment(run: RunResult, location: str | None = None) -> str:
    """Return a run's report as HTML."""
    return _fragment(title_parts(run), run_parts(run, location))


def comparison_fragment(comparison: Comparison) -> str:
    """Return a comparison as HTML."""
    return _fragment(comparison_title(comparison), comparison_parts(comparison))


def verdict_fragment(verdict: GateVerdict) -> str:
    """Return a gate's verdict as HTML."""
    return _fragment(verdict_title(verdict), all_verdict_parts(verdict))


def sweep_fragment(sweep: Sweep, location: str | None = None) -> str:
    """Return a sweep as HTML."""
    return _fragment(sweep_title(sweep), sweep_parts(sweep, location))


def pick_fragment(pick: Pick) -> str:
    """Return a pick as HTML."""
    return _fragment(pick_title(pick), pick_parts(pick))


def _fragment(title: Iterable[str], parts: Iterable[Part]) -> str:
    """Return a title and the parts that are not empty; every text is escaped."""
    blocks = [f"<p><b>{escape(' · '.join(title))}</b></p>"]
    for part in parts:
        if isinstance(part, Table):
            blocks += [_table(part)] if part.rows else []
        else:
            blocks += [_lines(name, list(lines)) for name, lines in part.items() if lines]
    return f'<div class="tlbench">{"".join(blocks)}</div>'


def _table(table: Table) -> str:
    rows = [_row("td", row, table.right) for row in table.rows]
    if not table.title:  # the answer: no header
        return f"<table><tbody>{''.join(rows)}</tbody></table>"
    header = _row("th", table.columns, table.right)
    return (
        f"<p><b>{escape(table.title)}</b></p>"
        f"<table><thead>{header}</thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _row(tag: str, cells: Iterable[str], right: Iterable[bool]) -> str:
    filled = (
        f"<{tag}{_ALIGNED['right' if is_right else 'left']}>{escape(cell)}</{tag}>"
        for cell, is_right in zip(cells, right, strict=True)
    )
    return f"<tr>{''.join(filled)}</tr>"


def _lines(title: str, lines: list[str]) -> str:
    heading = f"<p><b>{escape(title)}</b></p>"
    if len(lines) == 1:
        return f"{heading}<p>{escape(lines[0])}</p>"
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"{heading}<ul>{items}</ul>"
