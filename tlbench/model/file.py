"""The ONNX file as it lies on disk."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.core.errors import ModelError
from tlbench.core.hashing import sha256_file
from tlbench.model.card import CARD_KEY, ModelCard, decode_card

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: name, numpy's name of the type, shape; an open axis is a name or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class OnnxModel:
    """An ONNX file as it lies on disk: identity, signature and card. It never runs the network.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ModelError
        If there is no such file, or it is no ONNX model with at least one input and one output.
    """

    def __init__(self, path: Path) -> None:
        if not _is_file(path):
            msg = (
                f"No model at {path}. Give an .onnx file, or the name of a backbone "
                "(tlbench list backbones)."
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
                f"{path} is no usable ONNX model: it has {len(self.inputs)} inputs and "
                f"{len(self.outputs)} outputs."
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
            reason = " ".join(str(error).split()) or type(error).__name__
            msg = f"{self.path} is no ONNX model: {reason.rstrip('.')}. Export it again."
            raise ModelError(msg) from error
        if any(onnx.external_data_helper.uses_external_data(t) for t in proto.graph.initializer):
            # The file's hash would not tell two sets of weights apart, and one file must travel.
            msg = (
                f"{self.path} keeps its weights in other files; tlbench measures one "
                "self-contained file. Save it again with onnx.save(onnx.load(PATH), NEW_PATH)."
            )
            raise ModelError(msg)
        return proto

    @cached_property
    def sha256(self) -> str:
        """Digest of the file's bytes."""
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
        """Return what the file's metadata have under *key*, or None."""
        entries = self.proto.metadata_props
        return next((entry.value for entry in entries if entry.key == key), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no permission, or no possible name of a file
        return False


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
