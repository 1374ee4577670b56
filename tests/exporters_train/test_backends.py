"""Keras on PyTorch or JAX trains as well; TensorFlow writes the file, here or elsewhere."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tlbench.core.errors import MissingDependencyError
from tlbench.core.progress import Silent

SCRIPT = """
import sys, json, warnings
sys.path.insert(0, {fakes!r})
from pathlib import Path
from toy_training import SIZE, figures, toy
from tlbench.core.errors import TlbenchError
from tlbench.core.progress import Silent
from tlbench.model import TrainingOptions, TrainingRequest, find_network
from exporters.train.checkpoint import Checkpoint

def train(name, epochs, resume):
    request = TrainingRequest(
        options=TrainingOptions(epochs=epochs, batch_size=16, input_size=SIZE),
        train=toy(32), test=toy(16, seed=1), classes=("dark", "grey", "light"), dataset="toy",
        fingerprint="f" * 64, checkpoint=Path(name + ".checkpoint"), resume=resume,
    )
    try:
        find_network("basic-cnn").train(request, Path(name + ".onnx"), Silent())
    except TlbenchError as error:
        assert "pip install 'tlbench[export]'" in str(error), error
    return Checkpoint.read(request.checkpoint).record

whole, half = train("whole", 2, False), train("half", 1, False)
resumed = train("half", 2, True)
is_same, is_exported = figures(whole) == figures(resumed), Path("whole.onnx").is_file()
print(json.dumps([whole.software, is_same, is_exported]))
"""


def has(name):
    return importlib.util.find_spec(name) is not None


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_training_on_another_backend(tmp_path, backend):
    """Resumed, it has the figures of an unbroken one; exported, it is like Keras."""
    if not (has(backend) and has("keras")):
        pytest.skip(f"needs keras and {backend}")
    fakes = str(Path(__file__).parents[1] / "fakes")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT.format(fakes=fakes)],
        check=False,
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    software, is_same, is_exported = json.loads(done.stdout.splitlines()[-1])
    assert f"on {backend} " in software
    assert is_same
    assert is_exported == (has("tensorflow") and has("tf2onnx"))


@pytest.fixture
def torch_only(monkeypatch):
    """An environment in which Keras runs on PyTorch, and TensorFlow is not installed."""
    find = importlib.util.find_spec
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: (
            {"tensorflow": None, "tf2onnx": None, "keras": True, "torch": True}[name]
            if name in {"tensorflow", "tf2onnx", "keras", "torch"}
            else find(name)
        ),
    )


def test_without_tensorflow_the_training_says_so_before_it_begins(torch_only, recorder, tmp_path):
    """Hours before the file could not be written."""
    from exporters.train.export import check_exportable

    check_exportable(tmp_path / "net.checkpoint", recorder)
    (warning,) = recorder.warnings
    assert warning.startswith("tensorflow and tf2onnx are not installed here")
    assert "net.checkpoint" in warning


def test_without_tensorflow_the_checkpoint_is_kept(torch_only, tmp_path):
    """With what to do next."""
    from exporters.train.export import export_checkpoint

    with pytest.raises(MissingDependencyError, match="kept at .*net.checkpoint, but tensorflow"):
        export_checkpoint(tmp_path / "net.checkpoint", tmp_path / "net.onnx", Silent())


def test_no_backend_at_all(monkeypatch):
    """What to install."""
    from exporters.train.session import wanted_backend

    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"tlbench\[export\]"):
        wanted_backend()


@pytest.mark.parametrize("name", ["theano", "openvino", "jaxx"])
def test_an_unknown_backend(monkeypatch, name):
    """Named as the variable has it."""
    from exporters.train.session import wanted_backend

    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(MissingDependencyError, match=f"backend {name} "):
        wanted_backend()
