"""The ONNX file on disk: identity, signature and card."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlbench.core.errors import ModelError
from tlbench.core.hashing import sha256_file
from tlbench.model.card import CARD_KEY, ModelCard, decode_card

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of a model; *dtype* is numpy's name, an open axis is a name or None.

    A *shape* of None is not known: the file does not state it, or it is not that of one tensor.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        """Return type and shape for people: ``float32 (N, 3, ?, ?)``."""
        if self.shape is None:
            return self.dtype if "(" in self.dtype else f"{self.dtype} of unknown shape"
        if not self.shape:
            return f"{self.dtype} scalar"
        axes = ", ".join("?" if axis is None else str(axis) for axis in self.shape)
        return f"{self.dtype} ({axes})"


class OnnxModel:
    """An ONNX file on disk: its identity, signature and card. It never runs the network.

    Parameters
    ----------
    path : Path
        The file. It is read once: all attributes belong to the same content.

    Attributes
    ----------
    proto : onnx.ModelProto
        The parsed file, weights included.
    inputs, outputs : tuple of TensorInfo
        The signature.
    sha256, size_bytes : str, int
        SHA-256 of the file's bytes as hex digits, and their number.

    Raises
    ------
    ModelError
        If there is no such file, it is not an ONNX model with at least one input and one output, or
        other files take part in its answer.
    """

    def __init__(self, path: Path) -> None:
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for impossible names
            msg = (
                f"No model at {path}. Give the path of an .onnx file, or the name of a backbone "
                "(`tlbench list backbones` shows them)."
            )
            raise ModelError(msg)
        self.path = path
        try:
            with path.open("rb") as file:
                self._stamp = _stamp(os.fstat(file.fileno()))
                content = file.read()
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror or error}. Check its permissions."
            raise ModelError(msg) from error
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.size_bytes = len(content)
        self.proto = parse_model(path, content)
        graph = self.proto.graph
        constants = {tensor.name for tensor in graph.initializer}
        constants |= {tensor.values.name for tensor in graph.sparse_initializer}
        self.inputs = tuple(
            tensor_info(value) for value in graph.input if value.name not in constants
        )
        self.outputs = tuple(tensor_info(value) for value in graph.output)
        if not self.inputs or not self.outputs:
            msg = (
                f"{path} is not a usable ONNX model: it has {len(self.inputs)} inputs and "
                f"{len(self.outputs)} outputs, and needs at least one of each."
            )
            raise ModelError(msg)
        if found := _outside(self.proto):
            # The file's hash would not tell two sets of weights apart.
            reason, remedy = found
            msg = f"{path} {reason}, but tlbench measures one self-contained file. {remedy}."
            raise ModelError(msg)

    def check_unchanged(self) -> None:
        """Raise ModelError if the file at the path is no longer the one that was read."""
        try:
            stamp = _stamp(self.path.stat())
            if stamp == self._stamp or sha256_file(self.path) == self.sha256:
                return
            found = "another file has taken its place"
        except OSError as error:
            found = f"it cannot be read any more ({error.strerror or error})"
        msg = (
            f"{self.path} changed while it was in use: {found}. A measurement could belong to "
            "either. Measure again, and leave the file alone meanwhile."
        )
        raise ModelError(msg)

    @cached_property
    def card(self) -> ModelCard | None:
        """The card, or None for a file that tlbench did not export."""
        text = self.metadata(CARD_KEY)
        return None if text is None else decode_card(text)

    def metadata(self, key: str) -> str | None:
        """Return the value of *key* in the file's metadata, or None."""
        entries = self.proto.metadata_props
        return next((entry.value for entry in entries if entry.key == key), None)


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


# How files begin that are often taken for a model, and what to do about each.
_LOOKALIKES = (
    (b"version https://git-lfs.github.com/", "a Git LFS pointer", "Fetch the model: git lfs pull"),
    (b"../", "a git-annex pointer", "Fetch the model: git annex get"),
    (b"/annex/objects/", "a git-annex pointer", "Fetch the model: git annex get"),
    (b"<", "a web page or an XML document", "Download the model itself, not the page about it"),
    (b"{", "a JSON document", "Download the model itself, not what is written about it"),
    (b"PK\x03\x04", "a zip archive", "Unpack a model; export one that PyTorch saved"),
    (b"\x1f\x8b", "a gzip archive", "Unpack it"),
    (b"\x89HDF", "an HDF5 file, such as Keras writes", "Export the network to ONNX"),
    (b"\x80\x02", "a Python pickle, such as PyTorch writes", "Export the network to ONNX"),
)
_LOOKALIKES_AT_4 = ((b"ORTM", "in ONNX Runtime's ORT format"), (b"TFL3", "a TensorFlow Lite model"))


