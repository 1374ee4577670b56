"""Exit code 1 is a verdict: all else that ends a command is exit code 2, or 130 after Ctrl-C."""

import contextlib
import dataclasses
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked_commands
import numpy as np
import pytest
import typer
from in_process import exit_code_of
from PIL import Image
from typer.models import CommandInfo

from tlbench.cli.app import app

VERDICT = "gate that fails"
FEW = "--limit-train 60 --limit-test 30"
RECIPE = """
name = "mine"
title = "Mine"
protocol = "hold-out"
source = {text = "I", url = "https://example.org"}
[[rows]]
name = "only"
backbone = "tiny.onnx"
dataset = "digits"
n_train = 898
n_test = 899
heads.centroid = {}
[[rows.figures]]
name = "centroid"
fraction = 0.0
head = "centroid"
"""
# What each command does here; one that is missing fails the tests.
ARGUMENTS = {
    "baseline save": "base -o again.json --force",
    "compare": "base other",
    "doctor": "",
    "drift": f"tiny.onnx tiny2.onnx --heads centroid {FEW}",
    "evaluate": f"tiny.onnx --heads centroid {FEW}",
    "export": "efficientnet-lite0 --input-size 32 -o exported.onnx",
    "extract": f"tiny.onnx -o features.npz {FEW}",
    "fuse": "base -o fused.onnx",
    "gate": "base --baseline base.json",
    "inspect": "tiny.onnx",
    "latency": "tiny.onnx --scenario single --min-samples 1 --min-duration 0 --no-costs",
    "list": "heads",
    "pick": "swept",
    "plot": "confusion base -o confusion.svg",
    "predict": "classifier.onnx 0.png",
    "report": "base",
    "reproduce": f"mine.toml --no-latency {FEW}",
    "run": f"tiny.onnx --heads centroid --no-latency {FEW}",
    "train": f"basic-cnn --epochs 1 -o trained.onnx {FEW}",
    "sweep": f"--backbones tiny.onnx --heads centroid --rounds 1 --no-costs -o swept {FEW}",
}
FAILING = "gate base --baseline base.json --policy strict.toml"
# Standard input, output and error.
STREAMS = {
    "stdin and stderr closed": ("closed", "OUT", "closed"),
    "stdout full": (os.devnull, "full", "ERR"),
    "stdout closed": (os.devnull, "closed", "ERR"),
    "stdout unread": (os.devnull, "unread", "ERR"),
    "stderr full": (os.devnull, "OUT", "full"),
    "all closed": ("closed", "closed", "closed"),
}
MUTE = "stdin and stderr closed"
OFTEN = {MUTE, "stdout full"}  # each command has these cases, and these have them all:
QUICK = ("gate", "list", VERDICT)


def every_command(instance=app, path=""):
    """Give the name of each command, and typer's entry for it, also those of a later version."""
    for info in instance.registered_commands:
        yield f"{path}{info.name or info.callback.__name__}", info
    for group in instance.registered_groups:
        yield from every_command(group.typer_instance, f"{path}{group.name} ")


COMMANDS = dict(every_command())
# A training takes too long, and TensorFlow; tests/cli/test_train.py has its results.
ENDING = [name for name in (*COMMANDS, VERDICT) if name != "train"]
CASES = [
    (name, streams) for name in ENDING for streams in STREAMS if name in QUICK or streams in OFTEN
]


def words(name):
    return FAILING.split() if name == VERDICT else [*name.split(), *ARGUMENTS[name].split()]


