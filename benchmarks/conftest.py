"""Fixtures of the benchmarks: the default backbone, stand-in images, and facts of the machine."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from alternate import THREADS

from tlbench.core.progress import Silent
from tlbench.engine import onnxruntime_facts, open_session
from tlbench.machine import capture_environment
from tlbench.model import resolve_model
from tlbench.records import plain_value
from tlbench.workflows import default_cache_dir


@pytest.fixture(scope="session")
def model():
    """EfficientNet-Lite0 from the user's cache, exported on first use."""
    return resolve_model("efficientnet-lite0", cache_dir=default_cache_dir(), listener=Silent())


@pytest.fixture(scope="session")
def session(model):
    """A CPU session."""
    with open_session(model, threads=THREADS) as opened:
        yield opened


@pytest.fixture(scope="session")
def images():
    """320 raw images of CIFAR's size."""
    return np.random.default_rng(0).integers(0, 256, (320, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def note(benchmark):
    """Record the conditions of a benchmark; of a session, its provider and model as well."""

    def add(session=None, **facts):
        if session is not None:
            card = session.model.card
            benchmark.extra_info.update(
                provider=session.provider,
                threads=session.threads,
                precision=card.precision if card else "unknown",
                model_sha256=session.model.sha256,
            )
        benchmark.extra_info.update(facts)

    return add


@pytest.fixture(autouse=True)
def disturbance(benchmark):
    """Record how many processors others kept busy meanwhile, or the hypervisor took away."""
    before = _cpu_seconds()
    yield
    if before is None:
        return
    busy, stolen, own, wall = (now - then for now, then in zip(_cpu_seconds(), before, strict=True))
    benchmark.extra_info["cpus_busy_elsewhere"] = round((busy - own) / wall, 3)
    benchmark.extra_info["cpus_stolen"] = round(stolen / wall, 3)


def _cpu_seconds():
    """Return seconds of all processors busy and stolen, of this process, and on the clock."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:  # not Linux
        return None
    user, nice, system, _, _, irq, soft_irq, stolen = (
        int(field) / os.sysconf("SC_CLK_TCK") for field in fields[:8]
    )
    busy = user + nice + system + irq + soft_irq
    return busy, stolen, time.process_time(), time.perf_counter()


def pytest_benchmark_update_machine_info(config, machine_info):
    """Add what tlbench records about a machine to pytest-benchmark's own facts."""
    build, providers = onnxruntime_facts()
    environment = capture_environment(onnxruntime_build=build, providers=providers)
    machine_info["tlbench"] = plain_value(environment)
