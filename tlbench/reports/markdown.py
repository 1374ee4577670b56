"""Reports as Markdown, for pull requests and job summaries: the rows of the console's report."""

import re
from collections.abc import Iterable, Sequence

from tlbench.core.errors import printable
from tlbench.records import Comparison, RunResult, Sweep
from tlbench.reports.base import Part, Table
from tlbench.reports.comparison import comparison_parts, comparison_title
from tlbench.reports.console import run_parts, title_parts
from tlbench.reports.sweep import sweep_parts, sweep_title


def render(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return the run as Markdown in GitHub's flavour."""
    del width, color
    return markdown(title_parts(run), run_parts(run, location))


def comparison_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown."""
    return markdown(comparison_title(comparison), comparison_parts(comparison))


def sweep_markdown(sweep: Sweep, location: str | None = None) -> str:
    """Return a sweep as Markdown."""
    return markdown(sweep_title(sweep), sweep_parts(sweep, location))


def markdown(title: Sequence[str], parts: Iterable[Part]) -> str:
    """Return a title and the parts that are not empty; every text is shown as it is."""
    name, *about = map(markdown_cell, title)
    blocks = [f"## {name}", " · ".join(about)]
    for part in parts:
        if isinstance(part, Table):
            if part.rows:
                blocks += [_heading(part.title), markdown_table(part), markdown_cell(part.note)]
            continue
        for section, lines in part.items():
            if lines:
                blocks += [_heading(section), "\n".join(f"- {markdown_cell(x)}" for x in lines)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _heading(title: str) -> str:
    return f"### {markdown_cell(title)}" if title else ""


def markdown_table(table: Table) -> str:
    """Return a table with its header; the answer of a report has an empty one."""
    rules = ["--:" if right else ":--" for right in table.right]
    columns = table.columns if table.title else [""] * len(table.columns)
    rows: list[Sequence[str]] = [list(map(markdown_cell, columns)), rules]
    rows += [list(map(markdown_cell, row)) for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def markdown_cell(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_<>|\[\]#~&$@!])", r"\\\1", printable(" ".join(text.split())))
