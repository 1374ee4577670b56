"""A gate's verdict for machines that run builds: JUnit XML, Markdown, GitHub Actions."""

import re
from xml.etree import ElementTree as ET

from tlbench.core.errors import printable
from tlbench.records import GateVerdict
from tlbench.reports.base import Table
from tlbench.reports.gate import (
    OUTCOMES,
    compared_line,
    detectable_lines,
    detectable_title,
    verdict_parts,
    verdict_title,
)
from tlbench.reports.markdown import markdown_cell, markdown_table

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
    output = [compared_line(verdict), *_detectable(verdict), *verdict.warnings]
    ET.SubElement(suite, "system-out").text = _xml("\n".join(output))
    ET.indent(suites)
    text = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _xml(text: str) -> str:
    return _NO_XML.sub("?", text)


def _detectable(verdict: GateVerdict) -> list[str]:
    """Return the lines on detectable drops, each with the title that they have elsewhere."""
    return [f"{detectable_title(verdict)}: {line}" for line in detectable_lines(verdict)]


def verdict_markdown(verdict: GateVerdict) -> str:
    """Return the verdict as Markdown, for ``$GITHUB_STEP_SUMMARY`` or a comment."""
    answer, *about = verdict_title(verdict)
    texts = [f"## {_TITLE}: {answer}", " · ".join(map(markdown_cell, about))]
    texts.append(markdown_cell(compared_line(verdict)))
    for part in verdict_parts(verdict):
        if not isinstance(part, Table):
            for title, lines in part.items():
                if lines:
                    texts += [f"### {title}", "\n".join(f"- {markdown_cell(x)}" for x in lines)]
        elif part.rows:
            texts += [f"### {part.title}", markdown_table(part)]
    return "\n\n".join(texts) + "\n"


def verdict_annotations(verdict: GateVerdict) -> str:
    """Return GitHub Actions' commands, escaped as its toolkit does: an error for each failure."""
    kinds = {"fail": "error", "skip": "warning"}
    lines = [
        f"::{kinds[one.outcome]} title={_TITLE}::"
        f"{_data(f'{OUTCOMES[one.outcome]}: {one.subject}: {one.rule}: {one.text}')}"
        for one in verdict.checks
        if one.outcome in kinds
    ]
    lines += [f"::notice title={_TITLE}::{_data(line)}" for line in _detectable(verdict)]
    return "".join(f"{line}\n" for line in lines)


def _data(text: str) -> str:
    text = re.sub("[^\r\n]+", lambda found: printable(found[0]), text)
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
