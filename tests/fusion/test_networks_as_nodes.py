"""Networks of the layers that heads train, against plain loops."""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest

from tlbench.core.errors import ConfigError
from tlbench.engine import feature_output
from tlbench.fusion import PROBABILITY_TOLERANCE, FittedHead, fuse_graphs
from tlbench.heads import Conv, Dense, Dropout, Flatten, GlobalAveragePool, MaxPool
from tlbench.model import OnnxModel


@dataclass(frozen=True)
class Softsign:
    activation: str = "softsign"


class Network:
    """What a head trained in epochs has after its fit, and its predictions by plain loops."""

    def __init__(self, layers, shape, n_classes, seed=0):
        self.layers, self.shape, self.classes_ = layers, shape, np.arange(n_classes)
        generator = np.random.default_rng(seed)
        size, self.weights_ = shape or (16,), []
        for layer in (*layers, Dense(n_classes, "softmax")):
            match layer:
                case Dense(units, _):
                    self.weights_.append(_draw(generator, size[0], units))
                    size = (units,)
                case Conv(filters, side, padding, _):
                    kernel, bias = _draw(generator, side * side * size[2], filters)
                    self.weights_.append((kernel.reshape(side, side, size[2], filters), bias))
                    lost = 0 if padding == "same" else side - 1
                    size = (size[0] - lost, size[1] - lost, filters)
                case MaxPool(side):
                    size = (size[0] // side, size[1] // side, size[2])
                case GlobalAveragePool():
                    size = (size[2],)
                case Flatten():
                    size = (int(np.prod(size)),)

    def predict_proba(self, rows):
        return np.stack([self._one(row) for row in rows.astype(np.float64)])

    def predict(self, rows):
        return self.predict_proba(rows).argmax(axis=1)

    def _one(self, row):
        value, weights = row.reshape(self.shape or (-1,)), iter(self.weights_)
        for layer in self.layers:
            match layer:
                case Dense():
                    kernel, bias = next(weights)
                    value = _activate(value @ kernel + bias, layer.activation)
                case Conv():
                    value = _activate(_convolve(value, *next(weights), layer), layer.activation)
                case MaxPool(side):
                    height, width = value.shape[0] // side, value.shape[1] // side
                    value = np.stack(
                        [
                            [
                                value[side * y : side * y + side, side * x : side * x + side].max(
                                    axis=(0, 1)
                                )
                                for x in range(width)
                            ]
                            for y in range(height)
                        ]
                    )
                case GlobalAveragePool():
                    value = value.mean(axis=(0, 1))
                case Flatten():
                    value = value.reshape(-1)
        kernel, bias = next(weights)
        powers = np.exp(value @ kernel + bias)
        return powers / powers.sum()


def _draw(generator, n_in, n_out):
    kernel = generator.normal(0, 1 / np.sqrt(n_in), (n_in, n_out)).astype(np.float32)
    return kernel, generator.normal(0, 0.1, n_out).astype(np.float32)


def _activate(value, activation):
    return np.maximum(value, 0) if activation == "relu" else value


def _convolve(value, kernel, bias, layer):
    """One cell after another; "same" puts the odd cell of an even kernel below and to the right."""
    side = layer.side
    if layer.padding == "same":
        before = (side - 1) // 2
        value = np.pad(value, ((before, side - 1 - before),) * 2 + ((0, 0),))
    height, width = value.shape[0] - side + 1, value.shape[1] - side + 1
    found = np.empty((height, width, layer.filters))
    for y in range(height):
        for x in range(width):
            window = value[y : y + side, x : x + side]
            found[y, x] = np.tensordot(window, kernel, axes=3) + bias
    return found


@pytest.fixture
def identity(tmp_path):
    """A backbone whose 16 or 192 features are the image's own values."""

    def make(n_features):
        from onnx import TensorProto, helper

        nodes = [
            helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["cast"], ["flat"]),
            helper.make_node("Div", ["flat", "largest"], ["features"]),
        ]
        graph = helper.make_graph(
            nodes,
            "identity",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", n_features])],
            [onnx.numpy_helper.from_array(np.float32(255), "largest")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        onnx.save(model, tmp_path / "identity.onnx")
        return OnnxModel(tmp_path / "identity.onnx")

    return make


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ((Dense(20), Dropout(0.5)), None),
        ((), None),
        ((Conv(7, 2, activation="linear"), Dropout(0.4), GlobalAveragePool()), (8, 8, 3)),
        ((Conv(5, 3, "same"), Conv(6, 3), MaxPool(2), Flatten(), Dense(9)), (8, 8, 3)),
        ((Conv(5, 2, "same"), MaxPool(3), Flatten()), (8, 8, 3)),
    ],
    ids=["dense", "softmax alone", "conv", "two blocks", "even kernel, odd rest"],
)
def test_a_network_predicts_what_its_layers_say(layers, shape, arithmetic, identity, ask, tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    n_features = 192
    if shape is None:
        shape = (n_features,)
    head = FittedHead(
        name="network", estimator=Network(layers, shape, 4), calibrated=None, n_classes=4
    )
    backbone = identity(n_features)
    onnx.save(
        fuse_graphs(backbone, feature_output(backbone), head, arithmetic), tmp_path / "c.onnx"
    )
    labels, probabilities = ask(OnnxModel(tmp_path / "c.onnx"), images)
    features = images.reshape(12, -1) / np.float32(255)
    np.testing.assert_array_equal(labels, head.predict(features))
    np.testing.assert_allclose(
        probabilities, head.probabilities(features), rtol=0, atol=PROBABILITY_TOLERANCE
    )


@pytest.mark.parametrize("layer", [Softsign(), Dense(8, "softmax")], ids=["plugin", "softmax"])
def test_a_layer_that_is_not_known_is_refused(identity, layer):
    network = Network((), (192,), 4)
    network.layers = (layer,)
    head = FittedHead(name="odd", estimator=network, calibrated=None, n_classes=4)
    backbone = identity(192)
    with pytest.raises(ConfigError, match="Head 'odd' cannot be fused: a layer of Network"):
        fuse_graphs(backbone, feature_output(backbone), head, "float32")
