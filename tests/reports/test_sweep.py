"""The tables of a sweep and of a pick: every figure with n, unit and interval, in 80 columns."""

import json
import re

import pytest
from rich.cells import cell_len
from swept_cells import cell, predictions, replace, rounds, swept

from tlbench.compare import judge_cells
from tlbench.core.units import format_percent
from tlbench.records import Budgets
from tlbench.reports import (
    pick_document,
    pick_fragment,
    render_pick,
    render_sweep,
    sweep_document,
    sweep_fragment,
)
from tlbench.reports.sweep import (
    costs_table,
    difference_table,
    milliseconds,
    milliseconds_interval,
    pareto_table,
    sweep_answer,
)

# A default, a faster network that is worse, and one that is not.
GRID = {
    "a" * 12: {"input_size": 224, "precision": "fp32"},
    "b" * 12: {"input_size": 96, "precision": "fp32"},
    "c" * 12: {"input_size": 128, "precision": "int8"},
}
A, B, C = GRID


@pytest.fixture(scope="module")
def measured():
    labels, found = predictions([0.85, 0.75, 0.85], n_images=1000, agreement=0.9, seed=3)
    times = (0.010, 0.002, 0.0034)
    return {
        name: cell(name, labels, one, rounds(median, seed=i))
        for i, (name, one, median) in enumerate(zip(GRID, found, times, strict=True))
    }


@pytest.fixture(scope="module")
def sweep(measured):
    settings = {name: {"backbone": "net"} | own for name, own in GRID.items()}
    found = swept(measured, settings=settings)
    names = {name: f"{own['input_size']} px {own['precision']}" for name, own in GRID.items()}
    return replace(found, cells=tuple(replace(one, name=names[one.id]) for one in found.cells))


@pytest.fixture(scope="module")
def failed(sweep):
    """The same with two cells that failed for one reason."""
    reason = "Provider 'cuda' cannot run here: library libcublas.so is missing."
    more = [
        replace(sweep.cells[0], id=f"{i}" * 12, state="failed", reason=reason, figures=None)
        for i in range(2)
    ]
    return replace(sweep, cells=(*sweep.cells, *more))


def test_the_answer_is_one_sentence(sweep):
    text = re.sub(r"[-+]?\d+\.\d+", "#", sweep_answer(sweep))
    assert text == (
        "net at 128 px, int8 is within noise of 224 px, fp32 (McNemar p = #, # points "
        "[#, #], n = 1,000) and takes # [#, #] of the time."
    )


def test_the_answer_says_that_there_is_nothing_better(measured):
    settings = {name: {"backbone": "net"} | own for name, own in GRID.items()}
    found = swept(measured, settings=settings, against="net@input_size=96")
    assert sweep_answer(found) == (
        "No cell is clearly faster than net at 96 px, fp32 without being clearly less accurate on "
        "the same images."
    )


@pytest.mark.parametrize(
    ("invalid", "text"),
    [
        ((), "of the time."),
        ((C,), "One of the two timings is INVALID"),
        ((A, C), "Both timings are"),
    ],
)
def test_the_answer_owns_up_to_invalid_timings(sweep, invalid, text):
    cells = tuple(
        replace(one, figures=replace(one.figures, verdict="INVALID")) if one.id in invalid else one
        for one in sweep.cells
    )
    answer = sweep_answer(replace(sweep, cells=cells))
    assert text in answer
    assert ("INVALID" in answer) == bool(invalid)


def test_a_cell_that_is_better_is_not_called_equal(measured):
    labels = measured[A].predictions.labels
    perfect = cell(C, labels, labels, rounds(0.003))
    settings = {name: {"backbone": "net"} | own for name, own in GRID.items()}
    found = swept(measured | {C: perfect}, settings=settings)
    assert "is more accurate than 224 px, fp32 (McNemar p < 0.001" in sweep_answer(found)


def test_the_same_predictions_are_not_called_noise(measured):
    one = measured[A]
    labels = one.predictions.labels
    batch = cell(C, labels, one.predicted, rounds(0.03, seed=5), batch_size=8)
    settings = {A: {"backbone": "net"}, C: {"backbone": "net"}}
    found = swept({A: one, C: batch}, settings=settings)
    assert "net at batch 8 is right and wrong about the same 1,000 test images as batch 1" in (
        sweep_answer(found)
    )


def test_a_single_cell_has_no_answer(measured):
    assert sweep_answer(swept({A: measured[A]})) is None


def test_rows_are_the_figures_of_the_record(sweep):
    """The fastest first, with the same numbers as in JSON."""
    rows = pareto_table(sweep).rows
    figures = sorted((one.figures for one in sweep.cells), key=lambda one: one.image_s)
    assert [row[1] for row in rows] == [format_percent(one.accuracy_fraction) for one in figures]
    assert [row[3] for row in rows] == [milliseconds(one.image_s) for one in figures]
    assert [row[4] for row in rows] == [
        milliseconds_interval(one.image_interval) for one in figures
    ]
    assert "reference" in rows[-1][-1]
    assert {one.id for one in sweep.cells if one.figures.on_front} >= {B}


