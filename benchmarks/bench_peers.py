"""ONNX Runtime beside other runtimes: the same weights, raw images to features, two threads."""

import os

import numpy as np
import pytest
from alternate import THREADS, alternate, run_warm
from peers import keras_sides, openvino_side, torch_side

from tlbench.core.progress import Silent
from tlbench.engine import open_session
from tlbench.model import ExportOptions, resolve_model
from tlbench.workflows import default_cache_dir

WEIGHTS = os.environ.get("TLBENCH_BENCH_WEIGHTS", "random")
OURS = "onnxruntime"
# How far apart the features of two runtimes may be, relative to the largest feature: float32 sums
# in another order differ by 1e-6, another resize or preprocessing by 1e-2 and more.
TOLERANCE = 1e-4
BATCHES = pytest.mark.parametrize("batch_size", [1, 32], ids="batch={}".format)


def compare(benchmark, note, images, batch_size, session, peers):
    """Check that all sides give the same features, alternate them, print and record the ratios."""
    batch = images[:batch_size]
    sides = {OURS: session.run, **peers}
    expected = session.run(batch)
    differences = {
        name: float(np.abs(run(batch) - expected).max() / np.abs(expected).max())
        for name, run in peers.items()
    }
    blocks = alternate(
        {name: lambda run=run: run(batch) for name, run in sides.items()},
        n_blocks=15 if batch_size == 1 else 9,
        calls=20 if batch_size == 1 else 1,
    )
    ratios = {name: blocks.ratio(name, to=OURS) for name in peers}
    card = session.model.card
    note(
        session,
        batch_size=batch_size,
        backbone=card.backbone,
        weights=card.weights.kind,
        relative_feature_difference=differences,
        **{f"ratio {name}": [each.median, each.low, each.high] for name, each in ratios.items()},
        **blocks.facts(),
    )
    for name, ratio in ratios.items():
        print(
            f"\n{card.backbone}, {card.weights.kind} weights, batch {batch_size}: "
            f"{name} / {OURS} {ratio}; features differ by {differences[name]:.1e}",
            end="",
        )
    print()
    assert max(differences.values()) < TOLERANCE, differences
    run_warm(benchmark, lambda: session.run(batch), max_rounds=20)
    return ratios


@pytest.fixture(scope="module", params=["inceptionv3", "resnet50"])
def from_keras(request):
    """A session on the exported network, and Keras's own ways to run it."""
    pytest.importorskip("tensorflow", reason="needs Keras: pip install 'tlbench[export]'")
    pytest.importorskip("tf2onnx", reason="needs tf2onnx: pip install 'tlbench[export]'")
    options = ExportOptions(weights=WEIGHTS)
    with keras_sides(request.param, options) as peers:
        model = resolve_model(
            request.param, cache_dir=default_cache_dir(), listener=Silent(), options=options
        )
        with open_session(model, threads=THREADS) as session:
            yield session, peers


@BATCHES
def test_keras(benchmark, note, images, from_keras, batch_size):
    """Keras `predict` and a compiled `tf.function`, both with TensorFlow's resize in front."""
    session, peers = from_keras
    ratios = compare(benchmark, note, images, batch_size, session, peers)
    if session.model.card.backbone == "inceptionv3":
        if batch_size == 1:
            assert ratios["keras predict"].low >= 1.25
        else:
            assert ratios["tf.function"].low >= 1.0


@BATCHES
def test_openvino(benchmark, note, images, model, session, batch_size):
    """OpenVINO on the same file."""
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install 'tlbench[peers]'")
    peers = {"openvino": openvino_side(model.path, (batch_size, *images.shape[1:]))}
    compare(benchmark, note, images, batch_size, session, peers)


@BATCHES
def test_torch(benchmark, note, images, session, batch_size):
    """PyTorch's implementation of EfficientNet-Lite0 on the same file of weights."""
    reason = "needs PyTorch: pip install 'tlbench[peers]'"
    pytest.importorskip("torch", reason=reason)
    pytest.importorskip("efficientnet_lite_pytorch", reason=reason)
    compare(benchmark, note, images, batch_size, session, {"torch": torch_side()})
