"""Sweeps over networks that run in microseconds, with clocks that do not."""

from functools import cache, partial

import pytest

from tlbench.latency import Block, StoppingRule, Turns
from tlbench.machine import capture_environment
from tlbench.workflows import RunConfig, SweepConfig, sweep_timing
from tlbench.workflows.steps import rounds


@pytest.fixture
def quick_rounds(monkeypatch):
    """Shorten every wait of the rounds, and look at the machine once only."""
    monkeypatch.setattr(rounds, "Turns", partial(Turns, block_s=0.001, warmup_s=0.0))
    monkeypatch.setattr(rounds, "_WARM_UP", StoppingRule(warmup_s=0.0))
    monkeypatch.setattr(rounds, "_LAPS_S", 0.0)
    monkeypatch.setattr(
        "tlbench.workflows.steps.timed_model.arithmetic_ceiling", lambda *_, **__: None
    )
    known = cache(partial(capture_environment, onnxruntime_build="build"))
    for place in ("sweep", "steps.record"):
        monkeypatch.setattr(f"tlbench.workflows.{place}.capture_environment", lambda **_: known())


@pytest.fixture
def planned_times(monkeypatch):
    """Make every round the same: two milliseconds a call, whatever is called."""
    timed = []

    def time_block(sampler, turns, clock, *, pause_s=0.0):
        sampler.sample()
        timed.append(sampler)
        return Block(samples_s=(0.0019, 0.002, 0.0021), cpu_s=0.006, wall_s=0.006)

    monkeypatch.setattr(rounds, "time_block", time_block)
    return timed


@pytest.fixture
def make_config(tiny_path, tmp_path):
    """Return a function that makes a small sweep; keywords are those of `SweepConfig`."""

    def make(*, shared=None, **grid):
        base = {
            "limit_train": 60,
            "limit_test": 40,
            "baselines": (),
            "cache_dir": tmp_path / "cache",
            "timing": sweep_timing(costs=False),
        }
        grid = {"backbones": (str(tiny_path),), "heads": ("centroid",), "rounds": 6} | grid
        return SweepConfig(**grid, base=RunConfig(**(base | (shared or {}))))

    return make
