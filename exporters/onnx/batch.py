"""Make the fixed batch of a graph dynamic, where the graph allows it."""

import math

import numpy as np
import onnx
from onnx import numpy_helper

from exporters.onnx.ends import ImageInput
from tlbench.core.errors import ExportError
from tlbench.model import TensorInfo, infer_shapes

_Lengths = list[int | None]


def free_batch(model: onnx.ModelProto, image: ImageInput, label: str) -> None:
    """Make the first axis of the image dynamic, in place, and of all that is computed from it.

    A ``Reshape`` to a constant shape keeps its first axis open, a ``Squeeze`` of all axes names
    them. Whatever else mixes the images of a batch shows in the verification.
    """
    graph = model.graph
    fixed = {name: _lengths(info) for name, info in infer_shapes(model).items()}
    shape = graph.input[0].type.tensor_type.shape
    if image.batch is not None:
        shape.dim[0].dim_param = "N"
        constants = {tensor.name: tensor for tensor in graph.initializer}
        fed = {image.name}
        for node in graph.node:
            if fed.intersection(node.input):
                fed.update(filter(None, node.output))
                if node.op_type == "Reshape" and node.input[0] in fed:
                    _free_reshape(graph, node, constants, fixed, image.batch)
                elif node.op_type == "Squeeze" and len(node.input) == 1:
                    _name_squeezed_axes(graph, node, fixed.get(node.input[0]))
    for value in graph.output:  # whose stated shape is that of the fixed batch
        value.type.tensor_type.ClearField("shape")
    if image.batch is not None:
        _check(model, label)


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


def _check(model: onnx.ModelProto, label: str) -> None:
    """Raise ExportError if a node gives a fixed number of images for any number of them."""
    shapes = {name: _lengths(info) for name, info in infer_shapes(model).items()}

    def is_open(name: str) -> bool:
        lengths = shapes.get(name)
        return bool(lengths) and lengths is not None and lengths[0] is None

    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        data = [name for name in node.input if name and name not in constants]
        lengths = shapes.get(node.output[0])
        if lengths and lengths[0] is not None and data and all(map(is_open, data)):
            if node.op_type in {"Shape", "Size"}:
                continue
            msg = fixed_batch(label, node.op_type, node.output[0])
            raise ExportError(f"{msg} It gives the fixed shape {tuple(lengths)}.")


def fixed_batch(label: str, operator: str, tensor: str) -> str:
    """Return the words for a batch that cannot be made dynamic."""
    return (
        f"The batch size of {label} is fixed, and cannot be made dynamic after {operator}, which "
        f"computes {tensor!r}. Choose a tensor before it with layer=..., or export the network "
        "with a dynamic batch."
    )
