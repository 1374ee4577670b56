"""An exported file as two graphs: the preprocessing, which stays, and the network behind it."""

from dataclasses import dataclass

import onnx

from tlbench.core.errors import ExportError
from tlbench.model import OnnxModel

# Of `exporters.common.preprocess`: these begin the chain, and its constants carry the prefix.
_BEGINNING = ("Transpose", "Cast", "Resize")
_CONSTANT_PREFIX = "preprocess_"


@dataclass(frozen=True, slots=True)
class Parts:
    """Two models that meet in the tensor *network_input*, float32 (N, 3, height, width)."""

    preprocessing: onnx.ModelProto
    network: onnx.ModelProto
    network_input: str


def split(source: OnnxModel) -> Parts:
    """Cut an exported file behind its preprocessing.

    Raises
    ------
    ExportError
        If the file does not begin as `exporters.common.preprocess.prepend_preprocessing` leaves it.
    """
    graph = source.proto.graph
    length = _preprocessing_length(graph)
    card = source.card
    if card is None or not length:
        msg = (
            f"{source.path} was not exported by tlbench: where its preprocessing ends is unknown. "
            "Export a backbone by its name, with --precision."
        )
        raise ExportError(msg)
    network_input = graph.node[length - 1].output[0]
    shape: list[str | int] = ["N", 3, *card.input_size]
    between = onnx.helper.make_tensor_value_info(network_input, onnx.TensorProto.FLOAT, shape)
    nodes = list(graph.node)
    return Parts(
        _with_graph(source.proto, nodes[:length], list(graph.input), [between]),
        _with_graph(source.proto, nodes[length:], [between], list(graph.output)),
        network_input,
    )


def _preprocessing_length(graph: onnx.GraphProto) -> int:
    """Return how many nodes at the beginning are the preprocessing; 0 if it is not ours."""
    tensor, length = graph.input[0].name, 0
    for node in graph.node:
        is_first = length < len(_BEGINNING)
        follows = bool(node.input) and node.input[0] == tensor
        if is_first and not (follows and node.op_type == _BEGINNING[length]):
            return 0
        constants = [name for name in node.input[1:] if name.startswith(_CONSTANT_PREFIX)]
        if not is_first and not (follows and constants):
            break
        tensor, length = node.output[0], length + 1
    return length


def join(parts: Parts, network: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of raw images: the preprocessing of *parts*, then *network*."""
    first = parts.preprocessing.graph
    joined = onnx.ModelProto()
    joined.CopyFrom(network)
    graph = joined.graph
    nodes = [*first.node, *graph.node]
    for field in (graph.node, graph.input):
        del field[:]
    graph.node.extend(nodes)
    graph.input.extend(first.input)
    graph.initializer.extend(first.initializer)
    return joined


def _with_graph(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    """Return a model of some of the nodes, with the constants that they read."""
    read = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in read]
    graph = onnx.helper.make_graph(nodes, model.graph.name, inputs, outputs, constants)
    return onnx.helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version
    )
