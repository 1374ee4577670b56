"""Runs to compare: a saved one, and variations of it."""

import dataclasses

import pytest
from saved_runs import GOLDEN, few_images, images, save, saved_run  # noqa: F401 - fixtures

from tlbench.compare import ComparedRun
from tlbench.records import decode_run


@pytest.fixture(scope="session")
def interleaved():
    """A run that interleaved models a and b, both in one scenario."""
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
def compared():
    """Return runs as a comparison takes them."""
    return lambda *runs: [ComparedRun(run=run) for run in runs]