def _lookalike(content: bytes) -> str | None:
    """Return what a file that is not a model is, and what to do; None if that is not known."""
    if not content:
        return "it is empty. Fetch it again"
    start = content[:256].removeprefix(b"\xef\xbb\xbf").lstrip()  # a text's byte order mark
    for beginning, kind, advice in _LOOKALIKES:
        if start.startswith(beginning):
            return f"it is {kind}. {advice}"
    for mark, kind in _LOOKALIKES_AT_4:
        if content[4:8] == mark:
            return f"it is {kind}. Give the .onnx file that it was made from"
    return None


def parse_model(path: Path, content: bytes) -> "onnx.ModelProto":
    """Return the parsed bytes of the file *path*; raise ModelError if they are no ONNX model."""
    import onnx
    from google.protobuf.message import DecodeError

    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except (DecodeError, ValueError) as error:
        unknown = (
            f"its {len(content):,} bytes cannot be decoded. If it was downloaded or copied, that "
            "may have been cut short: fetch it again, or export it again"
        )
        reason = _lookalike(content) or unknown
        raise ModelError(f"{path} is not an ONNX model: {reason}.") from error
    if not proto.HasField("graph") and (found := _lookalike(content)):
        raise ModelError(f"{path} is not an ONNX model: {found}.")
    return proto


def messages(message: Any) -> Iterator[Any]:  # noqa: ANN401 - protobuf has no common type
    """Yield a protobuf message and those inside it, at any depth, except for parts of tensors."""
    import onnx

    waiting = [message]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, onnx.TensorProto):
            continue  # its weights would be copied
        for field, value in one.ListFields():
            if field.message_type is not None:
                is_single = hasattr(value, "ListFields")
                waiting.extend([value] if is_single else value)


def _outside(proto: "onnx.ModelProto") -> tuple[str, str] | None:
    """Return what in the model, at any depth, refers to another file, and what to do about it."""
    import onnx

    for one in messages(proto):
        if isinstance(one, onnx.TensorProto):
            if one.data_location == onnx.TensorProto.EXTERNAL:
                remedy = "Save it again with onnx.save(onnx.load(PATH), NEW_PATH)"
                return "keeps its weights in other files", remedy
        elif isinstance(one, onnx.NodeProto) and one.op_type == "EPContext":
            attributes = {attribute.name: attribute.i for attribute in one.attribute}
            if attributes.get("embed_mode", 1) == 0:
                remedy = "Compile it again with the session option ep.context_embed_mode=1"
                return "keeps a compiled network in another file", remedy
    return None


def tensor_info(value: "onnx.ValueInfoProto") -> TensorInfo:
    """Return what a graph states of a tensor."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return TensorInfo(value.name, _type_name(value.type), None)
    shape = value.type.tensor_type.shape
    axes = tuple(
        # A negative length is an open axis, as for ONNX Runtime.
        axis.dim_value
        if axis.HasField("dim_value") and axis.dim_value >= 0
        else (axis.dim_param or None)
        for axis in shape.dim
    )
    has_shape = value.type.tensor_type.HasField("shape")
    return TensorInfo(value.name, _type_name(value.type), axes if has_shape else None)


def _type_name(kind: "onnx.TypeProto") -> str:
    """Return numpy's name of a tensor's elements, and ``sequence(float32)`` and the like."""
    import onnx

    case = kind.WhichOneof("value")
    if case in {"tensor_type", "sparse_tensor_type"}:
        number = getattr(kind, case).elem_type
        if number == onnx.TensorProto.STRING:
            name = "string"
        else:
            try:
                name = str(onnx.helper.tensor_dtype_to_np_dtype(number))
            except (KeyError, ValueError):
                name = "unknown"
        return name if case == "tensor_type" else f"sparse({name})"
    if case in {"sequence_type", "optional_type"}:
        return f"{case.removesuffix('_type')}({_type_name(getattr(kind, case).elem_type)})"
    if case == "map_type":
        return f"map({_type_name(kind.map_type.value_type)})"
    return "unknown"
