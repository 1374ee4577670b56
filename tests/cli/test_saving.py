"""No work is lost: a place is checked before it, and what cannot be saved is shown."""

import json
import signal
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import tlbench.records.store
from tlbench.core.errors import StorageError
from tlbench.records import decode_run

QUICK = ("--limit-train", "60", "--limit-test", "30", "--heads", "centroid")
TIMED = ("--scenario", "single", "--min-samples", "1", "--min-duration", "0", "--no-costs")
RECIPE = """
name = "mine"
title = "Mine"
protocol = "hold-out"
source = {{text = "I", url = "https://example.org"}}
[[rows]]
name = "only"
backbone = "{model}"
dataset = "digits"
n_train = 898
n_test = 899
heads.centroid = {{}}
[[rows.figures]]
name = "centroid"
fraction = 0.0
head = "centroid"
"""


@pytest.fixture
def words(tlbench, tiny_path):
    """Return the arguments of a command that measures."""
    other = Path("other.onnx")
    other.write_bytes(tiny_path.read_bytes())
    Path("mine.toml").write_text(RECIPE.format(model=tiny_path))
    return {
        "run": ("run", tiny_path, *QUICK, "--no-latency"),
        "evaluate": ("evaluate", tiny_path, *QUICK),
        "latency": ("latency", tiny_path, *TIMED),
        "drift": ("drift", tiny_path, other, *QUICK),
        "reproduce": ("reproduce", "mine.toml", "--no-latency", *QUICK[:4]),
        "extract": ("extract", tiny_path, *QUICK[:4]),
        "export": ("export", "efficientnet-lite0"),
    }.__getitem__


MEASURING = ["run", "evaluate", "latency", "drift", "reproduce"]


@pytest.fixture
def no_work(monkeypatch):
    """Fail if a network is run."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("work"))


@pytest.fixture
def full_disk(monkeypatch):
    """Let runs meet a disk that is full by now."""

    def fail(path, **_):
        raise StorageError(f"{path} cannot be written: No space left on device.")

    monkeypatch.setattr(tlbench.records.store, "atomic_folder", fail)


@pytest.mark.parametrize("place", ["file", "file/deeper", "dangling", f"{'a' * 300}/runs"])
@pytest.mark.parametrize("command", MEASURING)
def test_where_runs_are_saved_is_checked_before_any_work(tlbench, words, no_work, command, place):
    Path("file").touch()
    Path("dangling").symlink_to("nowhere")
    done = tlbench(*words(command), "--output", place)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"tlbench: error: {place} cannot be written: ")
    assert done.err.endswith("Pass another folder: --output FOLDER.\n")


@pytest.mark.parametrize("place", ["file/a", ".", f"{'a' * 300}"])
@pytest.mark.parametrize("command", ["extract", "export"])
def test_the_file_of_a_command_is_checked_before_any_work(tlbench, words, no_work, command, place):
    Path("file").touch()
    if place == "." and command == "extract":
        Path("folder.npz").mkdir()
        place = "folder"
    suffix = ".npz" if command == "extract" else ""
    done = tlbench(*words(command), "-o", f"{place}{suffix}")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert place in done.err


def test_what_a_check_leaves_behind(tlbench, words):
    """Nothing: a command that fails later made no folder."""
    assert tlbench("run", "--heads", "none", "--output", "new/runs").code == 2
    assert not Path("new").exists()


@pytest.mark.parametrize("style", ["console", "json"])
@pytest.mark.parametrize("command", MEASURING)
def test_a_result_that_cannot_be_saved_is_shown(tlbench, words, full_disk, command, style):
    done = tlbench(*words(command), "--format", style)
    assert done.code == 2
    assert done.err.splitlines()[-1].endswith("cannot be written: No space left on device.")
    if style == "json":
        document = json.loads(done.out)
        document = document[0] if command == "reproduce" else document
        assert decode_run(json.dumps(document).encode(), "stdout").complete
    else:
        assert done.out.startswith(("tiny", "reference tiny", "mine"))
        assert "Saved" not in done.out


@pytest.mark.parametrize("command", ["run", "reproduce"])
def test_ctrl_c_waits_until_a_run_is_saved(tlbench, words, monkeypatch, command):
    save = np.savez_compressed

    def interrupted(*arguments, **arrays):
        signal.raise_signal(signal.SIGINT)
        save(*arguments, **arrays)

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    done = tlbench(*words(command), "--format", "console")
    assert done.code == 130
    assert "Saved" in done.out
    (run,) = Path("runs").iterdir()
    files = {"run.json", "predictions.npz", "images.json", "thumbnails.webp", "report.html"}
    assert {path.name for path in run.iterdir()} == files


def test_ctrl_c_twice_does_not_wait(tlbench, words, monkeypatch):
    """The result is shown, and no half of it is left on disk."""

    def interrupted(*_, **__):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it waited")

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    done = tlbench(*words("run"))
    assert done.code == 130
    assert "centroid on backbone" in done.out
    assert list(Path("runs").iterdir()) == []


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
def test_a_verdict_that_cannot_be_written_is_shown(tlbench, words, option):
    """``/dev/full`` passes every check beforehand."""
    assert tlbench(*words("run")).code == 0
    assert tlbench("baseline", "save", "last", "-o", "base.json").code == 0
    other = {"--junit": "--markdown", "--markdown": "--junit"}[option]
    done = tlbench("gate", "--baseline", "base.json", option, "/dev/full", other, "written")
    assert done.code == 2
    assert done.out.startswith("PASSED")
    assert "/dev/full cannot be written: No space left on device" in done.err
    assert "PASSED" in Path("written").read_text() or "<testsuites" in Path("written").read_text()


@pytest.mark.parametrize("option", ["--differing", "-o"])
def test_a_comparison_that_cannot_be_written_is_exit_code_2(tlbench, words, option):
    for _ in range(2):
        assert tlbench(*words("run")).code == 0
    first, second = Path("runs").iterdir()
    done = tlbench("compare", first, second, option, "/dev/full")
    assert done.code == 2
    assert bool(done.out) == (option == "--differing")
    assert tlbench("compare", first, second, option, "runs").code == 2
    assert tlbench("compare", first, second, option, first / "run.json" / "x").code == 2
