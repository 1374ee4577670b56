"""Turn a Keras network into an ONNX graph that keeps its features channels-first to the end."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx

from exporters.common.finish import UNPOOLED, GraphOutputs, few_optimisers, finish
from exporters.common.session import Frameworks
from exporters.keras.network import leaf_layers
from tlbench.model import NETWORK_INPUT

_MAP_RANK = 4


def convert(
    frameworks: Frameworks,
    keras_model: Any,  # noqa: ANN401 - Keras has no stubs
    outputs: GraphOutputs,
    opset: int,
) -> onnx.ModelProto:
    """Convert a Keras model and pool its features; its outputs are the features and the logits.

    The graph maps ``NETWORK_INPUT``, float32 (N, 3, H, W), to ``features`` and ``logits``.
    """
    tf = frameworks.tf
    names = [UNPOOLED if outputs.pools else "features", "logits"]

    def network(image: Any) -> dict[str, Any]:  # noqa: ANN401 - a symbolic tensor
        found = keras_model(image, training=False)
        return dict(zip(names, [found] if outputs.n_classes is None else found, strict=False))

    shape = (None, *keras_model.input.shape[1:])
    with _convertible_layers(frameworks, keras_model), few_optimisers():
        model: onnx.ModelProto
        model, _ = frameworks.tf2onnx.convert.from_function(
            tf.function(network, autograph=False),
            input_signature=(tf.TensorSpec(shape, tf.float32, name=NETWORK_INPUT),),
            opset=opset,
            inputs_as_nchw=[NETWORK_INPUT],
        )
    finish(frameworks, model, outputs)
    return model


@contextlib.contextmanager
def _convertible_layers(frameworks: Frameworks, model: Any) -> Iterator[None]:  # noqa: ANN401
    """Make a few layers compute the same result with operators that tf2onnx knows.

    The reference runs Keras's own code, so that the parity check covers these layers, too.
    """
    keras, tf = frameworks.keras, frameworks.tf
    with contextlib.ExitStack() as stack:

        def replace(layer: Any, name: str, function: Callable[..., Any]) -> None:  # noqa: ANN401
            setattr(layer, name, function)
            stack.callback(delattr, layer, name)

        for layer in leaf_layers(model):
            if isinstance(layer, keras.layers.Conv2D) and layer.groups > 1:
                # On the CPU Keras compiles these by XLA, which hides them from tf2onnx.
                replace(layer, "convolution_op", _grouped(tf, layer))
            elif isinstance(layer, keras.layers.Dense) and len(layer.input.shape) == _MAP_RANK:
                # A matrix product over channels is a convolution of one pixel.
                replace(layer, "call", _pointwise(tf, layer))
            elif (
                isinstance(layer, keras.layers.Activation) and layer.activation is keras.ops.gelu
            ) or layer.get_config().get("activation") == "gelu":
                replace(layer, "call", _gelu(tf))
            elif isinstance(layer, keras.layers.Normalization):
                # As eager tensors they would become inputs of the graph.
                for name in ("mean", "variance"):
                    stack.callback(setattr, layer, name, getattr(layer, name))
                    setattr(layer, name, np.asarray(getattr(layer, name)))
        yield


def _grouped(tf: Any, layer: Any) -> Callable[..., Any]:  # noqa: ANN401 - modules without stubs
    def convolution_op(inputs: Any, kernel: Any) -> Any:  # noqa: ANN401
        return tf.nn.convolution(
            inputs,
            kernel,
            strides=list(layer.strides),
            padding=layer.padding.upper(),
            dilations=list(layer.dilation_rate),
        )

    return convolution_op


def _pointwise(tf: Any, layer: Any) -> Callable[..., Any]:  # noqa: ANN401
    def call(inputs: Any, training: bool | None = None) -> Any:  # noqa: ANN401, ARG001, FBT001
        kernel = tf.convert_to_tensor(layer.kernel)[tf.newaxis, tf.newaxis]
        outputs = tf.nn.bias_add(tf.nn.conv2d(inputs, kernel, 1, "VALID"), layer.bias)
        return outputs if layer.activation is None else layer.activation(outputs)

    return call


def _gelu(tf: Any) -> Callable[..., Any]:  # noqa: ANN401
    def call(inputs: Any) -> Any:  # noqa: ANN401
        # TensorFlow's own form uses erfc, which ONNX lacks; ONNX Runtime fuses this one.
        return inputs * (tf.math.erf(inputs * np.float32(np.sqrt(0.5))) + 1.0) * 0.5

    return call
