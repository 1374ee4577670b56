"""Make the fixed batch of a graph dynamic, where the graph allows it."""

import math

import numpy as np
import onnx
from onnx import numpy_helper

from exporters.onnx.ends import ImageInput
from tlbench.model import TensorInfo, infer_shapes

_Lengths = list[int | None]


def free_batch(model: onnx.ModelProto, image: ImageInput) -> None:
    """Make the first axis of the image dynamic, in place, and of all that is computed from it.

    A ``Reshape`` to a constant shape keeps its first axis open, a ``Squeeze`` of all axes names
    them, and a constant that is joined to one image, such as a class token, is repeated for each.
    Whatever else mixes the images of a batch shows in the verification.
    """
    graph = model.graph
    fixed = {name: _lengths(info) for name, info in infer_shapes(model).items()}
    shape = graph.input[0].type.tensor_type.shape
    if image.batch is not None:
        shape.dim[0].dim_param = "N"
        constants = {tensor.name: tensor for tensor in graph.initializer}
        fed, nodes = {image.name}, []
        for node in graph.node:
            if fed.intersection(node.input) and node.op_type not in {"Shape", "Size"}:
                if node.op_type == "Concat" and image.batch == 1:
                    nodes += _repeated(graph, node, image.name, fed, fixed, constants=constants)
                fed.update(filter(None, node.output))
                if node.op_type == "Reshape" and node.input[0] in fed:
                    _free_reshape(graph, node, constants, fixed, image.batch)
                elif node.op_type == "Squeeze" and len(node.input) == 1:
                    _name_squeezed_axes(graph, node, fixed.get(node.input[0]))
            nodes.append(node)
        del graph.node[:]
        graph.node.extend(nodes)
    for value in graph.output:  # whose stated shape is that of the fixed batch
        value.type.tensor_type.ClearField("shape")


def _lengths(info: TensorInfo) -> _Lengths | None:
    if info.shape is None:
        return None
    return [axis if isinstance(axis, int) else None for axis in info.shape]


def _free_reshape(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    constants: dict[str, onnx.TensorProto],
    fixed: dict[str, _Lengths | None],
    batch: int,
) -> None:
    if node.input[1] not in constants:
        return  # a shape that is computed follows the batch by itself
    wanted = [int(one) for one in numpy_helper.to_array(constants[node.input[1]]).reshape(-1)]
    before, after = fixed.get(node.input[0]), fixed.get(node.output[0])
    if not wanted or wanted[0] < 1 or before is None:
        return
    allows_zero = any(one.name == "allowzero" and one.i for one in node.attribute)
    if wanted[0] == batch and before and before[0] == batch and not allows_zero:
        wanted[0] = 0  # the first axis of what is reshaped
    elif wanted[0] % batch == 0:  # several axes become the first
        if -1 in wanted:
            if after is None or None in after:
                return
            wanted = [length or 0 for length in after]
        if math.prod(wanted[1:]) < 1:
            return
        wanted[0] = -1
    else:
        return
    name = f"{node.output[0]}_any_batch"
    graph.initializer.append(numpy_helper.from_array(np.array(wanted, dtype=np.int64), name))
    node.input[1] = name


def _name_squeezed_axes(
    graph: onnx.GraphProto, node: onnx.NodeProto, lengths: _Lengths | None
) -> None:
    if lengths is None:
        return
    axes = [axis for axis, length in enumerate(lengths) if length == 1 and axis > 0]
    name = f"{node.output[0]}_axes"
    graph.initializer.append(numpy_helper.from_array(np.array(axes, dtype=np.int64), name))
    node.input.append(name)


def _repeated(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    image: str,
    fed: set[str],
    fixed: dict[str, _Lengths | None],
    *,
    constants: dict[str, onnx.TensorProto],
) -> list[onnx.NodeProto]:
    """Return the nodes that repeat what a ``Concat`` joins to one image, for each image."""
    if any(one.name == "axis" and one.i == 0 for one in node.attribute):
        return []
    nodes = []
    for position, name in enumerate(node.input):
        lengths = list(constants[name].dims) if name in constants else fixed.get(name)
        if name in fed or not lengths or lengths[0] != 1:
            continue
        prefix = f"{node.output[0]}_{position}"
        ones = numpy_helper.from_array(np.ones(len(lengths) - 1, dtype=np.int64), f"{prefix}_ones")
        graph.initializer.append(ones)
        make = onnx.helper.make_node
        nodes += [
            make("Shape", [image], [f"{prefix}_batch"], start=0, end=1),
            make("Concat", [f"{prefix}_batch", ones.name], [f"{prefix}_shape"], axis=0),
            make("Expand", [name, f"{prefix}_shape"], [f"{prefix}_each"]),
        ]
        node.input[position] = f"{prefix}_each"
    return nodes


def fixed_batch(label: str, operator: str, tensor: str) -> str:
    """Return the words for a batch that cannot be made dynamic."""
    return (
        f"The batch size of {label} is fixed and cannot be made dynamic: {operator}, which "
        f"computes {tensor!r}, takes one size only. Choose a tensor before it with "
        "layer=..., or export the network with a dynamic batch."
    )
