"""The tensors of a graph that may become features, for people to choose one."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.core.errors import ModelError
from tlbench.model.file import TensorInfo, parse_model, tensor_info

if TYPE_CHECKING:
    import onnx

_FLOATS = {"float16", "float32", "float64", "bfloat16"}
_RANKS = {2, 3, 4}  # (N, C), (N, tokens, C) and maps


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """A tensor inside a graph, and the operator that computes it."""

    operator: str
    info: TensorInfo


def candidate_tensors(path: Path) -> tuple[GraphTensor, ...]:
    """Return the tensors of an ONNX file that may become features, in the order of the graph.

    They are floating-point, computed from an input, and vectors or maps as far as shape inference
    tells. Weights in other files are not read.

    Raises
    ------
    ModelError
        If the file cannot be read or is not an ONNX model.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Give the path of an .onnx file."
        raise ModelError(msg) from error
    proto = parse_model(path, content)
    if proto.functions:
        from onnx.inliner import inline_local_functions

        proto = inline_local_functions(proto)
    shapes = infer_shapes(proto)
    fed = _fed_by_inputs(proto.graph)
    found = []
    for node in proto.graph.node:
        for name in node.output:
            info = shapes.get(name, TensorInfo(name, "unknown", None))
            is_known = info.shape is not None
            fits = info.shape is None or len(info.shape) in _RANKS
            if name in fed and fits and (info.dtype in _FLOATS or not is_known):
                found.append(GraphTensor(node.op_type, info))
    return tuple(found)


def infer_shapes(proto: "onnx.ModelProto") -> dict[str, TensorInfo]:
    """Return type and shape of each tensor, as far as ONNX's shape inference tells."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        inferred = proto  # what the file itself states
    graph = inferred.graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: _without_made_up_names(tensor_info(value)) for value in values}


def _without_made_up_names(info: TensorInfo) -> TensorInfo:
    """Return the same, with axes open that only shape inference has named."""
    if info.shape is None:
        return info
    made_up = "unk__"
    shape = tuple(None if str(axis).startswith(made_up) else axis for axis in info.shape)
    return replace(info, shape=shape)


def _fed_by_inputs(graph: "onnx.GraphProto") -> set[str]:
    constants = {tensor.name for tensor in graph.initializer}
    fed = {value.name for value in graph.input} - constants
    for node in graph.node:
        if node.op_type not in {"Shape", "Size"} and fed.intersection(node.input):
            fed.update(filter(None, node.output))
    return fed
