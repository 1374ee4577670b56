"""The console blocks of the README and the tour run, and print what the pages show."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tlbench.cli.app import app
from tlbench.engine.providers import provider_status

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "docs/tour.md")
BLOCK = re.compile(r"(?:<!-- (?P<note>[^\n]*) -->\n)?```console\n(?P<text>.*?)```", re.DOTALL)
COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands)


class Block(NamedTuple):
    """Commands of a console block, each with the output that the page shows."""

    page: str
    note: str
    sessions: tuple[tuple[str, str], ...]

    @property
    def commands(self):
        return tuple(command for command, _ in self.sessions)


def sessions(text):
    """Return the commands of a block, each with the output that follows it."""
    parts = re.split(r"^\$ (.*)$", text, flags=re.MULTILINE)[1:]
    return tuple(zip(parts[::2], parts[1::2], strict=True))


def blocks_of(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return [
        Block(page, match["note"] or "", sessions(match["text"])) for match in BLOCK.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUNNABLE = [block for block in BLOCKS if not block.note.startswith("not run by the tests")]


def skeleton(output):
    """Return the words of a text: figures, units, identifiers and white space do not count."""
    output = re.sub(r"\b[0-9a-f]{64}\b", "#", output)  # digests
    output = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", "ID", output)  # runs
    output = re.sub(r"\b\d{4}-\d\d-\d\d(?=T)", "DATE", output)
    output = re.sub(r"library \S+ is", "library LIB is", output)
    # What is INVALID, and which warnings that brings, is the machine's doing at that minute; which
    # classes are found least often may turn on one image.
    changing = r"^  (INVALID|Warnings|Lowest recall)\n.*?\n\n"
    output = re.sub(changing, "", output, flags=re.MULTILINE | re.DOTALL)
    output = re.sub(r"\b(IN)?VALID\b", "VERDICT", output)
    output = re.sub(r"[▁▂▃▄▅▆▇█]+", "BARS", output)  # of samples, as many as there are
    # A number with sign and unit; a percentile may be there in one run and need samples in another.
    output = re.sub(r"\bn/a\b", "#", output)
    output = re.sub(r"[\d.,]+( [mµ]?s)? to (?=[\d.,]+ [mµ]?s)", "", output)  # an interval, or none
    output = re.sub(r"[-+±]?\d[\d.,]*(e-?\d+)?( ?(ms|µs|s|%|min|kB|MB))?(?![\w-])", "#", output)
    output = re.sub(r"(above|below) raw pixels", "VERDICT", output)
    return [" ".join(line.split()) for line in output.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Run commands as a user's shell would, in one folder with a cache of its own; once each."""
    folder = str(Path(sys.executable).parent)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"  # this installation first
    known = {}

    def run(commands, environment):
        whole = max(
            (b.commands for b in RUNNABLE if b.commands[: len(commands)] == commands), key=len
        )
        if whole not in known:
            place = tmp_path_factory.mktemp("blocks")
            cache = str(tmp_path_factory.mktemp("cache"))
            known[whole] = [
                subprocess.run(
                    ["bash", "-c", command],
                    cwd=place,
                    env=os.environ
                    | {"PATH": path, "NO_COLOR": "1", "TLBENCH_CACHE": cache}
                    | environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                for command in whole
            ]
        return known[whole][: len(commands)]

    return run


def shows(expected, found):
    """Whether the lines that a page shows are those printed; ``...`` stands for any lines."""
    if "..." not in expected:
        return expected == found
    parts, part = [], []
    for line in [*expected, "..."]:
        if line == "...":
            parts.append(part)
            part = []
        else:
            part.append(line)
    place = 0
    for number, part in enumerate(parts):
        starts = [
            at
            for at in range(place, len(found) - len(part) + 1)
            if found[at : at + len(part)] == part and (number or at == 0)
        ]
        if not starts:
            return False
        place = starts[0] + len(part)
    return expected[-1] == "..." or place == len(found)


@pytest.mark.parametrize(
    ("expected", "is_shown"),
    [
        (["a", "b", "c", "d"], True),
        (["a", "b", "c"], False),
        (["a", "...", "d"], True),
        (["a", "...", "c", "..."], True),
        (["a", "...", "c"], False),
        (["b", "...", "d"], False),
        (["a", "...", "x", "..."], False),
    ],
    ids=str,
)
def test_lines_left_out_hide_nothing_else(expected, is_shown):
    assert shows(expected, ["a", "b", "c", "d"]) is is_shown


def skip_unless_met(note, request, environment):
    if "CIFAR" in note:
        environment["TLBENCH_DATA"] = str(request.getfixturevalue("real_data"))
    if "export extra" in note and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs TensorFlow (extra 'export')")
    if "baselines extra" in note and importlib.util.find_spec("skimage") is None:
        pytest.skip("needs scikit-image (extra 'baselines')")
    if "without CUDA" in note:
        status = provider_status("cuda")
        # with the libraries, and without a driver, the message is another one
        if not status.compiled or status.loadable or "driver" in (status.problem or ""):
            pytest.skip("needs ONNX Runtime's GPU build on a machine without CUDA's libraries")


@pytest.mark.slow
@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: f"{block.page}: {block.commands[0]}")
def test_block(block, request, outputs):
    """Every command of the block, one after the other in one folder."""
    environment = {}
    skip_unless_met(block.note, request, environment)
    for done, (_, expected) in zip(
        outputs(block.commands, environment), block.sessions, strict=True
    ):
        assert "Traceback" not in done.stderr
        wanted, found = skeleton(expected), skeleton(done.stdout + done.stderr)
        assert wanted == found or shows(wanted, found), done.stdout + done.stderr


def test_the_first_screen_has_two_commands_for_a_fresh_machine():
    assert BLOCKS[0].commands == ("pip install . && tlbench run", "pip install tox && tox")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command):
    assert f"`tlbench {command}" in README


def test_linked_files_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (REPOSITORY / target).exists(), target


def test_no_output_is_left_to_fill_in():
    assert "@@" not in README


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200


def test_ci_runs_the_readmes_test_command():
    assert BLOCKS[0].commands[1] in (REPOSITORY / ".ci" / "run").read_text()
