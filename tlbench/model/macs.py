"""Count the multiply-accumulate operations of a graph from its shapes."""

import math
from typing import TYPE_CHECKING

from tlbench.core.errors import ModelError
from tlbench.model.file import OnnxModel

if TYPE_CHECKING:
    import onnx


def count_macs(model: OnnxModel, size: tuple[int, int] | None = None) -> int:
    """Return the multiply-accumulates of convolutions and matrix products for one image.

    A graph with a fixed batch is counted as it is, and the sum divided by the batch.

    Parameters
    ----------
    size : tuple of int or None
        Height and width of the raw image, where the graph leaves them open; by default the card's
        input size. What the backbone costs does not depend on it where the graph resizes.

    Raises
    ------
    ModelError
        If the shapes of such an operator cannot be inferred.

    Notes
    -----
    Counted are the top level's Conv, Gemm and MatMul; neither quantised operators, transposed
    convolutions, nor the branches of ``If`` and the bodies of loops.
    """
    import onnx

    size = size or (model.card.input_size if model.card else None)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    n_images = _fix_input(proto, size)
    try:
        graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(f"The shapes of {model.path} cannot be inferred: {error}") from error
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        shapes[value.name] = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
    return sum(_node_macs(node, shapes, model) for node in graph.node) // n_images


def _fix_input(proto: "onnx.ModelProto", size: tuple[int, int] | None) -> int:
    """Set an open batch to one and open spatial axes to *size*; return the batch.

    The outputs lose their shapes, which would be stale.
    """
    constants = {tensor.name for tensor in proto.graph.initializer}
    first = next(value for value in proto.graph.input if value.name not in constants)
    axes = first.type.tensor_type.shape.dim
    n_images = 1
    if axes and axes[0].dim_value > 0:
        n_images = axes[0].dim_value
    elif axes:
        axes[0].dim_value = 1
    open_axes = [axis for axis in axes[1:] if not axis.HasField("dim_value")]
    for axis, value in zip(open_axes, size or (), strict=False):
        axis.dim_value = value
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    return n_images


def _node_macs(node: "onnx.NodeProto", shapes: dict[str, tuple[int, ...]], model: OnnxModel) -> int:
    if node.op_type not in {"Conv", "Gemm", "MatMul"}:
        return 0
    # A damaged graph may lack even the weight.
    names = (*node.output[:1], *node.input[1:2])
    output, weight = (shapes.get(name, ()) for name in names) if len(names) > 1 else ((), ())
    if not output or not weight or 0 in (*output, *weight):
        msg = f"The shape of {node.op_type} {node.name!r} in {model.path} cannot be inferred."
        raise ModelError(msg)
    if node.op_type == "Conv":  # weight: (out, in / groups, kernel...)
        return math.prod(output) * math.prod(weight[1:])
    if node.op_type == "Gemm":
        is_transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return math.prod(output) * weight[1 if is_transposed else 0]
    return math.prod(output) * weight[-2 if len(weight) > 1 else 0]
