"""Other layers, poolings and outputs than the default ones."""

import onnx
import pytest

from exporters.common.session import keras_session
from exporters.keras.table import (
    CONVNEXTTINY,
    INCEPTIONV3,
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


@pytest.fixture
def keras_features(tmp_path):
    """Save a network's own random weights and compute features of images by Keras alone."""

    def do(row, size, images, *, path=None, **options):
        with keras_session() as frameworks:
            keras, tf = frameworks.keras, frameworks.tf
            model = getattr(keras.applications, row.constructor)(
                weights=None, input_shape=(size, size, 3), **{"include_top": False} | options
            )
            if path is not None:
                model.save_weights(path)
            preprocess = getattr(keras.applications, row.module).preprocess_input
            pixels = preprocess(tf.image.resize(images, (size, size)))
            return model(pixels, training=False).numpy()

    return do


def test_unpooled_features_are_flattened_as_keras_does(
    export, keras_features, run_onnx, images, tmp_path, assert_same
):
    """--pooling none keeps the map: (H, W, C) order, for a head that looks at positions."""
    weights = tmp_path / "own.weights.h5"
    expected = keras_features(INCEPTIONV3, 139, images[0], path=weights)
    path, card = export(INCEPTIONV3, weights=str(weights), input_size=139, pooling="none")
    assert (card.pooling, card.feature_shape, card.n_features) == ("none", (3, 3, 2048), 18432)
    actual = run_onnx(path, images[0])["features"]
    assert_same(actual, expected.reshape(len(images[0]), 18432))
    assert _count(path, "Transpose") == 2  # the one of the bytes, and the one to (H, W, C)


def test_max_pooling(export, keras_features, run_onnx, images, tmp_path, assert_same):
    """--pooling max is Keras's pooling="max"."""
    weights = tmp_path / "own.weights.h5"
    expected = keras_features(MOBILENET, 64, images[0], path=weights, pooling="max")
    path, card = export(MOBILENET, weights=str(weights), input_size=64, pooling="max")
    assert (card.pooling, card.feature_shape) == ("max", (1024,))
    assert_same(run_onnx(path, images[0])["features"], expected)
    assert _count(path, "Transpose") == 1


def test_pooling_before_the_last_layer(
    export, keras_features, run_onnx, images, tmp_path, assert_same
):
    """ConvNeXt's features are normalised after the pooling, as Keras's pooling="avg" does."""
    weights = tmp_path / "own.weights.h5"
    expected = keras_features(CONVNEXTTINY, 32, images[0], path=weights, pooling="avg")
    path, card = export(CONVNEXTTINY, weights=str(weights), input_size=32)
    assert (card.layer, card.pooling, card.feature_shape) == ("layer_normalization", "avg", (768,))
    assert_same(run_onnx(path, images[0])["features"], expected)
    assert _count(path, "Transpose") == 1


def test_classifier_of_a_network_that_normalises_last(export, run_onnx, images):
    """With its classifier, ConvNeXt's features are the classifier's inputs."""
    path, card = export(CONVNEXTTINY, input_size=32, top=True)
    assert (card.layer, card.pooling) == ("convnext_tiny_head_layernorm", "avg")
    assert run_onnx(path, images[0])["features"].shape == (4, 768)
    with pytest.raises(ConfigError, match="by average only, not by max"):
        export(CONVNEXTTINY, input_size=32, top=True, pooling="max")


def test_inner_layer(export, run_onnx, images):
    """--layer cuts the network early; what follows is not in the file."""
    path, card = export(INCEPTIONV3, input_size=96, layer="mixed5")
    assert (card.layer, card.feature_shape) == ("mixed5", (768,))
    assert run_onnx(path, images[0])["features"].shape == (4, 768)
    assert "mixed6" not in path.read_bytes().decode("latin-1")


def test_layer_of_the_classifier(export, run_onnx, images):
    """A layer that only the network with classifier has is found there; a vector is taken as is."""
    path, card = export(VGG16, input_size=64, layer="fc2")
    assert (card.layer, card.pooling, card.feature_shape) == ("fc2", "none", (4096,))
    assert card.n_classes is None
    outputs = run_onnx(path, images[0])
    assert set(outputs) == {"features"}
    assert outputs["features"].shape == (4, 4096)
    assert _count(path, "Transpose") == 2  # fc1 takes the positions in (H, W, C) order


# MobileNets classify by a convolution, whose map of one position is flattened in Keras's order.
@pytest.mark.parametrize(
    ("row", "transposes"),
    [(MOBILENET, 2), (MOBILENETV3SMALL, 2), (MOBILENETV2, 1)],
    ids=["mobilenet", "mobilenetv3small", "mobilenetv2"],
)
def test_top_adds_logits(export, run_onnx, images, row, transposes):
    """--top gives scores before the softmax: some are negative, and they do not sum to one."""
    path, card = export(row, input_size=64, top=True)
    assert card.n_classes == 1000
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
    assert "Unknown layer 'conv_pw_12_rellu' of mobilenet" in message
    assert "Did you mean 'conv_pw_12_relu'?" in message
    assert "Without --layer it is conv_pw_13_relu" in message
    assert len(message) < 500
    assert list(tmp_path.rglob("*")) == []
