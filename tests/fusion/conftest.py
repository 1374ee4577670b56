"""Saved runs of the tiny backbone, and the predictions of a classifier file."""

from pathlib import Path

import numpy as np
import pytest

from tlbench.cli.repeat import repeat_command
from tlbench.core.progress import Silent
from tlbench.engine import open_session
from tlbench.records import save_run
from tlbench.workflows import RunConfig, run_benchmark
from tlbench.workflows.steps.context import load_limited_dataset


@pytest.fixture
def ask():
    """ImagePredictions of a classifier file: labels and probabilities for a batch of images."""

    def run(model, images):
        with open_session(model, threads=1) as session:
            outputs = session.run_all(np.asarray(images))
        return outputs["label"], outputs["probabilities"]

    return run


@pytest.fixture
def measure(tmp_path, tiny_path):
    """Run the tiny backbone on digits and save the run; keywords are those of RunConfig."""

    def run(**settings) -> Path:
        defaults = {
            "model": str(tiny_path),
            "heads": ("softmax",),
            "baselines": (),
            "limit_train": 200,
            "limit_test": 100,
            "latency": False,
            "cache_dir": tmp_path / "cache",
        }
        config = RunConfig(**(defaults | settings))
        outcome = run_benchmark(config, command=repeat_command(config))
        return save_run(outcome.result, outcome.predictions, tmp_path / "runs")

    return run


@pytest.fixture
def digits_images():
    """The images of the digits' test split as `measure` saw it, in one array."""
    test = load_limited_dataset(RunConfig(limit_train=200, limit_test=100), Silent()).test
    return np.stack([test.images[i] for i in range(len(test))])
