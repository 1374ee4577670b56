"""Markdown documents taken apart: blocks of code, the commands in them, spans of code in prose."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")],
    key=lambda path: path.relative_to(REPOSITORY).as_posix(),
)

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")


class Block(NamedTuple):
    """A block of code between fences."""

    language: str
    text: str


def name_of(path):
    return path.relative_to(REPOSITORY).as_posix()


def blocks_of(path, language=None):
    """Return the blocks of a document, of one language where it is given."""
    found = [Block(*match.groups()) for match in _FENCE.finditer(path.read_text(encoding="utf-8"))]
    return [block for block in found if language in {None, block.language}]


def commands_of(block):
    """Return the shell lines of a block, continued ones joined, output left out.

    Of a console block what follows ``$``; of a workflow its steps; of tox its commands; of a block
    without a language its lines.
    """
    if block.language == "console":
        joined = block.text.replace("\\\n", "")
        return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
    if block.language == "yaml":
        return [step["run"] for step in steps_of(block) if "run" in step]
    if block.language == "ini":
        _, _, commands = block.text.partition("commands =\n")
        return [line.strip() for line in commands.replace("\\\n", "").splitlines() if line.strip()]
    if block.language == "":
        return [line for line in block.text.splitlines() if line.strip()]
    return []


def steps_of(block):
    """Return the steps of all jobs of a workflow, in order."""
    workflow = yaml.safe_load(block.text)
    if isinstance(workflow, list):  # steps of a job, without the rest of it
        return workflow
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def prose_of(path):
    """Return a document without its blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def spans_of(path):
    """Return the spans of code in a document's prose, each on one line."""
    return [" ".join(span.split()) for span in _SPAN.findall(prose_of(path))]
