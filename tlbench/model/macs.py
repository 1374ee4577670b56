"""The arithmetic of one image in a network: multiply-accumulates, counted on the graph."""

import math
from typing import TYPE_CHECKING, Final

from tlbench.core.errors import ModelError, one_line
from tlbench.model.file import OnnxModel, messages

if TYPE_CHECKING:
    import onnx

_Shapes = dict[str, tuple[int, ...]]

# Operators with the arithmetic, and the output's shape, of a plain one; and which of their inputs
# are the plain one's.
_PLAIN: Final[dict[str, tuple[str, slice]]] = {
    **dict.fromkeys(("ConvInteger", "FusedConv"), ("Conv", slice(2))),
    "QLinearConv": ("Conv", slice(0, 4, 3)),
    **dict.fromkeys(
        ("DynamicQuantizeMatMul", "FusedMatMul", "MatMulInteger", "MatMulIntegerToFloat"),
        ("MatMul", slice(2)),
    ),
    "QLinearMatMul": ("MatMul", slice(0, 4, 3)),
    "FusedGemm": ("Gemm", slice(2)),
    "QGemm": ("Gemm", slice(0, 4, 3)),
    # without a product: only their shapes matter
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), ("Add", slice(0, 4, 3))),
    "QLinearAveragePool": ("AveragePool", slice(1)),
    "QLinearConcat": ("Concat", slice(2, None, 3)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", slice(1)),
    **dict.fromkeys(
        (
            *("BiasGelu", "DequantizeLinear", "FastGelu", "Gelu", "QLinearLeakyRelu"),
            *("QLinearSigmoid", "QLinearSoftmax", "QuantizeLinear", "QuickGelu"),
            *("SimplifiedLayerNormalization", "SkipLayerNormalization"),
            "SkipSimplifiedLayerNormalization",
        ),
        ("Identity", slice(1)),
    ),
}
_COUNTED: Final = {"Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul"}
_STANDARD: Final = {"", "ai.onnx", "ai.onnx.ml"}
# Operators of the standard with products that are not counted; all its others have none.
_NOT_COUNTED: Final = {
    *("Attention", "CausalConvWithState", "DFT", "DeformConv", "FlexAttention", "GRU", "LSTM"),
    *("LinearAttention", "LinearClassifier", "LinearRegressor", "RNN", "STFT", "SVMClassifier"),
    *("SVMRegressor", "SwiGLU"),
}
# Attributes of ONNX Runtime's own operators with which they take other shapes than the plain one.
_OTHER_LAYOUT: Final = {"channels_last", "transA", "transB", "transBatchA", "transBatchB"}
_GEMM: Final = {"FusedGemm", "QGemm"}  # where the two transpositions mean what they do in Gemm


def count_macs(model: OnnxModel, size: tuple[int, int] | None = None) -> int:
    """Return the multiply-accumulates of convolutions and matrix products for one image.

    Quantised and transposed forms, ``Einsum``, local functions, and branches of ``If`` and bodies
    of ``Scan`` are counted, too. Zero means that the network has none of them.

    Parameters
    ----------
    size : tuple of int or None
        The raw image's height and width where the graph leaves them open; None for the input size
        of the card.

    Raises
    ------
    ModelError
        If the number is not known: a shape cannot be inferred, an operator has arithmetic that is
        not counted or is not of the ONNX standard, or the number depends on the data.
    """
    import onnx
    import onnx.inliner

    size = size or (model.card.input_size if model.card else None)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    try:
        if proto.functions:
            proto = onnx.inliner.inline_local_functions(proto)
        n_images = _fix_input(proto, size)
        _make_plain(proto.graph, model)
        graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        msg = f"The shapes in {model.path} cannot be inferred: {one_line(error)}"
        raise ModelError(msg) from error
    return _graph_macs(graph, {}, model) // n_images


