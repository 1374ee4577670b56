"""A gate's verdict for machines that run builds: JUnit XML, Markdown, GitHub Actions."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from tlbench.records import GateVerdict
from tlbench.reports.gate_tables import (
    OUTCOMES,
    accuracy_rows,
    checks_table,
    compared_line,
    sensitivity_lines,
    timing_rows,
    verdict_parts,
)
from tlbench.reports.tables import Table

_TITLE = "tlbench gate"
# What XML 1.0 cannot hold, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def verdict_junit(verdict: GateVerdict) -> str:
    """Return the verdict as JUnit XML: a test case for each rule, with what it found."""
    counts = {
        "tests": len(verdict.checks),
        "failures": sum(one.outcome == "fail" for one in verdict.checks),
        "errors": 0,
        "skipped": sum(one.outcome == "skip" for one in verdict.checks),
    }
    attributes = {name: str(value) for name, value in counts.items()}
    suites = ET.Element("testsuites", attributes)
    suite = ET.SubElement(suites, "testsuite", {"name": _TITLE, **attributes})
    for one in verdict.checks:
        case = ET.SubElement(
            suite,
            "testcase",
            {"classname": f"tlbench.gate.{_xml(one.subject)}", "name": one.rule, "time": "0"},
        )
        if one.outcome == "fail":
            ET.SubElement(case, "failure", {"message": _xml(one.text), "type": one.rule})
        elif one.outcome == "skip":
            ET.SubElement(case, "skipped", {"message": _xml(one.text)})
    output = [compared_line(verdict), *sensitivity_lines(verdict), *verdict.warnings]
    ET.SubElement(suite, "system-out").text = _xml("\n".join(output))
    ET.indent(suites)
    text = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _xml(text: str) -> str:
    return _NO_XML.sub("?", text)


def verdict_markdown(verdict: GateVerdict) -> str:
    """Return the verdict as Markdown, for ``$GITHUB_STEP_SUMMARY`` or a comment."""
    answer, *about = verdict_parts(verdict)
    parts = [f"## {_TITLE}: {answer}", " · ".join(map(_cell, about)), _cell(compared_line(verdict))]
    for table in (
        accuracy_rows(verdict.accuracy),
        timing_rows(verdict.timings),
        checks_table(verdict.checks),
    ):
        if table.rows:
            parts += [f"### {table.title}", _table(table)]
    for title, lines in (
        ("Could find", sensitivity_lines(verdict)),
        ("Cautions", verdict.warnings),
    ):
        if lines:
            parts += [f"### {title}", "\n".join(f"- {_cell(line)}" for line in lines)]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    rules = ["--:" if right else ":--" for right in table.right]
    rows: list[Sequence[str]] = [list(map(_cell, table.columns)), rules]
    rows += [list(map(_cell, row)) for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_<>|\[\]#~&$])", r"\\\1", " ".join(text.split()))


def verdict_annotations(verdict: GateVerdict) -> str:
    """Return workflow commands of GitHub Actions: an error for each failure, and what was left out.

    Notes
    -----
    Values are escaped as the toolkit of GitHub Actions does: a line break would end the command.
    """
    kinds = {"fail": "error", "skip": "warning"}
    lines = [
        f"::{kinds[one.outcome]} title={_TITLE}::"
        f"{_data(f'{OUTCOMES[one.outcome]}: {one.subject}: {one.rule}: {one.text}')}"
        for one in verdict.checks
        if one.outcome in kinds
    ]
    lines += [f"::notice title={_TITLE}::{_data(line)}" for line in sensitivity_lines(verdict)]
    return "".join(f"{line}\n" for line in lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
