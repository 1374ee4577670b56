"""Turn a Keras network into an ONNX graph that keeps its features channels-first to the end."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exporters.keras.features import Head
from exporters.keras.fold import fold_into_convolutions
from exporters.keras.layout import remove_transposes
from exporters.keras.names import rename
from exporters.keras.padding import protect_padding
from exporters.keras.randomise import leaf_layers
from exporters.keras.session import Frameworks
from exporters.preprocess import check_opset
from tlbench.errors import ConfigError, ExportError

__all__ = ["NETWORK_INPUT", "convert", "supported_opset"]

NETWORK_INPUT = "network_input"
_UNPOOLED = "feature_map"
_MAP_RANK = 4


def supported_opset(frameworks: Frameworks, opset: int | None) -> int:
    """Return the opset to export with; raise ConfigError for one that tf2onnx does not write."""
    opset = check_opset(opset)
    newest = max(frameworks.tf2onnx.constants.OPSET_TO_IR_VERSION)
    if opset > newest:
        msg = (
            f"--opset {opset} is not possible: tf2onnx {frameworks.tf2onnx.__version__} writes "
            f"opsets up to {newest}. Leave out --opset."
        )
        raise ConfigError(msg)
    return opset


def convert(frameworks: Frameworks, head: Head, opset: int) -> onnx.ModelProto:
    """Convert the network and pool its features.

    Returns
    -------
    ModelProto
        Input ``NETWORK_INPUT``: float32, (N, 3, H, W), preprocessed. Outputs ``features``:
        float32, (N, n_features), and ``logits``: float32, (N, n_classes), if *head* has them.

    Raises
    ------
    ExportError
        If the network has operators that tf2onnx cannot translate.
    """
    tf = frameworks.tf
    names = [_UNPOOLED if head.pools else "features", "logits"]

    def network(image: Any) -> dict[str, Any]:  # noqa: ANN401 - a symbolic tensor
        outputs = head.model(image, training=False)
        return dict(zip(names, [outputs] if head.n_classes is None else outputs, strict=False))

    shape = (None, *head.model.input.shape[1:])
    with _convertible_layers(frameworks, head.model), _few_optimisers():
        model: onnx.ModelProto
        model, _ = frameworks.tf2onnx.convert.from_function(
            tf.function(network, autograph=False),
            input_signature=(tf.TensorSpec(shape, tf.float32, name=NETWORK_INPUT),),
            opset=opset,
            inputs_as_nchw=[NETWORK_INPUT],
        )
    unknown = {node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type)}
    if unknown:
        msg = (
            f"tf2onnx {frameworks.tf2onnx.__version__} has no ONNX form of the TensorFlow "
            f"operators {', '.join(sorted(unknown))} of this network. Choose another backbone."
        )
        raise ExportError(msg)
    if head.pools:
        _pool(model.graph, head)
    remove_transposes(model.graph)
    fold_into_convolutions(model.graph)
    protect_padding(model.graph)
    _tidy(model, head)
    return model


@contextlib.contextmanager
def _convertible_layers(frameworks: Frameworks, model: Any) -> Iterator[None]:  # noqa: ANN401
    """Let a few layers compute the same by operators that tf2onnx knows.

    Only while the network is traced: the reference runs what Keras wrote, so that the parity check
    covers these, too.
    """
    keras, tf = frameworks.keras, frameworks.tf
    replaced: list[tuple[Any, str]] = []

    def replace(layer: Any, name: str, function: Callable[..., Any]) -> None:  # noqa: ANN401
        setattr(layer, name, function)
        replaced.append((layer, name))

    for layer in leaf_layers(model):
        if isinstance(layer, keras.layers.Conv2D) and layer.groups > 1:
            # Keras compiles a grouped convolution by XLA on the CPU, which hides it from tf2onnx.
            replace(layer, "convolution_op", _grouped(tf, layer))
        elif isinstance(layer, keras.layers.Dense) and len(layer.input.shape) == _MAP_RANK:
            # A matrix product over channels is a convolution of one pixel, without a new layout.
            replace(layer, "call", _pointwise(tf, layer))
        elif (
            isinstance(layer, keras.layers.Activation) and layer.activation is keras.ops.gelu
        ) or layer.get_config().get("activation") == "gelu":
            replace(layer, "call", _gelu(tf))
    constants = [
        (layer, layer.mean, layer.variance)
        for layer in leaf_layers(model)
        if isinstance(layer, keras.layers.Normalization)
    ]
    for layer, mean, variance in constants:
        # As eager tensors they would become inputs of the graph.
        layer.mean, layer.variance = np.asarray(mean), np.asarray(variance)
    try:
        yield
    finally:
        for layer, name in replaced:
            delattr(layer, name)
        for layer, mean, variance in constants:
            layer.mean, layer.variance = mean, variance


@contextlib.contextmanager
def _few_optimisers() -> Iterator[None]:
    # The one for transposes gives up on some networks, and where maps have one position it gives
    # wrong graphs (ConvNeXt at 32 pixels, tf2onnx 1.17): exporters.keras.layout does its work. The
    # others find nothing here, copy the graph each time, or merge constants in the order of a set,
    # so that two exports are not the same bytes. tf2onnx has no public choice of them.
    from tf2onnx import optimizer

    everything = optimizer._get_optimizers  # noqa: SLF001
    wanted = ("fold_constants", "reshape_optimizer", "remove_identity")
    chosen = {name: everything()[name] for name in wanted}
    optimizer._get_optimizers = lambda: chosen  # noqa: SLF001
    try:
        yield
    finally:
        optimizer._get_optimizers = everything  # noqa: SLF001


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
        # TensorFlow's own uses erfc, which ONNX lacks; this is the form that ONNX Runtime fuses.
        return inputs * (tf.math.erf(inputs * np.float32(np.sqrt(0.5))) + 1.0) * 0.5

    return call


def _pool(graph: onnx.GraphProto, head: Head) -> None:
    """Append what makes ``features`` of the channels-last feature map."""
    if head.pooling == "none":
        operator, values = "Reshape", [-1, int(np.prod(head.feature_shape))]
    else:
        operator, values = {"avg": "ReduceMean", "max": "ReduceMax"}[head.pooling], [1, 2]
    constant = numpy_helper.from_array(np.array(values, dtype=np.int64), f"{operator}_features")
    graph.initializer.append(constant)
    node = helper.make_node(operator, [_UNPOOLED, constant.name], ["features"], "features")
    if head.pooling != "none":
        node.attribute.append(helper.make_attribute("keepdims", 0))
    graph.node.append(node)


def _tidy(model: onnx.ModelProto, head: Head) -> None:
    """Declare the outputs, with N dynamic, and drop what nothing reads."""
    graph = model.graph
    del graph.output[:]
    sizes = {"features": int(np.prod(head.feature_shape)), "logits": head.n_classes}
    for name, size in sizes.items():
        if size is not None:
            graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size]))
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            node.doc_string = ""
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    del graph.value_info[:]
    rename(graph)
    graph.name, graph.doc_string, model.doc_string = "backbone", "", ""
    # tf2onnx declares ai.onnx.ml whether or not anything is in it.
    domains = {node.domain for node in graph.node} | {""}
    opsets = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
