"""Trainings on a few small images, without a command, and most of them without an export."""

import pytest
from toy_training import SIZE, toy

from tlbench.core.progress import Silent
from tlbench.model import TrainingOptions, TrainingRequest, find_network


@pytest.fixture
def request_of(tmp_path):
    """Return a function that makes a request; further keywords are those of the options."""

    def make(train=None, test=None, *, resume=False, **options):
        given = {"epochs": 2, "batch_size": 16, "input_size": SIZE}
        return TrainingRequest(
            options=TrainingOptions(**given | options),
            train=train or toy(48),
            test=test or toy(16, seed=1),
            classes=("dark", "grey", "light"),
            dataset="toy",
            fingerprint="f" * 64,
            checkpoint=tmp_path / "toy.checkpoint",
            resume=resume,
        )

    return make


@pytest.fixture
def train(tensorflow, tmp_path):
    """Train a network as the request says, and return the card."""

    def do(name, request, listener=None):
        return find_network(name).train(request, tmp_path / "toy.onnx", listener or Silent())

    return do


@pytest.fixture
def eager(tensorflow):
    """Compute without compiling, which would take longer than the steps of these networks."""
    from exporters.train.session import training_session

    with training_session() as backend:
        assert backend.name == "tensorflow"
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def unexported(monkeypatch, eager):
    """Leave the export out, and return the last checkpoint in the place of a card."""
    from exporters.train.checkpoint import Checkpoint

    monkeypatch.setattr(
        "exporters.train.keras_run.export_checkpoint", lambda path, _, __: Checkpoint.read(path)
    )