def _fix_input(proto: "onnx.ModelProto", size: tuple[int, int] | None) -> int:
    """Set an open batch to one and open spatial axes to *size*; return the batch size."""
    graph = proto.graph
    for value in (*graph.input, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_value < 0:  # open, as for ONNX Runtime
                axis.ClearField("dim_value")
    constants = {tensor.name for tensor in graph.initializer}
    first = next(value for value in graph.input if value.name not in constants)
    axes = first.type.tensor_type.shape.dim
    n_images = max(axes[0].dim_value, 1) if axes else 1
    if axes:
        name = axes[0].dim_param
        axes[0].dim_value = n_images
        for value in graph.value_info if name else ():
            for axis in value.type.tensor_type.shape.dim:
                if axis.dim_param == name:
                    axis.dim_value = n_images
    open_axes = (axis for axis in axes[1:] if not axis.HasField("dim_value"))
    for axis, value in zip(open_axes, size or (), strict=False):
        axis.dim_value = value
    for output in graph.output:  # their shapes would be stale
        output.ClearField("type")
    return n_images


def _make_plain(graph: "onnx.GraphProto", model: OnnxModel) -> None:
    """Replace, in place, operators of `_PLAIN`; raise ModelError for one that is not known."""
    replaced: set[str] = set()
    for node in graph.node:
        own = node.domain not in _STANDARD
        other = any(one.name in _OTHER_LAYOUT and one.i for one in node.attribute)
        if own and other and node.op_type not in _GEMM:
            raise _not_counted(node, model)
        is_plain = node.op_type in _PLAIN and (not own or node.domain == "com.microsoft")
        if is_plain:
            node.op_type, inputs = _PLAIN[node.op_type][0], node.input[_PLAIN[node.op_type][1]]
            node.domain = ""
            node.input[:] = inputs
            replaced.update(node.output)
        elif own or node.op_type in _NOT_COUNTED or not _is_standard(node):
            raise _not_counted(node, model)
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                _make_plain(body, model)
    # The types of what was replaced differ, and would contradict the inferred ones.
    kept = [value for value in graph.value_info if value.name not in replaced]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _is_standard(node: "onnx.NodeProto") -> bool:
    import onnx

    domain = "" if node.domain == "ai.onnx" else node.domain
    return bool(onnx.defs.has(node.op_type, domain))


def _not_counted(node: "onnx.NodeProto", model: OnnxModel) -> ModelError:
    where = f" of {node.domain}" if node.domain else ""
    return ModelError(f"The arithmetic of {node.op_type}{where} in {model.path} is not counted.")


def _graph_macs(graph: "onnx.GraphProto", outer: _Shapes, model: OnnxModel) -> int:
    shapes = dict(outer)
    shapes.update((tensor.name, tuple(tensor.dims)) for tensor in graph.initializer)
    for value in (*graph.value_info, *graph.input, *graph.output):
        shapes[value.name] = tuple(
            max(axis.dim_value, 0) for axis in value.type.tensor_type.shape.dim
        )
    return sum(_node_macs(node, shapes, model) for node in graph.node)


def _node_macs(node: "onnx.NodeProto", shapes: _Shapes, model: OnnxModel) -> int:
    bodies = [one.g for one in node.attribute if one.HasField("g")]
    if bodies:
        counts = [_graph_macs(body, shapes, model) for body in bodies]
        return _body_macs(node, counts, shapes, model)
    if node.op_type not in _COUNTED:
        return 0
    if node.op_type == "Einsum":
        return _einsum_macs(node, shapes, model)
    # each input of a transposed convolution is multiplied with all of its kernels
    other = node.input[:1] if node.op_type == "ConvTranspose" else node.output[:1]
    # a damaged graph may lack even the weight
    known = [shapes.get(name, ()) for name in (*other, *node.input[1:2])]
    if len(known) < 2 or any(not shape or 0 in shape for shape in known):  # noqa: PLR2004
        raise _unknown_shape(node, model)
    elements, weight = known
    if node.op_type in {"Conv", "ConvTranspose"}:  # weight: (out, in / groups, kernel...)
        return math.prod(elements) * math.prod(weight[1:])
    if node.op_type == "Gemm":
        is_transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return math.prod(elements) * weight[1 if is_transposed else 0]
    return math.prod(elements) * weight[-2 if len(weight) > 1 else 0]


def _einsum_macs(node: "onnx.NodeProto", shapes: _Shapes, model: OnnxModel) -> int:
    """Return the product of all axes: that many terms are multiplied and added."""
    equation = next((a.s.decode() for a in node.attribute if a.name == "equation"), "")
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    known = [shapes.get(name, ()) for name in node.input]
    if len(terms) == 1:
        return 0
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, known, strict=False):
        if len(term) != len(shape) or 0 in shape:  # an ellipsis, too
            raise _unknown_shape(node, model)
        sizes.update(zip(term, shape, strict=True))
    if len(terms) != 2 or len(known) != 2:  # noqa: PLR2004 - the order of more products is open
        raise _not_counted(node, model)
    return math.prod(sizes.values())


def _body_macs(node: "onnx.NodeProto", counts: list[int], shapes: _Shapes, model: OnnxModel) -> int:
    """Return the count of a node with sub-graphs, from those of the sub-graphs."""
    if not any(counts):
        return 0
    if node.op_type == "If" and len(set(counts)) == 1:
        return counts[0]
    if node.op_type == "Scan":
        values = {one.name: one for one in node.attribute}
        n_scanned = values["num_scan_inputs"].i if "num_scan_inputs" in values else 1
        axis = next(iter(values["scan_input_axes"].ints), 0) if "scan_input_axes" in values else 0
        scanned = shapes.get(node.input[-n_scanned], ())
        if axis < len(scanned) and scanned[axis]:
            return scanned[axis] * counts[0]
    msg = f"How often {model.path} computes the products inside {node.op_type} depends on the data."
    raise ModelError(msg)


def _unknown_shape(node: "onnx.NodeProto", model: OnnxModel) -> ModelError:
    name = f"{node.op_type} {node.name!r}"
    return ModelError(f"A shape of {name} in {model.path} cannot be inferred.")


def is_full_precision(model: OnnxModel) -> bool:
    """Return whether no constant of the graph is of a type that is smaller than float32.

    The products of another graph, quantised or in half precision, may be faster than in float32.
    """
    import onnx

    kinds = onnx.TensorProto
    large = {kinds.FLOAT, kinds.DOUBLE, kinds.INT32, kinds.INT64, kinds.BOOL, kinds.STRING}
    tensors = (one for one in messages(model.proto) if isinstance(one, onnx.TensorProto))
    return all(tensor.data_type in large for tensor in tensors)
