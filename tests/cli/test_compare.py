"""`tlbench compare`: saved runs in, a report out, and exit code 2 where they cannot be compared."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tlbench.records import decode_run, encode_run

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def saved(tmp_path):
    """Save variations of the golden run of schema version 1; return their paths."""
    old = decode_run((GOLDEN / "run-simple.json").read_bytes(), "run-simple.json")

    def save(run_id, **timing):
        latency = tuple(dataclasses.replace(one, **timing) for one in old.latency)
        run = dataclasses.replace(old, id=run_id, latency=latency)
        folder = tmp_path / "work" / "runs" / run_id
        folder.mkdir(parents=True)
        (folder / "run.json").write_bytes(encode_run(run))
        return folder

    return save


def test_an_old_file_is_compared_with_a_new_one(tlbench, saved):
    """A run saved by the first tlbench, with one of today, by file and by id."""
    saved("new", provider="cuda")
    done = tlbench("compare", GOLDEN / "run-simple.json", "new")
    assert done.code == 0, done.err
    assert "Speed-up" in done.out
    assert "cuda" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_three_runs(tlbench, saved):
    for name in ("one", "two", "three"):
        saved(name, provider=name)
    document = json.loads(tlbench("compare", "one", "two", "three", "--format", "json").out)
    assert [run["letter"] for run in document["runs"]] == ["A", "B", "C"]
    assert len(document["speed_ups"]) == 4


def test_unlike_runs_are_exit_code_2_in_one_line(tlbench, saved):
    saved("new", precision="fp16")
    done = tlbench("compare", GOLDEN / "run-simple.json", "new")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "precision fp32 against fp16" in done.err
    assert "--allow-unlike" in done.err


def test_unlike_runs_can_be_allowed(tlbench, saved):
    saved("new", precision="fp16")
    done = tlbench("compare", GOLDEN / "run-simple.json", "new", "--allow-unlike")
    assert done.code == 0
    assert "fp32/fp16" in done.out
    assert "precision fp32 against fp16" in done.out


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["new"], "two runs or more"),
        (["new", "new"], "named 2 times"),
        (["new", "absent"], "No run 'absent'"),
        (["new", "absent#a"], "No run 'absent'"),
        (["new", "new#a"], "has no candidate 'a'"),
    ],
    ids=str,
)
def test_runs_that_cannot_be_compared_are_exit_code_2(tlbench, saved, runs, said):
    saved("new")
    done = tlbench("compare", *runs)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_candidate_is_named_behind_a_hash(tlbench, saved):
    """A run of several interleaved models, compared with a run of one."""
    saved("new")
    done = tlbench("compare", "new", GOLDEN / "run-candidates.json")
    assert done.code == 2
    assert "#a'" in done.err
    done = tlbench("compare", "new", f"{GOLDEN / 'run-candidates.json'}#a")
    assert done.code == 0, done.err
    assert "20260131-142530-1f3a#a" in done.out


def test_a_hash_in_the_name_of_a_folder_is_no_label(tlbench, saved):
    """What exists as it stands is not taken apart."""
    folder = saved("new#1")
    done = tlbench("compare", GOLDEN / "run-simple.json", folder)
    assert done.code == 0, done.err


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_comparison_can_go_to_a_file(tlbench, saved, style):
    saved("new")
    arguments = ("compare", GOLDEN / "run-simple.json", "new", "--format", style)
    shown = tlbench(*arguments)
    done = tlbench(*arguments, "-o", "out.txt")
    assert (done.code, done.out) == (0, "")
    assert Path("out.txt").read_text(encoding="utf-8") == shown.out


def test_a_file_that_cannot_be_written_is_exit_code_2(tlbench, saved):
    saved("new")
    done = tlbench("compare", GOLDEN / "run-simple.json", "new", "-o", "absent/out.txt")
    assert done.code == 2
    assert "cannot be written" in done.err


def test_runs_are_looked_for_under_output(tlbench, saved):
    """As `tlbench report` does."""
    saved("new")
    Path("runs").rename("elsewhere")
    assert tlbench("compare", GOLDEN / "run-simple.json", "new").code == 2
    assert tlbench("compare", GOLDEN / "run-simple.json", "last", "--output", "elsewhere").code == 0


def test_no_measuring_code_is_loaded(saved):
    """A comparison works where ONNX Runtime cannot even be imported."""
    folder = saved("new")
    source = (
        "import sys; sys.modules['onnxruntime'] = None; from tlbench.cli import main; "
        f"sys.argv = ['tlbench', 'compare', {str(GOLDEN / 'run-simple.json')!r}, {str(folder)!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'sklearn', 'onnx'} & set(sys.modules)\n"
        "assert not [n for n in sys.modules if n.startswith(('tlbench.engine', 'tlbench.latency'))]"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Speed-up" in done.stdout
