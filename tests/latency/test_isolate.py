"""Work in a fresh process: its answer, or the reason why there is no answer."""

import os
import subprocess
import sys
import textwrap

import pytest

from tlbench.core.errors import MeasurementError
from tlbench.latency import run_isolated


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module, whose `main` is this source, that a fresh process finds; returns its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(source):
        lines = textwrap.indent(source or "pass", "    ")
        (tmp_path / "piece_of_work.py").write_text(f"def main(import_s):\n{lines}\n")
        return "piece_of_work"

    return write


def test_the_answer_comes_back(module):
    """A request goes in as JSON and an answer comes out, nested values and all."""
    name = module("import json, sys; r = json.load(sys.stdin); print(json.dumps({'got': r}))")
    request = {"path": "a b/ü.onnx", "shape": [1, 8, 8, 3], "threads": None}
    assert run_isolated(name, request, timeout_s=60) == {"got": request}


def test_it_is_another_process_that_answers(module):
    name = module("import json, os; print(json.dumps({'parent': os.getppid()}))")
    assert run_isolated(name, {}, timeout_s=60) == {"parent": os.getpid()}


@pytest.mark.parametrize("name", ["json", "psutil", "numpy", "piece_of_work"])
def test_a_module_in_the_working_folder_is_not_run(module, tmp_path, monkeypatch, name):
    """A user's file may have the name of a library, or that of the module itself."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / f"{name}.py").write_text("raise SystemExit('the wrong file')")
    monkeypatch.chdir(folder)
    work = module("import json, numpy, psutil; print(json.dumps({}))")
    assert run_isolated(work, {}, timeout_s=60) == {}


@pytest.mark.parametrize("libraries", [(), ("slow_one",), ("slow_one", "slow_two")])
def test_the_imports_are_timed(module, tmp_path, libraries):
    """All of them, and nothing else: each moves the clock by an hour."""
    slow = "import time\nnow = time.perf_counter\ntime.perf_counter = lambda: now() + 3600\n"
    for library in ("slow_one", "slow_two"):
        (tmp_path / f"{library}.py").write_text(slow)
    name = module("import json, slow_one, slow_two; print(json.dumps({'took': import_s}))")
    took = run_isolated(name, {}, timeout_s=60, libraries=libraries)["took"]
    assert took // 3600 == len(libraries)


def test_only_python_is_loaded_before_the_imports(module, tmp_path):
    """What was loaded already would be left out of their time."""
    (tmp_path / "library.py").write_text("import sys\nBEFORE = sorted(sys.modules)\n")
    name = module("import json, library; print(json.dumps({'before': library.BEFORE}))")
    before = set(run_isolated(name, {}, timeout_s=60, libraries=["library"])["before"])
    bare = subprocess.check_output([sys.executable, "-P", "-c", "import sys; print(*sys.modules)"])
    assert before - {"library"} == set(bare.decode().split())


def test_what_was_printed_before_the_answer_is_no_harm(module):
    """A library may greet its user; the last line counts."""
    assert run_isolated(module("print('hello')\nprint('{}')"), {}, timeout_s=60) == {}


def test_a_failure_says_what_the_process_said(module):
    name = module("raise ValueError('no such provider')")
    with pytest.raises(MeasurementError, match="exit code 1.*no such provider") as caught:
        run_isolated(name, {}, timeout_s=60)
    assert "piece_of_work" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_process_that_dies_in_silence_is_a_failure(module):
    """As where the operating system kills it for want of memory."""
    name = module("import os; os._exit(137)")
    with pytest.raises(MeasurementError, match="exit code 137: no message"):
        run_isolated(name, {}, timeout_s=60)


@pytest.mark.parametrize(
    ("source", "found"),
    [("", "nothing"), ("print('done')", "'done'"), ("print('{}\\n[1]')", "'[1]'")],
    ids=["silent", "text", "list"],
)
def test_an_answer_that_is_none_is_a_failure(module, source, found):
    """The process ended well, but its last line is no JSON object."""
    with pytest.raises(MeasurementError) as caught:
        run_isolated(module(source), {}, timeout_s=60)
    assert str(caught.value).endswith(f"its output ends with {found}.")


def test_a_process_that_takes_too_long_is_a_failure(monkeypatch):
    """No test waits, so it is the waiting that is replaced: the limit is handed on."""

    def run(command, *, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(MeasurementError, match=r"\(some\.module\) did not answer within 7 s"):
        run_isolated("some.module", {}, timeout_s=7)
