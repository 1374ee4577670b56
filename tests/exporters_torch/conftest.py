"""Exports of small networks of PyTorch, and PyTorch's own answers."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from exporters.common.parity import probe_batches
from exporters.torch.backbone import TORCH
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions

sys.path.insert(0, str(Path(__file__).parent))  # for torch_networks.py

PIXELS = {"scale": 1 / 255, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3), "input_size": 32}


class Warnings(Silent):
    """Keeps the warnings."""

    def __init__(self):
        self.texts = []

    def warn(self, message):
        self.texts.append(message)


@pytest.fixture
def warned():
    """A listener that keeps the warnings."""
    return Warnings()


@pytest.fixture
def export(tmp_path):
    """Export a function of torch_networks; the file and its card."""

    def do(factory, *, listener=None, name="model", **options):
        path = tmp_path / "exported" / f"{name}.onnx"
        module = "" if ":" in factory else "torch_networks:"
        options = ExportOptions(**{"fit": "squash"} | PIXELS | options)
        backbone = TORCH.with_argument(f"{module}{factory}")
        return path, backbone.export(options, path, listener or Silent())

    return do


@pytest.fixture(scope="session")
def images():
    """Four small square images and two wide ones, which the exports were not verified on."""
    return probe_batches(seed=7)


@pytest.fixture(scope="session")
def run_file():
    """Return the outputs of a file for raw images."""

    def run(path, images):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(None, {"images": images})

    return run


@pytest.fixture(scope="session")
def pixels():
    """Resize and normalise raw images by PyTorch, as a user of PyTorch would."""
    torch = pytest.importorskip("torch")

    def do(images, size=32):
        found = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        found = torch.nn.functional.interpolate(found, (size, size), mode="bilinear")
        mean, std = (torch.tensor(PIXELS[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        return (found / 255 - mean) / std

    return do


@pytest.fixture(scope="session")
def assert_same():
    """Compare features as the parity check does: relative to an image's largest feature."""

    def check(actual, expected, tolerance=1e-4):
        expected = np.asarray(expected)
        assert actual.shape == expected.shape
        difference = np.abs(actual - expected).max(axis=1)
        assert (difference <= tolerance * np.abs(expected).max(axis=1)).all()

    return check
