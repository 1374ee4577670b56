"""Read an ONNX file of any origin, and bring its graph into one plain form."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.inliner import inline_local_functions

from tlbench.core.errors import ExportError, ModelError, one_line
from tlbench.model import parse_model

_LARGEST_BYTES = (1 << 31) - 1  # of one protobuf message
_OLDEST_OPSET = 7  # from which on the version converter knows every operator
_OLDEST_IR = 8  # of opset 18; initializers need not be listed as inputs since 4
_SHAPE_LENGTH = 16
_OF_SHAPES = frozenset(
    (
        *("Add", "Cast", "Concat", "ConstantOfShape", "Div", "Equal", "Gather", "Identity", "Mul"),
        *("Slice", "Squeeze", "Sub", "Unsqueeze", "Where"),
    )
)
_DEFAULT_DOMAINS = {"", "ai.onnx"}
_SCALARS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """An ONNX file: the model as it is, its weights included, and the digest of all its bytes."""

    label: str
    model: onnx.ModelProto
    sha256: str

    @property
    def opset(self) -> int:
        """Version of ONNX's own operators."""
        return opset_of(self.model)

    @property
    def producer(self) -> str:
        """The software that wrote the file, as it says."""
        named = f"{self.model.producer_name} {self.model.producer_version}".strip()
        return f", written by {named:.80}" if named else ""


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators; 1 where a file states none."""
    found = [one.version for one in model.opset_import if one.domain in _DEFAULT_DOMAINS]
    return max(found, default=1)


def read_file(path: Path) -> SourceFile:
    """Return the file with the weights that it keeps in other files."""
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Give the path of an .onnx file."
        raise ExportError(msg) from error
    digest = hashlib.sha256(content)
    try:
        model = parse_model(path, content)
    except ModelError as error:
        raise ExportError(str(error)) from error
    if not model.graph.node:
        raise ExportError(f"{path} is not a usable ONNX model: its graph has no nodes.")
    outside = sorted(_outside(model))
    for name in outside:
        digest.update(_bytes_of(path, name))
    if outside:
        try:
            onnx.load_external_data_for_model(model, str(path.parent))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            msg = f"The weights of {path} in other files cannot be read: {one_line(error):.300}"
            raise ExportError(msg) from error
    if model.ByteSize() > _LARGEST_BYTES:
        msg = (
            f"{path} has {model.ByteSize():,} bytes with its weights, and one ONNX file holds at "
            f"most {_LARGEST_BYTES:,}. Choose a smaller network, or save its weights as float16."
        )
        raise ExportError(msg)
    return SourceFile(path.name, model, digest.hexdigest())


def _outside(model: onnx.ModelProto) -> set[str]:
    """Return the names of the other files that hold weights."""
    return {
        entry.value
        for tensor in _tensors(model)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for graph in graphs_of(model.graph):
        yield from graph.initializer
        for node in graph.node:
            yield from (one.t for one in node.attribute if one.HasField("t"))


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph, and those inside its nodes at any depth."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from graphs_of(inner)


def _bytes_of(path: Path, name: str) -> bytes:
    # onnx checks again, and more strictly, when it reads them
    if Path(name).is_absolute() or ".." in Path(name).parts:
        msg = f"{path} keeps weights in {name!r}, which is outside its own folder."
        raise ExportError(msg)
    try:
        return (path.parent / name).read_bytes()
    except OSError as error:
        msg = (
            f"{path} keeps its weights in {name}, which cannot be read: {error.strerror}. Put it "
            "beside the file."
        )
        raise ExportError(msg) from error


def plain_model(source: SourceFile) -> onnx.ModelProto:
    """Return a copy with local functions inlined, and with each constant as an initializer.

    Initializers are no inputs any more, and no intermediate shapes are stated: they would be those
    of the fixed batch.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    for entry in model.opset_import:
        entry.domain = "" if entry.domain in _DEFAULT_DOMAINS else entry.domain
    if source.opset < _OLDEST_OPSET:
        msg = (
            f"{source.label} has opset {source.opset}, and opsets before {_OLDEST_OPSET} cannot be "
            "converted. Export the network again with a newer opset."
        )
        raise ExportError(msg)
    if model.functions:
        model = inline_local_functions(model)
    model.ir_version = max(model.ir_version, _OLDEST_IR)
    graph = model.graph
    _constants_to_initializers(graph)
    _fold_shapes(graph, source.opset)
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    del graph.input[:], graph.value_info[:]
    graph.input.extend(inputs)
    return model


def at_opset(model: onnx.ModelProto, opset: int, label: str) -> onnx.ModelProto:
    """Return a plain model whose opset is at least *opset*, by onnx's version converter."""
    found = opset_of(model)
    if found >= opset:
        return model
    try:
        converted = onnx.version_converter.convert_version(model, opset)
    except Exception as error:  # the converter's errors are those of C++, of many types
        msg = (
            f"{label} has opset {found}, and onnx's version converter cannot bring it to {opset}: "
            f"{one_line(error):.300} Export the network again with opset {opset} or newer."
        )
        raise ExportError(msg) from error
    _constants_to_initializers(converted.graph)
    del converted.graph.value_info[:]
    return converted


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    """Replace each ``Constant`` of the top graph by an initializer, in place."""
    kept = []
    for node in graph.node:
        tensor = _constant(node) if node.op_type == "Constant" else None
        if tensor is None:
            kept.append(node)
        else:
            graph.initializer.append(tensor)
    del graph.node[:]
    graph.node.extend(kept)


def _fold_shapes(graph: onnx.GraphProto, opset: int) -> None:
    """Replace what is computed of constant shapes by its value, in place."""
    small = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT64 and math.prod(tensor.dims) <= _SHAPE_LENGTH
    }
    kept = []
    for node in graph.node:
        is_shape = node.op_type in _OF_SHAPES and node.domain == "" and node.input
        if not is_shape or not all(name in small for name in node.input):
            kept.append(node)
            continue
        value = _evaluate(node, [small[name] for name in node.input], opset)
        if value.size > _SHAPE_LENGTH or value.dtype not in {np.dtype(np.int64), np.dtype(bool)}:
            kept.append(node)
            continue
        small[node.output[0]] = value
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)


def _evaluate(
    node: onnx.NodeProto, values: list[NDArray[np.generic]], opset: int
) -> NDArray[np.generic]:
    tensors = [
        numpy_helper.from_array(value, name)
        for name, value in dict(zip(node.input, values, strict=True)).items()
    ]
    output = onnx.ValueInfoProto(name=node.output[0])
    graph = onnx.helper.make_graph([node], "shape", [], [output], tensors)
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    (value,) = onnx.reference.ReferenceEvaluator(model).run(None, {})
    return np.asarray(value)


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    (attribute,) = list(node.attribute)[:1] or [onnx.AttributeProto()]
    if attribute.name == "value":
        tensor = onnx.TensorProto()
        tensor.CopyFrom(attribute.t)
        tensor.name = node.output[0]
        return tensor
    if attribute.name in _SCALARS:
        value = onnx.helper.get_attribute_value(attribute)
        array = np.array(value, dtype=_SCALARS[attribute.name])
        return numpy_helper.from_array(array, node.output[0])
    return None  # strings and sparse tensors
