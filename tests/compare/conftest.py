"""Runs to compare: a saved one of the first schema version, and variations of it."""

import dataclasses
from pathlib import Path

import pytest

from tlbench.compare import ComparedRun
from tlbench.records import decode_run

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def old_run():
    """A run of schema version 1: two timings, four accuracies."""
    path = GOLDEN / "run-simple.json"
    return decode_run(path.read_bytes(), str(path))


@pytest.fixture(scope="session")
def contest():
    """A run in which models a and b took turns, both in one scenario."""
    path = GOLDEN / "run-candidates.json"
    run = decode_run(path.read_bytes(), str(path))
    first = run.latency[0]
    return dataclasses.replace(run, latency=(first, dataclasses.replace(first, label="b")))


@pytest.fixture(scope="session")
def vary():
    """Return another run: with ``timing`` and ``accuracy`` changed in each of its results."""

    def varied(run, run_id="20260201-000000-beef", *, timing=None, accuracy=None, **changes):
        replace = dataclasses.replace
        latency = changes.pop("latency", run.latency)
        scores = changes.pop("accuracies", run.accuracy)
        return replace(
            run,
            id=run_id,
            latency=tuple(replace(one, **(timing or {})) for one in latency),
            accuracy=tuple(replace(one, **(accuracy or {})) for one in scores),
            **changes,
        )

    return varied


@pytest.fixture(scope="session")
def sides():
    """Return runs as sides of a comparison."""
    return lambda *runs: [ComparedRun(run=run) for run in runs]