def call(*arguments):
    """Run a command in this process, without a test."""
    with contextlib.redirect_stdout(io.StringIO()):
        assert exit_code_of(*arguments) == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_path):
    """A folder with what the commands read; none changes what another one finds."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("TLBENCH_CACHE", str(folder / "cache"))
        shutil.copy(tiny_path, "tiny.onnx")
        shutil.copy(tiny_path, "tiny2.onnx")
        Path("mine.toml").write_text(RECIPE)
        Path("strict.toml").write_text('[accuracy]\nfloors_percent = {"backbone.softmax" = 100}\n')
        Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save("0.png")
        for name in ("base", "other"):
            call("evaluate", "tiny.onnx", "--heads", "softmax", *FEW.split())
            next(Path("runs").glob("2*")).rename(Path("runs") / name)
        call("baseline", "save", "base", "-o", "base.json")
        call("fuse", "base", "-o", "classifier.onnx")
        call("sweep", *ARGUMENTS["sweep"].split())
    return folder


@dataclasses.dataclass(frozen=True)
class End:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def ends(place):
    """How each command ended with each of the streams."""
    log = place / "log"
    log.mkdir()

    def files(number):
        return {"OUT": str(log / f"{number}.out"), "ERR": str(log / f"{number}.err")}

    sent = [
        (words(name), [files(i).get(what, what) for what in STREAMS[streams]])
        for i, (name, streams) in enumerate(CASES)
    ]
    done = subprocess.run(
        [sys.executable, forked_commands.__file__],
        input=json.dumps(sent),
        cwd=place,
        env=os.environ | {"TLBENCH_CACHE": str(place / "cache")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=200,
    )

    def read(number, suffix):
        path = log / f"{number}.{suffix}"
        return path.read_text() if path.exists() else ""

    return {
        case: End(code, read(i, "out"), read(i, "err"))
        for i, (case, code) in enumerate(zip(CASES, json.loads(done.stdout), strict=True))
    }


@pytest.mark.parametrize("name", ENDING)
def test_a_result_arrives_without_input_and_messages(ends, name):
    end = ends[name, MUTE]
    assert end.code == (name == VERDICT)
    assert end.out or name in {"extract", "plot"}  # they write a file


@pytest.mark.parametrize("name", QUICK)
def test_full_standard_error_changes_nothing(ends, name):
    assert ends[name, "stderr full"] == ends[name, MUTE]


@pytest.mark.parametrize(("name", "streams"), [case for case in CASES if "stdout" in case[1]])
def test_a_result_that_reaches_nobody_is_an_error(ends, name, streams):
    """Also of a gate, passed or failed; a reader that leaves, such as head, needs no message."""
    end, has_result = ends[name, streams], bool(ends[name, MUTE].out)
    assert end.code == (2 if has_result else 0)
    reasons = {"stdout full": ["No space left on device"], "stdout closed": ["it is closed"]}
    assert [line for line in end.err.splitlines() if "error" in line] == [
        f"tlbench: error: Standard output cannot be written: {reason}."
        for reason in reasons.get(streams, [])
        if has_result
    ]
    assert "Traceback" not in end.err


@pytest.mark.parametrize("name", QUICK)
def test_a_result_that_reaches_nobody_is_an_error_even_if_nobody_hears_it(ends, name):
    assert ends[name, "all closed"].code == 2


def real(place, line, **streams):
    """Run a command line of a shell, with the streams that it says, as a process of its own."""
    return subprocess.run(
        ["bash", "-c", line.replace("tlbench", f"{sys.executable} -m tlbench")],
        cwd=place,
        env=os.environ | {"TLBENCH_CACHE": str(place / "cache")} | streams,
        capture_output=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("tlbench gate base --baseline base.json >/dev/full", 2),
        ("tlbench gate base --baseline base.json <&- 2>&-", 0),
        ("tlbench gate base --baseline base.json <&- >&- 2>&-", 2),
        ("tlbench --help >/dev/full", 2),
        ("tlbench --version >&-", 2),
        ("tlbench nothing 2>&-", 2),
        ("set -o pipefail; tlbench report base --format json | exit 0", 2),
        ("PYTHONUNBUFFERED=1 tlbench list heads >/dev/full", 2),
        ("PYTHONIOENCODING=ascii tlbench report base", 0),
        ("PYTHONUTF8=0 LC_ALL=C tlbench report base --format json", 0),
        (r"printf 'caf\xe9.png\n' | tlbench predict classifier.onnx -", 2),
        (r"cp 0.png $'caf\xe9.png'; printf 'caf\xe9.png\n' | tlbench predict classifier.onnx -", 0),
        ("tlbench predict classifier.onnx - <&-", 2),
        (r"tlbench report $'caf\xe9'", 2),
        (r"tlbench gate base --baseline base.json --junit $'caf\xe9/a.xml'", 0),
    ],
)
def test_a_process_of_its_own_ends_so(place, line, code):
    """From Python's start to its end, which flushes standard output once more."""
    end = real(place, line)
    assert end.returncode == code, end.stderr
    says_nothing = code == 0 or "2>" in line or "| exit" in line
    assert end.stderr.count(b"\n") == (0 if says_nothing else 1)


class OddError(BaseException):
    """An error that is not even an Exception."""


class MuteError(Exception):
    """An error that cannot say what it is."""

    def __str__(self):
        raise MemoryError


