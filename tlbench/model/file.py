"""The ONNX file on disk: identity, signature, card, and what one image costs in it."""

import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.core.errors import ModelError, one_line
from tlbench.core.hashing import sha256_file
from tlbench.model.card import CARD_KEY, ModelCard, decode_card

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of a model; *dtype* is numpy's name, an open axis is a name or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class OnnxModel:
    """An ONNX file on disk: its identity, signature and card. It never runs the network.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ModelError
        If there is no such file, or it is not an ONNX model with at least one input and one output.
    """

    def __init__(self, path: Path) -> None:
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for impossible names
            msg = (
                f"No model at {path}. Give the path of an .onnx file, or the name of a backbone "
                "(`tlbench list backbones` shows them)."
            )
            raise ModelError(msg)
        self.path = path
        graph = self.proto.graph
        constants = {tensor.name for tensor in graph.initializer}
        self.inputs = tuple(
            _tensor_info(value) for value in graph.input if value.name not in constants
        )
        self.outputs = tuple(_tensor_info(value) for value in graph.output)
        if not self.inputs or not self.outputs:
            msg = (
                f"{path} is not a usable ONNX model: it has {len(self.inputs)} inputs and "
                f"{len(self.outputs)} outputs, and needs at least one of each."
            )
            raise ModelError(msg)

    @cached_property
    def proto(self) -> "onnx.ModelProto":
        """The parsed file, weights included."""
        import onnx
        from google.protobuf.message import DecodeError

        try:
            # By default the format would be guessed from the file's name.
            proto = onnx.load(self.path, format="protobuf", load_external_data=False)
        except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
            reason = one_line(error) or type(error).__name__
            msg = f"{self.path} is not an ONNX model: {reason.rstrip('.')}. Export it again."
            raise ModelError(msg) from error
        if any(onnx.external_data_helper.uses_external_data(t) for t in proto.graph.initializer):
            # The file's hash would not tell two sets of weights apart.
            msg = (
                f"{self.path} keeps its weights in other files, but tlbench measures one "
                "self-contained file. Save it again with onnx.save(onnx.load(PATH), NEW_PATH)."
            )
            raise ModelError(msg)
        return proto

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, as hex digits."""
        return sha256_file(self.path)

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    @cached_property
    def card(self) -> ModelCard | None:
        """The card, or None for a file that tlbench did not export."""
        text = self.metadata(CARD_KEY)
        return None if text is None else decode_card(text)

    def metadata(self, key: str) -> str | None:
        """Return the value of *key* in the file's metadata, or None."""
        entries = self.proto.metadata_props
        return next((entry.value for entry in entries if entry.key == key), None)


def _tensor_info(value: "onnx.ValueInfoProto") -> TensorInfo:
    import onnx

    tensor = value.type.tensor_type
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, ValueError):
        dtype = "unknown"
    axes = tuple(
        axis.dim_value if axis.HasField("dim_value") else (axis.dim_param or None)
        for axis in tensor.shape.dim
    )
    return TensorInfo(value.name, dtype, axes)


def count_macs(model: OnnxModel, size: tuple[int, int] | None = None) -> int:
    """Return the multiply-accumulates of convolutions and matrix products for one image.

    Conv, Gemm and MatMul at the top level of the graph are counted; quantised operators, transposed
    convolutions, branches of ``If`` and loop bodies are not. *size* is the raw image's height and
    width where the graph leaves them open; by default it is the card's input size.
    """
    import onnx

    size = size or (model.card.input_size if model.card else None)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    n_images = _fix_input(proto, size)
    try:
        graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        msg = f"The shapes in {model.path} cannot be inferred: {one_line(error)}"
        raise ModelError(msg) from error
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        shapes[value.name] = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
    return sum(_node_macs(node, shapes, model) for node in graph.node) // n_images


def _fix_input(proto: "onnx.ModelProto", size: tuple[int, int] | None) -> int:
    """Set an open batch to one and open spatial axes to *size*; return the batch size."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    first = next(value for value in proto.graph.input if value.name not in constants)
    axes = first.type.tensor_type.shape.dim
    n_images = max(axes[0].dim_value, 1) if axes else 1
    if axes:
        axes[0].dim_value = n_images
    open_axes = (axis for axis in axes[1:] if not axis.HasField("dim_value"))
    for axis, value in zip(open_axes, size or (), strict=False):
        axis.dim_value = value
    for output in proto.graph.output:  # their shapes would be stale
        output.type.tensor_type.ClearField("shape")
    return n_images


def _node_macs(node: "onnx.NodeProto", shapes: dict[str, tuple[int, ...]], model: OnnxModel) -> int:
    if node.op_type not in {"Conv", "Gemm", "MatMul"}:
        return 0
    # a damaged graph may lack even the weight
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
