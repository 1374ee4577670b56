"""Fixtures of the benchmarks: the default backbone and stand-in images."""

import numpy as np
import pytest

from tlbench.backbones import resolve_model
from tlbench.config import default_cache_dir
from tlbench.engine import open_session
from tlbench.environment import capture_environment
from tlbench.progress import Silent


@pytest.fixture(scope="session")
def model():
    """EfficientNet-Lite0 from the user's cache, exported on first use."""
    return resolve_model("efficientnet-lite0", cache_dir=default_cache_dir(), listener=Silent())


@pytest.fixture(scope="session")
def session(model):
    """A CPU session with the default number of threads."""
    with open_session(model) as opened:
        yield opened


@pytest.fixture(scope="session")
def images():
    """320 raw images of CIFAR's size."""
    return np.random.default_rng(0).integers(0, 256, (320, 32, 32, 3), dtype=np.uint8)


def pytest_benchmark_update_machine_info(config, machine_info):
    """Add what tlbench records about a machine to pytest-benchmark's own facts."""
    environment = capture_environment()
    machine_info["tlbench"] = {
        "cpu": environment.cpu,
        "cpus_usable": environment.cpus_usable,
        "libraries": environment.libraries,
    }
