"""Names of files and classes appear as text in every format, and break none."""

import dataclasses
import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tlbench.reports import RENDERERS
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
    for kind in JSON:
        json.loads(RENDERERS.load(kind)(named(name)))


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
    list(text_string_to_metric_families(RENDERERS.load("openmetrics")(named(name))))


@given(name=names)
def test_the_console_has_no_control_character(named, name):
    text = RENDERERS.load("console")(named(name))
    assert not {c for c in text if ord(c) < 32} - {"\n"}
    assert max(map(len, text.splitlines())) <= 80


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
