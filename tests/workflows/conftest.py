"""A quick run, and what goes through the network in it."""

import pytest

from tlbench.engine import Session
from tlbench.workflows import RunConfig


@pytest.fixture
def config(tiny_path, tmp_path):
    """A quick run: 200 + 100 digits, one head, no latency."""
    return RunConfig(
        model=str(tiny_path),
        heads=("centroid",),
        limit_train=200,
        limit_test=100,
        latency=False,
        cache_dir=tmp_path / "cache",
    )


@pytest.fixture
def network_calls(monkeypatch):
    """Count the batches that go through any session."""
    calls = []
    original = Session.run

    def run(self, images):
        calls.append(len(images))
        return original(self, images)

    monkeypatch.setattr(Session, "run", run)
    return calls
