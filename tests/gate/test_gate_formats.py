"""Whatever names and texts a verdict holds, each format for build servers stays well-formed."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import printable
from tlbench.records import (
    BaselineModel,
    GateCheck,
    GatedAccuracy,
    GateVerdict,
    Interval,
    PairedDifference,
)
from tlbench.reports import verdict_annotations, verdict_junit, verdict_markdown

# Every code point: control characters, line and cell separators, halves of surrogate pairs (which
# stand for bytes that are not UTF-8 in names of files), and often what means something to a format.
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(["%", "%0A", "%25", "\r", "\n", ":", "::", ",", "|", "\\"]),
        st.sampled_from(["]]>", "<!--", "\x00", "\x1b", "\udce9"]),
        st.text(st.characters(exclude_categories=()), max_size=4),
    ),
    max_size=8,
).map("".join)
CHECKS = st.builds(
    GateCheck,
    rule=st.sampled_from(["same data", "present", "no significant drop", "floor", "latency"]),
    subject=TEXTS,
    outcome=st.sampled_from(["pass", "fail", "skip"]),
    text=TEXTS,
)
MODELS = st.builds(
    BaselineModel, name=TEXTS, sha256=st.just("ab"), precision=TEXTS, weights=st.just("none")
)
FIGURES = st.builds(
    GatedAccuracy,
    entry=TEXTS,
    baseline_fraction=st.just(0.9),
    run_fraction=st.just(0.8),
    paired=st.just(
        PairedDifference(
            n_images=100,
            only_first_correct=12,
            only_second_correct=2,
            difference_fraction=-0.1,
            interval=Interval(low=-0.2, high=0.0, method="tango"),
            p_value=0.01,
        )
    ),
    n_differing=st.just(14),
    p_value=st.just(0.01),
    alpha=st.just(0.01),
    sensitivity=st.none(),
)
VERDICTS = st.builds(
    GateVerdict,
    tlbench_version=st.just("0"),
    passed=st.booleans(),
    run=TEXTS,
    model=MODELS,
    baseline_file=TEXTS,
    baseline_run=TEXTS,
    baseline_model=MODELS,
    policy_source=TEXTS,
    policy=st.just({}),
    checks=st.lists(CHECKS, max_size=4).map(tuple),
    accuracy=st.lists(FIGURES, max_size=2).map(tuple),
    warnings=st.lists(TEXTS, max_size=2).map(tuple),
)


def flat(text):
    return printable(" ".join(text.split()))


def shown(text):
    """Return text whose control characters, but for line breaks, are written out."""
    return re.sub("[^\r\n]+", lambda found: printable(found[0]), text)


@given(VERDICTS)
def test_junit_is_xml_whose_counts_agree(verdict):
    """As JUnit's schemas have it: a suite's numbers are those of its cases, its parts in order."""
    root = ET.fromstring(verdict_junit(verdict).encode())
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    cases = suite.findall("testcase")
    assert [child.tag for child in suite] == ["testcase"] * len(cases) + ["system-out"]
    counts = {
        "tests": len(cases),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    for element in (root, suite):
        assert {name: int(element.get(name)) for name in counts} == counts
    outcomes = {(): "pass", ("failure",): "fail", ("skipped",): "skip"}
    found = [outcomes[tuple(child.tag for child in case)] for case in cases]
    assert found == [check.outcome for check in verdict.checks]
    for case, check in zip(cases, verdict.checks, strict=True):
        assert case.get("name") == check.rule
        assert float(case.get("time")) == 0  # a verdict measures nothing
        for child in case:
            # What XML cannot hold is a question mark; nothing else is lost.
            message = child.get("message")
            assert len(message) == len(check.text)
            assert all(a in (b, "?") for a, b in zip(message, check.text, strict=True))


def _cells(row):
    """Cut a row of a table as GitHub does: at every | without a backslash of its own before it."""
    assert row.startswith("| ")
    assert row.endswith(" |")
    cells, cell = [], ""
    for token in re.findall(r"\\.|.", row[1:-1]):
        if token == "|":
            cells.append(cell)
            cell = ""
        else:
            cell += token
    return [re.sub(r"\\(.)", r"\1", cell).strip(" ") for cell in [*cells, cell]]


@given(VERDICTS)
def test_markdown_tables_keep_their_cells(verdict):
    """Names stand in them letter for letter, on one line, and without control characters."""
    text = verdict_markdown(verdict)
    assert text.startswith("## tlbench gate: ")
    tables = [
        [_cells(row) for row in block.split("\n")]
        for block in text.split("\n\n")
        if block.startswith("|")
    ]
    assert len(tables) == bool(verdict.checks) + bool(verdict.accuracy)
    for header, rules, *rows in tables:
        assert {len(header)} == {len(row) for row in (rules, *rows)}
        assert all(re.fullmatch(":--|--:", rule) for rule in rules)
    if verdict.accuracy:
        assert [row[0] for row in tables[0][2:]] == [flat(one.entry) for one in verdict.accuracy]
    if verdict.checks:
        assert sorted(row[1:] for row in tables[-1][2:]) == sorted(
            [flat(f"{one.subject}: {one.rule}"), flat(one.text)] for one in verdict.checks
        )


@given(VERDICTS)
def test_markdown_has_no_html_links_or_headings_of_a_name(verdict):
    """What a name says is shown and never interpreted."""
    text = re.sub(r"\\.", "", verdict_markdown(verdict), flags=re.DOTALL)
    titles = {"## tlbench gate", "### Accuracy", "### Rules", "### Detectable drop", "### Warnings"}
    for line in text.split("\n"):
        assert not re.search(r"[<>`*~\[\]&$]", re.sub(r"^\| [:|\- ]+$", "", line))
        assert "#" not in line or line.startswith(tuple(titles))


COMMAND = re.compile(
    r"::(?P<name>error|warning|notice) (?P<properties>.*?)::(?P<data>.*)", re.DOTALL
)


def _unescaped(text, signs):
    for sign in signs:
        text = text.replace(f"%{ord(sign):02X}", sign)
    return text.replace("%25", "%")


@given(VERDICTS)
def test_annotations_are_a_command_a_line(verdict):
    """The runner reads lines, and undoes the escapes of properties and data."""
    text = verdict_annotations(verdict)
    commands = [COMMAND.fullmatch(line) for line in re.split(r"\r\n|\r|\n", text)[:-1]]
    wanted = {"fail": "error", "skip": "warning"}
    judged = [one for one in verdict.checks if one.outcome in wanted]
    assert [one["name"] for one in commands] == [wanted[one.outcome] for one in judged] + ["notice"]
    for command in commands:
        properties = [part.partition("=") for part in command["properties"].split(",")]
        titles = {name: _unescaped(value, "\r\n:,") for name, _, value in properties}
        assert titles == {"title": "tlbench gate"}
    for command, check in zip(commands, judged, strict=False):
        said = _unescaped(command["data"], "\r\n")
        assert said.endswith(shown(f": {check.subject}: {check.rule}: {check.text}"))


@pytest.mark.parametrize("extra", [(), ("--format", "json")], ids=["console", "json"])
def test_a_name_that_is_not_utf_8_is_written_out(tlbench, save, images, tmp_path, extra):
    r"""Every output has \udce9 for the byte in the name, and none has a traceback."""
    name = b"caf\xe9.json".decode(errors="surrogateescape")
    save("a", images, {"backbone.softmax": images.first})
    assert tlbench("baseline", "save", "a", "-o", name).code == 0
    files = ("--junit", "a.xml", "--markdown", "a.md", "--annotations")
    done = tlbench("gate", "a", "--baseline", name, *files, *extra)
    assert (done.code, "Traceback" in done.err) == (0, False)
    assert "caf\\" in done.out
    assert done.out.encode()
    folder = tmp_path / "work"
    assert ET.parse(folder / "a.xml").getroot().get("failures") == "0"
    assert "caf" in (folder / "a.md").read_text(encoding="utf-8")
