"""Rewrite the network of a frozen graph in operators that tf2onnx knows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.frozen.graphdef import FrozenGraph, data_inputs, flag
from tlbench.core.errors import ExportError

NETWORK_INPUT = "network_input"
_VARIABLES = ("Variable", "VariableV2", "AutoReloadVariable", "VarHandleOp", "TemporaryVariable")
# They hand on their first input, and stop the run or may be fed otherwise.
_SKIPPED = ("CheckNumerics", "PlaceholderWithDefault")
_OLD_NORM = "BatchNormWithGlobalNormalization"


def network_graph(
    tf: Any,  # noqa: ANN401 - a module without stubs
    graph: FrozenGraph,
    *,
    cut: str,
    size: tuple[int, int],
    outputs: Sequence[str],
) -> tuple[Any, list[str]]:
    """Return the part of the graph from the tensor *cut* to *outputs*, as a GraphDef of its own.

    Returns
    -------
    GraphDef
        Input ``NETWORK_INPUT``: float32, (1, height, width, 3). Without control edges, variables,
        `CheckNumerics` and `BatchNormWithGlobalNormalization`.
    list of str
        The outputs' names in it.

    Raises
    ------
    ExportError
        If the graph has variables, needs other inputs, or nothing of it follows *cut*.
    """
    nodes = graph.needed(outputs, stop=(cut,))
    _refuse(graph, nodes, cut, outputs)
    same = {cut: NETWORK_INPUT}
    network = tf.compat.v1.GraphDef()
    network.versions.CopyFrom(graph.proto.versions)
    placeholder = network.node.add(name=NETWORK_INPUT, op="Placeholder")
    placeholder.attr["dtype"].type = tf.float32.as_datatype_enum
    for edge in (1, *size, 3):
        placeholder.attr["shape"].shape.dim.add(size=edge)
    for node in nodes:
        inputs = [same.get(name, name) for name in data_inputs(node)]
        if node.op in _SKIPPED:
            same[node.name] = inputs[0]
        elif node.op == _OLD_NORM:
            _add_norm(tf, graph, network, node, inputs[0])
        else:
            copy = network.node.add()
            copy.CopyFrom(node)
            del copy.input[:]
            copy.input.extend(inputs)
            copy.attr.pop("_class", None)  # names nodes that may be gone
            copy.device = ""
    return network, [same.get(name, name) for name in outputs]


def _refuse(graph: FrozenGraph, nodes: list[Any], cut: str, outputs: Sequence[str]) -> None:
    if NETWORK_INPUT in graph.nodes:
        raise ExportError(f"{graph.label} has a node {NETWORK_INPUT!r}, a name that tlbench needs.")
    variables = [node.name for node in nodes if node.op in _VARIABLES]
    if variables:
        msg = (
            f"{graph.label} is not frozen: {len(variables)} variables are without values, the "
            f"first {variables[0]}. Freeze the graph with its checkpoint first."
        )
        raise ExportError(msg)
    others = [node.name for node in nodes if node.op == "Placeholder"]
    if others:
        msg = f"{graph.label} needs more inputs than the image: {', '.join(others)}."
        raise ExportError(msg)
    reached = {name for node in nodes for name in data_inputs(node)}
    if cut not in reached:
        msg = (
            f"{', '.join(outputs)} of {graph.label} is a part of the preprocessing: the network "
            f"begins behind {cut}. Name a later tensor with --output."
        )
        raise ExportError(msg)


def _add_norm(
    tf: Any,  # noqa: ANN401
    graph: FrozenGraph,
    network: Any,  # noqa: ANN401
    node: Any,  # noqa: ANN401
    source: str,
) -> None:
    """Write the old normalisation as a product and a sum, which fold into the convolution before.

    It computes ``(t - m) / sqrt(v + epsilon) * gamma + beta``, and leaves gamma out unless
    ``scale_after_normalization``. The constants are computed in double precision and rounded once.
    """
    values = [graph.constant(tf, name) for name in list(data_inputs(node))[1:]]
    if any(value is None for value in values):
        msg = (
            f"{graph.label} is not frozen: the parameters of {node.name} ({node.op}) are no "
            "constants. Freeze the graph with its checkpoint first."
        )
        raise ExportError(msg)
    mean, variance, beta, gamma = (np.asarray(value, dtype=np.float64) for value in values)
    scale = 1 / np.sqrt(variance + node.attr["variance_epsilon"].f)
    if flag(node, "scale_after_normalization"):
        scale = scale * gamma
    constants = {"scale": scale, "offset": beta - mean * scale}
    for name, value in constants.items():
        _add_constant(tf, network, f"{node.name}/{name}_folded", value.astype(np.float32))
    product = network.node.add(name=f"{node.name}/scaled_folded", op="Mul")
    product.input.extend([source, f"{node.name}/scale_folded"])
    total = network.node.add(name=node.name, op="Add")
    total.input.extend([product.name, f"{node.name}/offset_folded"])
    for added in (product, total):
        added.attr["T"].type = tf.float32.as_datatype_enum


def _add_constant(tf: Any, network: Any, name: str, value: Any) -> None:  # noqa: ANN401
    node = network.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
