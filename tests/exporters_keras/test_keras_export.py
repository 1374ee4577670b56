"""An exported network is one file that takes raw images and gives the features of Keras."""

import collections
import dataclasses
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

from exporters.keras import table
from exporters.keras.table import INCEPTIONV3, MOBILENET, RESNET50
from tlbench.core.errors import ConfigError, ExportError
from tlbench.model import OnnxModel, TensorInfo, decode_card, encode_card

pytestmark = pytest.mark.tensorflow


def test_one_file_and_no_other(mobilenet):
    """An export leaves the model and nothing beside it."""
    path, _ = mobilenet
    assert list(path.parent.iterdir()) == [path]


def test_signature(mobilenet):
    """Raw images of any number and size go in, one vector per image comes out."""
    model = OnnxModel(mobilenet[0])
    assert model.inputs == (TensorInfo("images", "uint8", ("N", "H", "W", 3)),)
    assert model.outputs == (TensorInfo("features", "float32", ("N", 1024)),)


def test_runs_on_images_of_any_size(mobilenet, run_onnx, images):
    """Plain ONNX Runtime runs the file on batches of two sizes."""
    for batch in images:
        features = run_onnx(mobilenet[0], batch)["features"]
        assert features.shape == (len(batch), 1024)
        assert np.isfinite(features).all()


def test_features_depend_on_the_image(mobilenet, run_onnx, images):
    """Random weights keep what sets images apart: a parity check on them means something."""
    features = run_onnx(mobilenet[0], images[0])["features"]
    assert features.std(axis=0).max() > 0.01 * np.abs(features).max()


def test_parity_is_recorded(mobilenet):
    """The card says what the features were compared with, and how near they are."""
    parity = mobilenet[1].parity
    assert 0 < parity.max_rel <= 1e-4
    assert parity.min_cosine > 1 - 1e-6
    assert parity.reference.startswith("keras 3")
    assert "on tensorflow 2" in parity.reference


def test_card_travels_in_the_file(mobilenet):
    """The card that export returns is the one in the file, and survives its encoding."""
    path, card = mobilenet
    assert OnnxModel(path).card == card
    assert decode_card(encode_card(card)) == card


def test_card_describes_the_export(mobilenet):
    """The card names source, weights, size, layer and pooling."""
    card = mobilenet[1]
    assert card.backbone == "mobilenet"
    assert card.source.startswith("keras.applications.MobileNet, keras 3")
    assert (card.weights.kind, card.weights.sha256) == ("random", None)
    assert card.input_size == (224, 224)
    assert card.preprocessing == "x / 127.5 - 1"
    assert (card.layer, card.pooling, card.feature_shape) == ("conv_pw_13_relu", "avg", (1024,))
    assert card.n_classes is None
    assert card.opset == 18


def test_file_is_plain_onnx(mobilenet):
    """Only standard operators, and a format that ONNX Runtime 1.17 reads."""
    model = onnx.load(mobilenet[0])
    onnx.checker.check_model(model, full_check=True)
    assert [entry.domain for entry in model.opset_import] == [""]
    assert model.ir_version <= 9
    assert not any(node.doc_string for node in model.graph.node)


def test_layout_changes_once(mobilenet):
    """The one transpose is that of the raw bytes: none is left around the convolutions."""
    operators = [node.op_type for node in onnx.load(mobilenet[0]).graph.node]
    assert operators.count("Transpose") == 1
    assert operators[0] == "Transpose"


# Sizes at which a network is built and run in seconds. test_keras_layers.py exports the MobileNets,
# VGG and ConvNeXt.
NETWORKS = {
    "resnet50": 64,
    "resnet50v2": 64,
    "densenet121": 64,
    "efficientnetb0": 64,
    "efficientnetv2b0": 64,
    "inceptionv3": 96,
    "nasnetmobile": 64,
    "xception": 96,
}


@pytest.mark.parametrize(("name", "size"), NETWORKS.items())
def test_network_is_at_parity_without_transposes(export, name, size):
    """Each family gives Keras's features, and changes the layout of the raw bytes only."""
    row = getattr(table, name.upper())
    path, card = export(row, input_size=size)
    operators = collections.Counter(node.op_type for node in onnx.load(path).graph.node)
    assert operators["Transpose"] == 1
    assert card.n_features == row.n_features
    assert card.layer == row.layer
    # two decades below the tolerance, where float32 sums in another order end
    assert card.parity.max_rel < 1e-5


def test_same_seed_same_weights(export):
    """A seed stands for one set of weights, in the same bytes and under the same names."""
    first, second, other = (
        onnx.load(export(MOBILENET, name, input_size=32, seed=seed, layer=EARLY)[0])
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first.graph.SerializeToString() == second.graph.SerializeToString()
    assert [t.name for t in first.graph.initializer] == [t.name for t in other.graph.initializer]
    assert first.graph.SerializeToString() != other.graph.SerializeToString()


EARLY = "conv_pw_3_relu"  # what differs from the first layers on needs no more of them
WRONG = {
    "scale": dataclasses.replace(MOBILENET.preprocessing, scale=(1 / 127,) * 3),
    "mean": dataclasses.replace(MOBILENET.preprocessing, mean=(127.0,) * 3),
    "order": dataclasses.replace(MOBILENET.preprocessing, channels="BGR"),
}


@pytest.mark.parametrize("preprocessing", WRONG.values(), ids=WRONG)
def test_wrong_preprocessing_writes_nothing(export, tmp_path, preprocessing):
    """A graph that prepares its pixels a little differently from Keras is refused."""
    row = dataclasses.replace(MOBILENET, preprocessing=preprocessing)
    with pytest.raises(ExportError, match="differs from keras 3"):
        export(row, input_size=32, layer=EARLY)
    assert list(tmp_path.rglob("*")) == []


def test_too_small_input(export):
    """An input below what Keras builds is refused before TensorFlow is imported."""
    with pytest.raises(ConfigError, match="input_size=74 is too small for inceptionv3.* 75 "):
        export(INCEPTIONV3, input_size=74)


@pytest.mark.parametrize(
    ("opset", "reason"), [(17, "from 18 to"), (19, "at most 18, the newest that tf2onnx")]
)
def test_opset_that_cannot_be_written(export, opset, reason):
    """Both ends of the range are refused with the range."""
    with pytest.raises(ConfigError, match=reason):
        export(RESNET50, opset=opset)


def test_export_prints_nothing(tensorflow, run_onnx, images, tmp_path):
    """TensorFlow's notices reach neither stdout nor stderr, and no warning does."""
    code = (  # a network for which XLA is started, which logs
        "from pathlib import Path; from exporters.keras.table import CONVNEXTTINY as row\n"
        "from tlbench.model import ExportOptions; from tlbench.core.progress import Silent\n"
        "options = ExportOptions(weights='random', input_size=32, top=True)\n"
        f"row.export(options, Path({str(tmp_path / 'model.onnx')!r}), Silent())\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    # With its classifier, ConvNeXt's features are the classifier's inputs, normalised last.
    card = OnnxModel(tmp_path / "model.onnx").card
    assert (card.layer, card.pooling) == ("convnext_tiny_head_layernorm", "avg")
    assert run_onnx(tmp_path / "model.onnx", images[0])["features"].shape == (4, 768)
