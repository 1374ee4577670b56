"""The README's console blocks run, and print what stands there, figures aside."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tlbench.cli.app import app
from tlbench.engine.providers import provider_status

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (?P<note>[^\n]*) -->\n)?```console\n(?P<text>.*?)```", re.DOTALL)
COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands)


def sessions(text):
    """Return the commands of a block, each with the output that follows it."""
    parts = re.split(r"^\$ (.*)$", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


BLOCKS = [(match["note"] or "", sessions(match["text"])) for match in BLOCK.finditer(README)]
RUNNABLE = [block for block in BLOCKS if not block[0].startswith("not run by the tests")]


def skeleton(output):
    """Return the words of a text: figures, units, identifiers and white space do not count."""
    output = re.sub(r"\b[0-9a-f]{64}\b", "#", output)  # digests
    output = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", "ID", output)  # runs
    output = re.sub(r"\b\d{4}-\d\d-\d\d(?=T)", "DATE", output)
    output = re.sub(r"library \S+ is", "library LIB is", output)
    # What is INVALID, and which warnings that brings, is the machine's doing at that minute; which
    # classes are found least often may turn on one image.
    changing = r"^  (INVALID|Cautions|Worst) .*?\n\n"
    output = re.sub(changing, "", output, flags=re.MULTILINE | re.DOTALL)
    output = re.sub(r"\b(IN)?VALID\b", "VERDICT", output)
    # A number with sign and unit; a percentile may be there in one run and need samples in another.
    output = re.sub(r"\bn/a\b", "#", output)
    output = re.sub(r"[\d.,]+( [mµ]?s)? to (?=[\d.,]+ [mµ]?s)", "", output)  # an interval, or none
    output = re.sub(r"[-+±]?\d[\d.,]*(e-?\d+)?( ?(ms|µs|s|%|min|kB|MB))?(?![\w-])", "#", output)
    output = re.sub(r"transfer (helps|loses):|no clear difference:", "VERDICT", output)
    return [" ".join(line.split()) for line in output.splitlines() if line.strip()]


@pytest.fixture
def environment(tmp_path):
    """The user's own shell: this installation first on PATH, no colours, no progress."""
    folder = str(Path(sys.executable).parent)
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}


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
@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: block[1][0][0])
def test_block(block, request, environment, tmp_path):
    """Every command of the block, one after the other in one folder."""
    note, commands = block
    skip_unless_met(note, request, environment)
    for command, expected in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert skeleton(done.stdout + done.stderr) == skeleton(expected), done.stderr


def test_the_first_screen_has_two_commands_for_a_fresh_machine():
    first = [commands[0][0] for _, commands in BLOCKS[:2]]
    assert first == ["pip install . && tlbench run", "pip install tox && tox"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command):
    assert f"`tlbench {command}" in README


def test_linked_files_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (REPOSITORY / target).exists(), target


def test_no_output_is_left_to_fill_in():
    assert "@@" not in README


@pytest.mark.skipif(shutil.which("bash") is None, reason="the blocks are written for bash")
def test_ci_runs_the_readmes_test_command():
    assert BLOCKS[1][1][0][0] in (REPOSITORY / ".ci" / "run").read_text()