UNEXPECTED = [
    MemoryError(),
    MemoryError("Unable to allocate 3.00 GiB for an array"),
    ImportError("libcublas.so.13: cannot open shared object file"),
    ModuleNotFoundError("No module named 'onnx'"),
    RecursionError("maximum recursion depth exceeded"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range(128)"),
    OSError(28, "No space left on device"),
    BrokenPipeError(32, "Broken pipe"),
    EOFError(),
    ValueError("one\nand another\nline"),
    AssertionError(),
    StopIteration(),
    GeneratorExit(),
    SystemExit(),
    SystemExit(0),
    SystemExit(1),
    SystemExit("a library ends the process"),
    typer.Abort(),
    ExceptionGroup("several", [ValueError("1")]),
    OddError(),
    MuteError(),
]


@pytest.fixture
def raising(monkeypatch):
    """Let a command raise an error instead of doing anything."""

    def change(name, error):
        info: CommandInfo = COMMANDS[name]

        @functools.wraps(info.callback)
        def fail(**_):
            raise error

        monkeypatch.setattr(info, "callback", fail)

    return change


@pytest.mark.parametrize(
    ("name", "error"),
    [("list", error) for error in UNEXPECTED]
    + [(name, error) for name in COMMANDS for error in (MemoryError(), SystemExit(1))],
    ids=lambda value: value if isinstance(value, str) else f"{type(value).__name__}{value.args}",
)
def test_an_unexpected_error_is_one_line_and_exit_code_2(tlbench, raising, name, error):
    raising(name, error)
    done = tlbench(*words(name))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("tlbench: error: ")
    assert done.err.count("\n") == 1
    assert type(error).__name__ in done.err or "Out of memory." in done.err


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_is_exit_code_130(tlbench, raising, name):
    raising(name, KeyboardInterrupt())
    assert tlbench(*words(name)) == (130, "", "tlbench: interrupted.\n")


@pytest.mark.parametrize(("value", "is_shown"), [("1", True), ("0", False), ("", False)])
def test_a_traceback_is_shown_on_request(tlbench, raising, monkeypatch, value, is_shown):
    monkeypatch.setenv("TLBENCH_DEBUG", value)
    raising("list", ValueError("odd"))
    done = tlbench("list")
    assert done.code == 2
    assert done.err.startswith("Traceback") == is_shown
    assert done.err.splitlines()[-1].startswith("tlbench: error: Unexpected ValueError: odd.")


@pytest.mark.parametrize("library", ["typer", "tlbench.cli.app"])
def test_a_library_that_the_commands_need_is_missing(tlbench, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    done = tlbench("list")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert library in done.err


WAITS = """
import sys, time
import scipy.stats, sklearn.linear_model  # the more there is, the longer is Python's end
from tlbench.cli import main
class Waiting:
    def find_spec(*_):
        sys.meta_path.pop(0)
        print("ready", flush=True)
        time.sleep(60)
sys.meta_path.insert(0, Waiting())
main()
"""


@pytest.mark.parametrize("pause_s", [0, 0.001, 0.02])
def test_ctrl_c_again_and_again_is_exit_code_130(pause_s):
    """From the moment that a command imports its libraries until Python has ended."""
    command = [sys.executable, "-c", WAITS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(pause_s)
        assert process.returncode == 130
        assert process.stderr.read() in {b"tlbench: interrupted.\n", b""}


DURING_AN_IMPORT = """
import atexit, signal, sys
from tlbench.cli import main
class Once:
    def find_spec(*_):
        sys.meta_path.pop(0)
        {happens}
class Closing:
    def __del__(self):
        {ignored}
sys.meta_path.insert(0, Once())
{before}
main()
"""


@pytest.fixture
def process():
    """Run `tlbench list heads` in a process in which *happens* is run while it imports."""

    def run(happens, ignored="pass", before=""):
        code = DURING_AN_IMPORT.format(happens=happens, ignored=ignored, before=before)
        command = [sys.executable, "-c", code, "list", "heads"]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    return run


def test_ctrl_c_where_python_ignores_errors_is_not_lost(process):
    forever = "Closing()\n        while True: sum(range(1000))"
    done = process(forever, ignored="signal.raise_signal(signal.SIGINT)")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "tlbench: interrupted.\n")


def test_another_error_that_python_ignores_is_reported(process):
    done = process("Closing()", ignored="raise OSError('busy')")
    assert done.returncode == 0
    assert done.stderr.startswith("Exception ignored in: <function Closing.__del__")
    assert done.stderr.endswith("OSError: busy\n")


def test_ctrl_c_after_the_end_of_a_command_shows_no_traceback(process):
    done = process("atexit.register(signal.raise_signal, signal.SIGINT)")
    assert (done.returncode, done.stderr) == (130, "")
    assert "softmax" in done.stdout


def test_an_interrupt_that_a_shell_ignores_is_ignored(process):
    happens, before = (
        "signal.raise_signal(signal.SIGINT)",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    )
    done = process(happens, before=before)
    assert (done.returncode, done.stderr) == (0, "")