@pytest.mark.parametrize("make", [pareto_table, difference_table, costs_table])
def test_every_table_says_how_many(sweep, make):
    assert "n = 1,000 test images, 30 rounds" in make(sweep).title


def test_units_are_in_the_columns(sweep):
    assert "ms/image" in pareto_table(sweep).columns
    assert "calls" in costs_table(sweep).columns
    cells = costs_table(sweep).rows[0]
    assert any(text.endswith("B") for text in cells)


def test_joules_have_a_column_where_they_were_counted(sweep):
    for joules, is_shown in ((None, False), (0.25, True)):
        cells = tuple(
            replace(one, figures=replace(one.figures, energy_j_per_image=joules))
            for one in sweep.cells
        )
        table = costs_table(replace(sweep, cells=cells))
        assert ("J/image" in table.columns) == is_shown
        assert ("0.250" in table.rows[0]) == is_shown


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_terminal(failed, measured, width):
    pick = judge_cells(failed, measured, Budgets(max_latency_s=0.005), "accuracy", folder="swept")
    for text in (
        render_sweep(failed, location="swept", width=width),
        render_pick(pick, width=width),
    ):
        assert max(map(cell_len, text.splitlines())) <= width


def test_the_console_says_it_in_order(failed):
    """The answer first; what failed, once for each reason."""
    text = render_sweep(failed, location="swept")
    parts = ["Answer", "Accuracy and time", "Compared with 224 px fp32", "Size, peak memory"]
    parts += ["Failed: 2 of 5 cells", "Notes", "Saved", "Repeat"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.count("libcublas.so") == 1


def test_a_sweep_without_a_measured_cell_renders(failed):
    cells = tuple(replace(one, state="failed", reason="no", figures=None) for one in failed.cells)
    text = render_sweep(
        replace(failed, cells=cells, differences=(), against=None, recommended=None)
    )
    assert "Failed: 5 of 5 cells" in text
    assert "Accuracy and time" not in text


def test_baselines_stand_below_the_cells(measured):
    one = measured[A]
    pixels = replace(one.run.accuracy[0], features="pixels", baseline=True)
    both = replace(one, run=replace(one.run, accuracy=(*one.run.accuracy, pixels)))
    rows = pareto_table(swept({A: both})).rows
    assert rows[-1][0] == "softmax on pixels"
    assert rows[-1][-1] == "baseline"


def test_warnings_that_differ_in_figures_are_one(measured):
    def warned(name, *texts):
        return replace(measured[name], run=replace(measured[name].run, warnings=texts))

    cells = {
        A: warned(A, "accuracies are known to about ±2.1 points", "limited"),
        B: warned(B, "accuracies are known to about ±2.7 points", "limited"),
        C: warned(C, "limited", "softmax did not converge"),
    }
    found = swept(cells).warnings
    assert found[1] == "limited"
    assert found[0].startswith(f"{A}, {B}: accuracies are known to about ±2.1 points (that is")
    assert found[2] == f"{C}: softmax did not converge"


def test_a_pick_names_cell_ties_and_commands(sweep, measured):
    pick = judge_cells(sweep, measured, Budgets(max_latency_s=0.02), "accuracy", folder="swept")
    text = render_pick(pick)
    assert text.startswith("PICKED 128 px int8 · cccccccccccc · 3 of 3 cells pass")
    assert "It is the fastest of 2 cells that are tied in accuracy" in " ".join(text.split())
    assert "Tied with" in text
    assert "tlbench fuse swept/cells/cccccccccccc" in text
    assert "98.33 %" in text


def test_a_pick_of_nothing_says_by_how_much(sweep, measured):
    pick = judge_cells(sweep, measured, Budgets(max_latency_s=0.001), "accuracy")
    text = " ".join(render_pick(pick).split())
    assert text.startswith("NO CELL PASSES · most accurate, under 1.00 ms per image")
    assert f"The nearest is 96 px fp32 ({B}). It misses latency:" in text
    assert "over the limit" in text
    assert "tlbench fuse" not in text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\x1b[31mred", "a\nb", "🐈" * 40])
def test_names_stay_text(sweep, measured, name):
    """In a notebook and on a terminal."""
    named = replace(sweep, cells=tuple(replace(one, name=name) for one in sweep.cells))
    pick = judge_cells(named, measured, Budgets(), "accuracy")
    for html in (sweep_fragment(named), pick_fragment(pick)):
        assert "<script>" not in html
    for text in (render_sweep(named), render_pick(pick)):
        assert "\x1b" not in text


def test_documents_are_json(sweep, measured):
    assert json.loads(sweep_document(sweep))["cells"][0]["id"] == A
    pick = judge_cells(sweep, measured, Budgets(), "accuracy")
    assert json.loads(pick_document(pick))["picked"] == C
