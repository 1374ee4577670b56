"""Other layers, poolings and outputs than the default ones."""

import onnx
import pytest

from exporters.common.session import keras_session
from exporters.keras.table import (
    CONVNEXTTINY,
    MOBILENET,
    MOBILENETV2,
    MOBILENETV3SMALL,
    VGG16,
)
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.model import OnnxModel

pytestmark = pytest.mark.tensorflow


def _count(path, operator):
    return sum(node.op_type == operator for node in onnx.load(path).graph.node)


@pytest.fixture(scope="module")
def own(build, images, tmp_path_factory):
    """MobileNet with Keras's own random weights: a file of them, and its feature map."""
    path = tmp_path_factory.mktemp("own") / "own.weights.h5"
    return str(path), build(MOBILENET, 64, images[0], path)


def test_unpooled_features_are_flattened_as_keras_does(export, own, run_onnx, images, assert_same):
    """pooling="none" keeps the map: (H, W, C) order, for a head that looks at positions."""
    weights, maps = own
    path, card = export(MOBILENET, weights=weights, input_size=64, pooling="none")
    assert (card.pooling, card.feature_shape, card.n_features) == ("none", (2, 2, 1024), 4096)
    assert_same(run_onnx(path, images[0])["features"], maps.reshape(len(images[0]), 4096))
    assert _count(path, "Transpose") == 2  # the one of the bytes, and the one to (H, W, C)


def test_max_pooling(export, own, run_onnx, images, assert_same):
    """pooling="max" is Keras's pooling="max"."""
    weights, maps = own
    path, card = export(MOBILENET, weights=weights, input_size=64, pooling="max")
    assert (card.pooling, card.feature_shape) == ("max", (1024,))
    with keras_session() as frameworks:
        expected = frameworks.keras.layers.GlobalMaxPooling2D()(maps).numpy()
    assert_same(run_onnx(path, images[0])["features"], expected)
    assert _count(path, "Transpose") == 1


def test_pooling_before_the_last_layer(export, build, run_onnx, images, tmp_path, assert_same):
    """ConvNeXt's features are normalised after the pooling, as Keras's pooling="avg" does."""
    weights = tmp_path / "own.weights.h5"
    expected = build(CONVNEXTTINY, 32, images[0], weights, pooling="avg")
    path, card = export(CONVNEXTTINY, weights=str(weights), input_size=32)
    assert (card.layer, card.pooling, card.feature_shape) == ("layer_normalization", "avg", (768,))
    assert_same(run_onnx(path, images[0])["features"], expected)
    assert _count(path, "Transpose") == 1
    with pytest.raises(ConfigError, match="by average only. Leave out pooling=max"):
        export(CONVNEXTTINY, "other", input_size=32, top=True, pooling="max")


def test_inner_layer(export, run_onnx, images):
    """A layer cuts the network early; what follows is not in the file."""
    path, card = export(MOBILENET, input_size=64, layer="conv_pw_5_relu")
    assert (card.layer, card.feature_shape) == ("conv_pw_5_relu", (256,))
    assert run_onnx(path, images[0])["features"].shape == (4, 256)
    assert "conv_dw_6" not in path.read_bytes().decode("latin-1")


def test_layer_of_the_classifier(export, run_onnx, images):
    """A layer that only the network with classifier has is found there; a vector is taken as is."""
    path, card = export(MOBILENET, input_size=32, layer="predictions")
    assert (card.layer, card.pooling, card.feature_shape) == ("predictions", "none", (1000,))
    assert card.n_classes is None
    outputs = run_onnx(path, images[0])
    assert set(outputs) == {"features"}
    assert outputs["features"].shape == (4, 1000)


# MobileNets classify by a convolution, whose map of one position is flattened in Keras's order, and
# VGG's first dense layer takes the positions in (H, W, C) order.
@pytest.mark.parametrize(
    ("row", "transposes"),
    [(MOBILENET, 2), (MOBILENETV3SMALL, 2), (MOBILENETV2, 1), (VGG16, 2)],
    ids=["mobilenet", "mobilenetv3small", "mobilenetv2", "vgg16"],
)
def test_top_adds_logits(export, run_onnx, images, row, transposes):
    """top=True gives scores before the softmax: some are negative, their sum is not one."""
    path, card = export(row, input_size=64, top=True)
    assert (card.layer, card.n_features, card.n_classes) == (row.layer, row.n_features, 1000)
    # a decade below the tolerance, where float32 sums in another order end
    assert card.parity.max_rel < 1e-5
    assert [output.name for output in OnnxModel(path).outputs] == ["features", "logits"]
    assert OnnxModel(path).outputs[1].shape == ("N", 1000)
    outputs = run_onnx(path, images[1])
    assert outputs["features"].shape == (2, row.n_features)
    assert outputs["logits"].min() < 0
    assert abs(outputs["logits"].sum() - 2) > 1e-3
    assert _count(path, "Transpose") == transposes


def test_unknown_layer(export, tmp_path):
    """A misspelt layer gets the nearest name, the default and a few more, in one line."""
    with pytest.raises(UnknownNameError) as caught:
        export(MOBILENET, layer="conv_pw_12_rellu", input_size=32)
    message = str(caught.value)
    assert "mobilenet has no layer 'conv_pw_12_rellu'" in message
    assert "Did you mean 'conv_pw_12_relu'?" in message
    assert "The default layer is conv_pw_13_relu" in message
    assert len(message) < 500
    assert list(tmp_path.rglob("*")) == []
