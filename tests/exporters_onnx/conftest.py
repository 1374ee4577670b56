"""Foreign files on disk, and their exports."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from exporters.onnx.backbone import ONNX
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions

sys.path.insert(0, str(Path(__file__).parent))  # for foreign_networks.py

SCALED = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture
def export(tmp_path):
    """Export a model, or a file, with torchvision's usual preprocessing; the path and the card."""

    def made(model, **options):
        path = model
        if isinstance(model, onnx.ModelProto):
            path = tmp_path / "net.onnx"
            onnx.save(model, path)
        if not {"scale", "mean", "std", "preprocess"} & set(options):
            options = SCALED | options
        destination = tmp_path / "wrapped.onnx"
        backbone = ONNX.with_argument(str(path))
        return destination, backbone.export(ExportOptions(**options), destination, Silent())

    return made


@pytest.fixture(scope="session")
def run_original():
    """Run a foreign model by itself on float32 (N, 3, H, W), one image after the other."""

    def run(model, pixels, output, *, layout="NCHW", kind="float32"):
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        del shown.graph.output[:]
        shown.graph.output.append(onnx.ValueInfoProto(name=output))
        session = onnxruntime.InferenceSession(
            shown.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        name = session.get_inputs()[0].name
        pixels = pixels if layout == "NCHW" else pixels.transpose(0, 2, 3, 1)
        found = [session.run([output], {name: one[np.newaxis].astype(kind)})[0] for one in pixels]
        return np.concatenate(found)

    return run
