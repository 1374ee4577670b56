"""The report on a terminal: complete, within its columns, whatever the run."""

import dataclasses
import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlbench.records import encode_run
from tlbench.reports import RENDERERS
from tlbench.reports.accuracy import accuracy_table
from tlbench.reports.console import render
from tlbench.reports.timing import latency_table

# Skin tones change the width of what stands before them, and Unicode versions disagree on the width
# of letters that are not assigned yet: rich has its own table.
NAMES = st.text(st.characters(exclude_categories=["C", "Z", "M", "Sk"]), min_size=1, max_size=40)
SENTENCES = st.text(st.characters(exclude_categories=["Cs", "Cn", "Sk"]), max_size=200)
TIMES = st.floats(1e-9, 1e6)


def _columns(line):
    """Return how many terminal columns a line takes: East Asian letters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def _words(text):
    """Return the text with all white space and line breaks as single spaces."""
    return " ".join(text.split())


@st.composite
def _changes(draw):
    """Draw what differs from run to run: names, sentences, figures and missing parts."""
    return {
        "dataset": draw(st.none() | NAMES),
        "head": draw(NAMES),
        "features": draw(NAMES),
        "backbone": draw(st.none() | NAMES),
        "scenario": draw(NAMES),
        "sample_s": draw(TIMES),
        "fit_s": draw(TIMES),
        "verdict": draw(st.sampled_from(["VALID", "INVALID", None])),
        "warnings": tuple(draw(st.lists(SENTENCES, max_size=3))),
        "command": draw(SENTENCES),
        "parts": draw(st.sets(st.sampled_from(["accuracy", "extraction", "latency"]))),
    }


def _changed(run, changes):
    """Return the golden run with the changes of `_changes`."""
    replace = dataclasses.replace
    card = None
    if changes["backbone"] is not None:
        card = replace(run.model.card, backbone=changes["backbone"])
    dataset = None
    if changes["dataset"] is not None:
        dataset = replace(run.dataset, name=changes["dataset"])
    first, *others = run.accuracy
    accuracy = (
        replace(first, head=changes["head"], fit_s=changes["fit_s"]),
        *(replace(other, features=changes["features"]) for other in others),
    )
    latency = tuple(
        replace(
            result,
            scenario=changes["scenario"],
            samples_s=(changes["sample_s"],) * 3,
            verdict=changes["verdict"],
        )
        for result in run.latency
    )
    parts = {"accuracy": accuracy, "extraction": run.extraction, "latency": latency}
    return replace(
        run,
        model=replace(run.model, card=card),
        dataset=dataset,
        warnings=changes["warnings"],
        config=replace(run.config, command=changes["command"]),
        **{name: value if name in changes["parts"] else () for name, value in parts.items()},
    )


def test_no_line_is_longer_than_80_columns(golden_run):
    """The report fits the terminal that everybody has."""
    text = render(golden_run, location="runs/20260131-142530-1f3a")
    assert max(map(_columns, text.splitlines())) <= 80


@pytest.mark.parametrize("width", [60, 80, 120])
def test_width_is_respected(golden_run, width):
    """No line is longer than the terminal is wide."""
    text = render(golden_run, location="runs/20260131-142530-1f3a", width=width)
    assert max(map(_columns, text.splitlines())) <= width


@settings(deadline=None)  # the first rendering imports rich
@given(changes=_changes(), width=st.integers(60, 120), color=st.booleans())
def test_any_run_is_rendered(golden_run, changes, width, color):
    """Long names, odd letters, markup in a name and missing parts end in a report."""
    text = render(_changed(golden_run, changes), location="runs/x", width=width, color=color)
    assert text.endswith("\n")
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert max(map(_columns, plain.splitlines())) <= width


def test_lines_have_no_blanks_at_their_end(golden_run):
    """A report can be pasted and compared."""
    assert not re.search(r"[ \t]+$", render(golden_run), re.MULTILINE)


def test_no_escapes_without_color(golden_run):
    """A report in a file has no terminal codes."""
    assert "\x1b" not in render(golden_run)
    assert "\x1b" not in render(golden_run, color=False, width=120)


def test_sections_come_in_the_order_of_the_design(golden_run):
    """First the answer, then what it rests on, then how to repeat it."""
    text = render(golden_run, location="runs/x")
    places = [text.index(label) for label in ("Accuracy", "Latency", "Warnings", "Saved", "Repeat")]
    assert places == sorted(places)
    assert text.index("efficientnet-lite0") < places[0]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_warning_is_shown_whole(golden_run, width):
    """What a reader must know is wrapped and never cut, and so is what was assumed."""
    text = _words(render(golden_run, width=width))
    for warning in (*golden_run.warnings, *golden_run.model.assumptions):
        assert _words(warning) in text


def test_run_without_warnings_has_no_such_section(golden_run):
    """An empty heading would look like an omission."""
    model = dataclasses.replace(golden_run.model, assumptions=())
    run = dataclasses.replace(golden_run, model=model, warnings=(), latency=())
    assert "Warnings" not in render(run)


def test_command_to_repeat_is_shown_whole(golden_run):
    """The command can be copied from the report."""
    assert golden_run.config.command in _words(render(golden_run))


def test_place_is_shown_only_when_saved(golden_run):
    """A report names the folder of its run."""
    assert "runs/20260131" in render(golden_run, location="runs/20260131")
    assert "Saved" not in render(golden_run)


@pytest.mark.parametrize("width", [80, 120])
def test_no_figure_is_cut(golden_run, width):
    """From 80 columns on every cell of an ordinary run is shown whole."""
    assert "…" not in render(golden_run, width=width)


@pytest.mark.parametrize("width", [32, 40, 60, 80])
def test_a_long_name_cuts_no_figure(golden_run, width):
    """The longest head of tlbench beside long times: every cell is there, at any width."""
    results = tuple(
        dataclasses.replace(result, head="svm-linear-fast", fit_s=43_000.0, predict_s=125.0)
        for result in golden_run.accuracy
    )
    text = _words(render(dataclasses.replace(golden_run, accuracy=results), width=width))
    assert "…" not in text
    for row in accuracy_table(results).rows:
        assert [cell for cell in row if cell not in text] == []
    for row in latency_table(golden_run.latency).rows:
        assert [cell for cell in row if cell not in text] == []


@pytest.mark.parametrize("width", [80, 120])
def test_unsupported_percentile_is_refused(golden_run, width):
    """70 samples do not support p99: the report says how many would."""
    assert re.search(r"needs\s+662", render(golden_run, width=width))


@pytest.mark.parametrize("part", ["accuracy", "extraction", "latency"])
def test_parts_that_were_not_measured_are_left_out(golden_run, part):
    """A run of the latency alone has no table of accuracy."""
    heading = {"extraction": "Feature extraction"}.get(part, part.capitalize())
    assert f"\n  {heading}\n" in render(golden_run)
    assert f"\n  {heading}\n" not in render(dataclasses.replace(golden_run, **{part: ()}))


def test_markup_in_a_name_is_shown_as_it_is(golden_run):
    """A folder called [bold] is no instruction to the terminal."""
    dataset = dataclasses.replace(golden_run.dataset, name="[bold]:smile:[/bold]")
    assert "[bold]:smile:[/bold]" in render(dataclasses.replace(golden_run, dataset=dataset))


def test_json_renderer_is_the_file(golden_run):
    """The report in JSON is run.json, byte for byte."""
    text = RENDERERS.load("json")(golden_run, location="runs/x", width=40, color=True)
    assert text.encode() == encode_run(golden_run)
    assert json.loads(text)["id"] == golden_run.id


@pytest.mark.parametrize("name", ["console", "json", "pytest-benchmark"])
def test_every_renderer_keeps_the_contract(golden_run, name):
    """A renderer takes a run alone and returns text that ends with a line break."""
    assert RENDERERS.load(name)(golden_run).endswith("\n")
