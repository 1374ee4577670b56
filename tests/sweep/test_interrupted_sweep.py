"""A sweep that is stopped at any point and started again ends as if it had not been stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tlbench.records import SweepFolder, plain_value
from tlbench.workflows import run_sweep
from tlbench.workflows import sweep as workflow
from tlbench.workflows.steps import rounds

# Wherever something is written, computed or timed.
PLACES = (
    (workflow, "save_run"),
    (workflow, "measure_accuracy"),
    (workflow, "load_limited_dataset"),
    (workflow, "summarise"),
    (rounds, "time_block"),
    (rounds, "write_atomically"),
    (rounds, "open_session"),
    (SweepFolder, "write"),
    (SweepFolder, "replace_run"),
    (SweepFolder, "write_failure"),
)


class KilledError(BaseException):
    """The end of a process, as far as a test can be that."""


@pytest.fixture
def kill_at(monkeypatch):
    """Return a function that ends the sweep at its n-th step: before the step, or after it."""
    steps = []

    def watch(place, name):
        original = getattr(place, name)

        def step(*arguments, **more):
            steps.append(name)
            if len(steps) == limit[0] and not limit[1]:
                raise KilledError
            found = original(*arguments, **more)
            if len(steps) == limit[0]:
                raise KilledError
            return found

        monkeypatch.setattr(place, name, step)

    limit = [0, False]
    for place, name in PLACES:
        watch(place, name)

    def start(at, *, after=False):
        steps.clear()
        limit[:] = at, after
        return steps

    return start


def table(sweep):
    """What the tables show, besides what the machine had to do with."""
    cells = [
        replace(cell, figures=replace(cell.figures, verdict=None, reasons=()))
        if cell.figures
        else cell
        for cell in sweep.cells
    ]
    shown = plain_value([cells, sweep.baselines, sweep.against, sweep.differences])
    return json.dumps(shown)


def finished(folder):
    """The bytes of all that is finished in a folder: completed runs, failures, rounds."""
    files = [*folder.glob("rounds/*.json"), *folder.glob("cells/[!.]*/*")]
    whole = [path for path in files if path.name != "run.json" or _complete(path)]
    return {path: path.read_bytes() for path in whole}


def _complete(path):
    return json.loads(path.read_bytes())["complete"]


@pytest.mark.usefixtures("quick_rounds", "planned_times")
def test_a_sweep_may_end_at_every_step(make_config, tmp_path, kill_at):
    """Four cells of which two fail, two networks, three rounds: killed before and after each."""
    config = make_config(
        providers=("coreml", "cpu"), heads=("centroid",), batch_sizes=(1, 4), rounds=3
    )
    steps = kill_at(0)
    expected = table(run_sweep(config, tmp_path / "whole"))
    assert {"save_run", "time_block", "replace_run", "write_failure"} <= set(steps)
    n_steps = len(steps)
    for number in range(1, n_steps + 1):
        folder = tmp_path / f"{number}"
        kill_at(number, after=number % 2 == 0)
        with pytest.raises(KilledError):
            run_sweep(config, folder)
        before = finished(folder)
        again = kill_at(0)
        assert table(run_sweep(config, folder)) == expected, number
        after = finished(folder)
        assert before == {path: after[path] for path in before}, number
        n_measured = len([path for path in before if path.name == "predictions.npz"])
        assert again.count("measure_accuracy") <= 2 - n_measured
        n_rounds = len([path for path in before if path.parent.name == "rounds"])
        assert again.count("time_block") == 2 * (3 - n_rounds)


@pytest.mark.usefixtures("quick_rounds", "planned_times")
def test_an_interrupted_timing_says_so(make_config, tmp_path, kill_at):
    """The rounds before and after are counted, and the report warns of the break."""
    config = make_config(batch_sizes=(1, 4))
    kill_at(0)
    whole = run_sweep(config, tmp_path / "whole")
    assert (whole.starts, [text for text in whole.warnings if "interrupted" in text]) == (1, [])
    steps = kill_at(0)
    run_sweep(config, tmp_path / "steps")
    third = [i for i, name in enumerate(steps, 1) if name == "time_block"][5]
    kill_at(third)
    with pytest.raises(KilledError):
        run_sweep(config, tmp_path / "swept")
    kill_at(0)
    sweep = run_sweep(config, tmp_path / "swept")
    assert sweep.starts == 2
    (warning,) = [text for text in sweep.warnings if "interrupted" in text]
    assert "its 6 rounds were measured in 2 parts" in warning


ARGUMENTS = ("--heads", "centroid", "--batch-sizes", "1,4", "--rounds", "12", "--no-costs")
LIMITS = ("--limit-train", "60", "--limit-test", "40", "--baselines", "none", "-q")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_leaves_what_it_had(tiny_path, tmp_path):
    """SIGKILL among the cells, and among the rounds."""
    folder = tmp_path / "swept"
    words = ["sweep", "--backbones", str(tiny_path), *ARGUMENTS, *LIMITS, "-o", str(folder)]
    command = [sys.executable, "-m", "tlbench", *words, "--format", "json"]
    environment = os.environ | {"TLBENCH_CACHE": str(tmp_path / "cache")}

    def killed_once(pattern):
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while not list(folder.glob(pattern)) and process.poll() is None:
                time.sleep(0.002)
            process.kill()
        assert process.returncode == -signal.SIGKILL

    kept = {}
    for pattern in ("cells/[!.]*/run.json", "rounds/0002.json"):
        killed_once(pattern)
        assert all(path.read_bytes() == content for path, content in kept.items())
        kept = finished(folder)
    assert any(path.name == "0002.json" for path in kept)
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    sweep = json.loads(done.stdout)
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert [cell["state"] for cell in sweep["cells"]] == ["measured", "measured"]
    assert [cell["figures"]["n_rounds"] for cell in sweep["cells"]] == [12, 12]
    assert sweep["starts"] == 2
    accuracies = {cell["figures"]["n_correct"] for cell in sweep["cells"]}
    assert len(accuracies) == 1
    assert {path.name for path in Path(folder).iterdir()} == {
        ".lock",
        "cells",
        "report.html",
        "rounds",
        "sweep.json",
    }
