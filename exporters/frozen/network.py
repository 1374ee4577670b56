"""Cut the network out of a frozen graph: operators that tf2onnx knows, and batches of any size."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.frozen.graph import FrozenGraph, data_inputs, flag, imported
from tlbench.core.errors import ExportError
from tlbench.model import NETWORK_INPUT

_VARIABLES = ("Variable", "VariableV2", "AutoReloadVariable", "VarHandleOp", "TemporaryVariable")
# They pass on their first input; one may stop the run, the other may be fed another value.
_SKIPPED = ("CheckNumerics", "PlaceholderWithDefault")
_OLD_NORM = "BatchNormWithGlobalNormalization"
_Shape = tuple[int | None, ...] | None


def network_graph(
    graph: FrozenGraph, *, cut: str, size: tuple[int, int], outputs: Sequence[str]
) -> tuple[Any, list[str]]:
    """Return a GraphDef from the tensor *cut* to *outputs*, and the outputs' names in it.

    Its input is ``NETWORK_INPUT``: float32, (1, height, width, 3). It has no control edges.
    """
    tf = graph.tf
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
            _add_norm(graph, network, node, inputs[0])
        else:
            copy = network.node.add()
            copy.CopyFrom(node)
            copy.input[:] = inputs
            copy.attr.pop("_class", None)  # names nodes that may be gone
            copy.device = ""
    return network, [same.get(name, name) for name in outputs]


def _refuse(graph: FrozenGraph, nodes: list[Any], cut: str, outputs: Sequence[str]) -> None:
    if NETWORK_INPUT in graph.nodes:
        msg = f"{graph.label} has a node named {NETWORK_INPUT!r}, a name that tlbench needs itself."
        raise ExportError(msg)
    variables = [node.name for node in nodes if node.op in _VARIABLES]
    if variables:
        msg = (
            f"{graph.label} is not frozen: {len(variables)} variables have no values (first: "
            f"{variables[0]}). Freeze the graph with its checkpoint first."
        )
        raise ExportError(msg)
    others = [node.name for node in nodes if node.op == "Placeholder"]
    if others:
        msg = f"{graph.label} needs other inputs than the image: {', '.join(others)}."
        raise ExportError(msg)
    if not any(cut in data_inputs(node) for node in nodes):
        msg = (
            f"{', '.join(outputs)} of {graph.label} belongs to the preprocessing: the network "
            f"begins after {cut}. Name a later tensor as the output."
        )
        raise ExportError(msg)


def _add_norm(graph: FrozenGraph, network: Any, node: Any, source: str) -> None:  # noqa: ANN401
    """Write the old normalisation as a product and a sum, to be folded into the convolution.

    It is ``(t - m) / sqrt(v + epsilon) * gamma + beta``, with gamma only if
    ``scale_after_normalization``. Constants are computed in double precision and rounded once.
    """
    values = [graph.constant(name) for name in list(data_inputs(node))[1:]]
    if any(value is None for value in values):
        msg = (
            f"{graph.label} is not frozen: the parameters of {node.name} ({node.op}) are not "
            "constant. Freeze the graph with its checkpoint first."
        )
        raise ExportError(msg)
    mean, variance, beta, gamma = (np.asarray(value, dtype=np.float64) for value in values)
    scale = 1 / np.sqrt(variance + node.attr["variance_epsilon"].f)
    if flag(node, "scale_after_normalization"):
        scale = scale * gamma
    for name, value in {"scale": scale, "offset": beta - mean * scale}.items():
        _add_constant(graph.tf, network, f"{node.name}/{name}_folded", value.astype(np.float32))
    product = network.node.add(name=f"{node.name}/scaled_folded", op="Mul")
    product.input.extend([source, f"{node.name}/scale_folded"])
    total = network.node.add(name=node.name, op="Add")
    total.input.extend([product.name, f"{node.name}/offset_folded"])
    for added in (product, total):
        added.attr["T"].type = graph.tf.float32.as_datatype_enum


def _add_constant(tf: Any, network: Any, name: str, value: Any) -> None:  # noqa: ANN401
    node = network.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


def free_batch(
    tf: Any,  # noqa: ANN401 - a module
    network: Any,  # noqa: ANN401 - a GraphDef
    outputs: Sequence[str],
    label: str,
) -> list[tuple[int, ...]]:
    """Make the batch of one dynamic, in place; return the shape of each output for one image.

    A ``Reshape`` to a constant shape gets -1 for its first 1, a ``Squeeze`` keeps the first axis.
    Whatever else mixes the images of a batch shows in the inferred shapes or in the verification.
    """
    of_one = _shapes(tf, network, label)
    batched = {NETWORK_INPUT}
    for node in list(network.node):
        inputs = list(data_inputs(node))
        if not batched.intersection(inputs):
            continue
        batched.update([node.name, *(f"{node.name}:{i}" for i in range(1, 16))])
        if node.op == "Reshape":
            _free_reshape(tf, network, node, of_one[node.name])
        elif node.op == "Squeeze":
            _keep_first_axis(node, of_one[inputs[0]])
    network.node[0].attr["shape"].shape.dim[0].size = -1
    shapes = _shapes(tf, network, label)
    found = []
    for name in outputs:
        shape = shapes[name]
        if shape is not None and shape and shape[0] is not None:
            raise _fixed(label, network, shapes, name)
        if shape is None or not shape or None in shape[1:]:
            msg = f"{name} of {label} has shape {shape}, which depends on the size of the image."
            raise ExportError(msg)
        found.append(tuple(edge for edge in shape[1:] if edge is not None))
    return found


def _shapes(tf: Any, network: Any, label: str) -> dict[str, _Shape]:  # noqa: ANN401
    """Return the shapes that TensorFlow infers; None for an unknown number of axes."""
    shapes: dict[str, _Shape] = {}
    for operation in imported(tf, network, label).get_operations():
        for i, tensor in enumerate(operation.outputs):
            known = tensor.shape.rank is not None
            shape = tuple(tensor.shape.as_list()) if known else None
            shapes[f"{operation.name}:{i}" if i else operation.name] = shape
    return shapes


def _free_reshape(tf: Any, network: Any, node: Any, shape: _Shape) -> None:  # noqa: ANN401
    # Only where TensorFlow knows the result: a shape that is computed follows the batch by itself.
    if shape is None or not shape or shape[0] != 1 or None in shape:
        return
    node.input[1] = f"{node.name}/any_batch"
    _add_constant(tf, network, node.input[1], np.array([-1, *shape[1:]], dtype=np.int32))
    node.attr["Tshape"].type = tf.int32.as_datatype_enum


def _keep_first_axis(node: Any, shape: _Shape) -> None:  # noqa: ANN401
    if shape is None:
        return
    axes = [axis % len(shape) for axis in node.attr["squeeze_dims"].list.i]
    axes = [axis for axis in axes or range(len(shape)) if shape[axis] == 1 and axis > 0]
    del node.attr["squeeze_dims"].list.i[:]
    node.attr["squeeze_dims"].list.i.extend(axes)
    if not axes:  # an empty list would mean all
        node.op = "Identity"
        del node.attr["squeeze_dims"]


def _fixed(label: str, network: Any, shapes: dict[str, _Shape], output: str) -> ExportError:  # noqa: ANN401
    def is_open(name: str) -> bool:
        shape = shapes.get(name)
        return shape is not None and len(shape) > 0 and shape[0] is None

    for node in network.node:
        shape = shapes.get(node.name)
        if shape and shape[0] is not None and any(is_open(name) for name in data_inputs(node)):
            return ExportError(
                f"The batch size cannot be made dynamic in {label}: {node.name} ({node.op}) "
                f"gives the fixed shape {shape}. Name a tensor before it as the output."
            )
    return ExportError(f"{output} of {label} has the fixed shape {shapes[output]}.")
