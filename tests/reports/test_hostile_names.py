"""Names of files and classes appear as text in every format, and break none."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pictured_runs import ParsedPage
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from rich.cells import cell_len
from swept_cells import cell, predictions, rounds, swept

from tlbench.core.errors import printable
from tlbench.reports import RENDERERS, run_plot, sweep_markdown, sweep_page
from tlbench.reports.fragment import run_fragment

NAMES = [
    "<script>alert(1)</script>",
    "a|b",
    "\"quoted\" & 'single'",
    "line\nbreak",
    "\x1b[31mred",
    "🐈 \u202eright to left",
    "x" * 300,
    "`code` *bold* _it_ [link](javascript:alert(1)) ![i](http://x/y.png)",
    "back\\slash\\",
    "{label=1} # EOF",
    "#1 @someone ~~gone~~ $x$",
    "$\\frac{1}{2}$",
    "_hidden",
    "not a character \ufffe\uffff",
    " ",
]
names = st.one_of(st.sampled_from(NAMES), st.text(min_size=1, max_size=40))
JSON = ("json", "bencher", "github-benchmark", "github-benchmark-bigger", "pytest-benchmark")


@pytest.fixture(scope="module")
def named(golden_run):
    def make(name):
        dataset = golden_run.dataset
        classes = (name, *dataset.classes[1:])
        return dataclasses.replace(
            golden_run,
            dataset=dataclasses.replace(dataset, name=name, classes=classes),
            latency=tuple(dataclasses.replace(one, label=name) for one in golden_run.latency),
            warnings=(name,),
        )

    return make


@given(name=names)
def test_json_holds_the_name_as_it_is(named, name):
    found = {kind: json.loads(RENDERERS.load(kind)(named(name))) for kind in JSON}
    assert found["json"]["dataset"]["name"] == name
    assert any(name in subject for subject in found["bencher"])
    for kind in ("github-benchmark", "github-benchmark-bigger"):
        assert any(name in entry["name"] for entry in found[kind])


@given(name=names)
def test_markdown_shows_no_markup_of_the_name(named, name):
    """No tag, link, image or heading comes from a name, and no table loses a column."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(
        RENDERERS.load("markdown")(named(name))
    )
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or ()}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "fence", "code_block"}
    rows = [t for t in tokens if t.type == "tr_open"]
    assert rows
    columns = n_cells = 0
    for token in tokens:
        if token.type == "thead_open":
            columns = 0
        columns += token.type == "th_open"
        if token.type == "tr_open":
            n_cells = 0
        n_cells += token.type in {"td_open", "th_open"}
        if token.type == "tr_close":
            assert n_cells == columns


@given(name=names)
def test_openmetrics_is_still_read(named, name):
    text = RENDERERS.load("openmetrics")(named(name))
    families = {one.name: one.samples for one in text_string_to_metric_families(text)}
    assert {s.labels["dataset"] for s in families["tlbench_accuracy_ratio"]} == {printable(name)}


@settings(max_examples=5)
@given(name=names)
def test_a_plot_shows_the_name_as_text(named, name):
    """A formula is not set, and nothing that XML does not take is in an SVG."""
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra 'report')")
    drawing = ET.fromstring(run_plot("latency", ".svg", named(name)))
    assert any("median" in "".join(one.itertext()) for one in drawing.iterfind(".//{*}text"))


@given(name=names)
def test_the_console_has_no_control_character(named, name):
    text = RENDERERS.load("console")(named(name))
    assert not {c for c in text if ord(c) < 32} - {"\n"}
    assert max(map(cell_len, text.splitlines())) <= 80  # combining marks take no cell


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()
        self.text = ""

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)
        assert {name for name, _ in attributes} <= {"class", "style"}

    def handle_data(self, data):
        self.text += data


@given(name=names)
def test_the_fragment_for_notebooks_has_no_tag_of_a_name(named, name):
    tags = Tags()
    tags.feed(run_fragment(named(name)))
    tags.close()
    assert tags.found <= {"div", "p", "b", "table", "thead", "tbody", "tr", "td", "th", "ul", "li"}
    if "<" in name:
        assert name in tags.text


@pytest.fixture(scope="module")
def swept_as():
    """A sweep of two cells with a name and a reason of a failure."""
    labels, found = predictions([0.8, 0.7], n_images=100)
    cells = {
        key: cell(key, labels, one, rounds(0.01 * (i + 1), seed=i))
        for i, (key, one) in enumerate(zip(("a" * 12, "b" * 12), found, strict=True))
    }
    sweep = swept(cells)

    def make(name):
        first, second = sweep.cells
        failed = dataclasses.replace(first, id="c" * 12, state="failed", reason=name, figures=None)
        renamed = (dataclasses.replace(first, name=name), second, failed)
        runs = {key: dataclasses.replace(one.run, warnings=(name,)) for key, one in cells.items()}
        return dataclasses.replace(sweep, cells=renamed, command=name, dataset=name), runs

    return make


@settings(max_examples=40)
@given(name=names)
def test_the_page_of_a_sweep_has_no_element_of_a_name(swept_as, name):
    """No script, in fact: there is none in such a page."""
    page = sweep_page(*swept_as(name), location=name)
    parsed = ParsedPage(page)
    found = {tag for tag, _ in parsed.elements}
    assert found.isdisjoint({"script", "img", "iframe", "object", "base"})
    assert re.sub(r"\r\n?", "\n", printable(name)) in re.sub(r"\r\n?", "\n", parsed.text)
    page.encode()
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(drawing)


@settings(max_examples=40)
@given(name=names)
def test_the_markdown_of_a_sweep_has_no_markup_of_a_name(swept_as, name):
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(sweep_markdown(swept_as(name)[0]))
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or ()}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "fence", "code_block"}
    assert sum(t.type == "table_open" for t in tokens) == 3
