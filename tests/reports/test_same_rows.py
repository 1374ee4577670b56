"""HTML, Markdown and console show the same tables, cell by cell."""

import dataclasses
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from pictured_runs import ParsedPage
from swept_cells import cell, predictions, rounds, swept

from tlbench.compare import ComparedRun, compare_runs
from tlbench.records import decode_run
from tlbench.reports import (
    RENDERERS,
    comparison_markdown,
    comparison_page,
    render_comparison,
    render_sweep,
    run_page,
    sweep_markdown,
    sweep_page,
)
from tlbench.reports.base import Table
from tlbench.reports.comparison import comparison_parts
from tlbench.reports.console import run_parts
from tlbench.reports.sweep import sweep_parts

GOLDEN = Path(__file__).parents[1] / "golden"
WIDE = 1000  # columns, so that no line is broken


def _run(name="run-v1"):
    return decode_run((GOLDEN / f"{name}.json").read_bytes(), name)


def _of_run(name):
    run = _run(name)
    texts = (
        run_page(run),
        RENDERERS.load("markdown")(run),
        RENDERERS.load("console")(run, width=WIDE),
    )
    return run_parts(run, None), *texts


def _of_comparison():
    run = _run("run-simple")
    slower = tuple(
        dataclasses.replace(one, samples_s=tuple(1.5 * s for s in one.samples_s))
        for one in run.latency
    )
    runs = [run, dataclasses.replace(run, id="other", latency=slower)]
    found = compare_runs([ComparedRun(run=one) for one in runs], allow_unlike=True)
    texts = (
        comparison_page(found, runs),
        comparison_markdown(found),
        render_comparison(found, width=WIDE),
    )
    return comparison_parts(found), *texts


def _of_sweep():
    labels, found = predictions([0.85, 0.75], n_images=200)
    cells = {
        name: cell(name, labels, one, rounds(0.01 * (i + 1), seed=i))
        for i, (name, one) in enumerate(zip(("a" * 12, "b" * 12), found, strict=True))
    }
    sweep = swept(cells)
    runs = {name: one.run for name, one in cells.items()}
    texts = (sweep_page(sweep, runs), sweep_markdown(sweep), render_sweep(sweep, width=WIDE))
    return sweep_parts(sweep), *texts


REPORTS = {
    "run": lambda: _of_run("run-v1"),
    "run of several models": lambda: _of_run("run-candidates"),
    "comparison": _of_comparison,
    "sweep": _of_sweep,
}


def _spaced(cells):
    return [" ".join(text.split()) for text in cells]


def _markdown_tables(text):
    """Return rows of each table, with its header."""
    tables = []
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and tables and tables[-1] and token.level > 3:
            shown = "".join(child.content for child in token.children)
            tables[-1][-1].append(" ".join(shown.split()))
    return tables


@pytest.mark.parametrize("kind", REPORTS)
def test_tables_agree_cell_by_cell(kind):
    parts, page, markdown, console = REPORTS[kind]()
    in_page = [list(map(_spaced, rows)) for rows in ParsedPage(page).tables]
    in_markdown = _markdown_tables(markdown)
    # Empty cells are nothing on a console; two spaces lie between the others.
    lines = [re.split(r"\s{2,}", line.strip()) for line in console.splitlines()]
    tables = [part for part in parts if isinstance(part, Table) and part.rows]
    assert len(tables) >= 3
    assert len(in_markdown) == len(tables)
    for table, found in zip(tables, in_markdown, strict=True):
        rows = list(map(_spaced, table.rows))
        head = _spaced(table.columns)
        assert found[1:] == rows, table.title
        assert [head, *rows] in in_page or rows in in_page or [[""] * len(head), *rows] in in_page
        shown = [[cell for cell in row if cell] for row in rows]
        places = [i for i, line in enumerate(lines) if line == shown[0]]
        assert any(lines[i : i + len(shown)] == shown for i in places), table.title


@pytest.mark.parametrize("kind", REPORTS)
def test_markdown_has_the_note_of_each_table(kind):
    """What the figures rest on."""
    parts, _, markdown, _ = REPORTS[kind]()
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
    texts = [
        " ".join("".join(child.content for child in token.children).split())
        for token in tokens
        if token.type == "inline"
    ]
    notes = [part.note for part in parts if isinstance(part, Table) and part.rows and part.note]
    assert notes or kind == "sweep"  # there, they are in the titles
    assert [note for note in notes if note not in texts] == []
