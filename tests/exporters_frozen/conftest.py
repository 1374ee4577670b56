"""Frozen graphs on disk, their exports, and TensorFlow's own answers."""

import sys
from pathlib import Path

import numpy as np
import pytest

from exporters.common.parity import probe_batches
from exporters.common.session import keras_session
from exporters.frozen.backbone import FROZEN
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions

sys.path.insert(0, str(Path(__file__).parent))  # for graphs.py
import graphs


@pytest.fixture(scope="session")
def frameworks(tensorflow):
    """TensorFlow, silenced; skips where the export extra is not installed."""
    with keras_session() as frameworks:
        pass  # imported without noise; what it silences must not last for the whole session
    return frameworks


@pytest.fixture
def save(frameworks, tmp_path):
    """Write a graph that a function builds; the path."""

    def do(build=graphs.inception, name="graph.pb", **options):
        path = tmp_path / "graphs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(build(frameworks.tf, **options).serialised())
        return path

    return do


@pytest.fixture
def export(tmp_path):
    """Export a graph file; the ONNX file and its card."""

    def do(path, *, name="model", **options):
        destination = tmp_path / "exported" / f"{name}.onnx"
        options = {"input_tensor": "DecodeJpeg:0", "output_tensor": "pool_3:0"} | options
        backbone = FROZEN.with_argument(str(path))
        card = backbone.export(ExportOptions(**options), destination, Silent())
        return destination, card

    return do


@pytest.fixture(scope="session")
def images():
    """Four small square images and two wide ones, which the exports were not verified on."""
    return probe_batches(seed=7)


@pytest.fixture
def run_original(frameworks):
    """Run a graph file in TensorFlow, one image after another, as the experiments did."""

    def run(path, images, output="pool_3:0", source="DecodeJpeg:0"):
        tf = frameworks.tf
        proto = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(proto, name="")
            with tf.compat.v1.Session(graph=graph) as session:
                rows = [session.run(output, {source: image}) for image in images]
        return np.stack([row.reshape(-1) for row in rows])

    return run
