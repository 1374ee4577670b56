"""The artefact: one self-contained ONNX file and the card inside it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

from tlbench.errors import ModelError
from tlbench.hashing import sha256_file
from tlbench.lowering import Lowering
from tlbench.progress import Listener
from tlbench.registry import Registry

if TYPE_CHECKING:
    import onnx

__all__ = [
    "BACKBONES",
    "CARD_KEY",
    "Backbone",
    "BackboneWithArgument",
    "ExportOptions",
    "ModelCard",
    "OnnxModel",
    "Parity",
    "TensorInfo",
    "Weights",
    "decode_card",
    "encode_card",
]

CARD_KEY = "tlbench.card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where the weights came from. ``sha256`` is that of the weights file, None for random ones."""

    kind: Literal["imagenet", "random", "file"]
    sha256: str | None
    origin: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far ONNX Runtime's features are from the reference's, on the same raw images.

    Attributes
    ----------
    reference : str
        Implementation and version that the features were compared with.
    max_abs : float
        Largest absolute difference of one feature.
    max_rel : float
        Largest over the images of (largest absolute difference / largest absolute reference
        feature).
    min_cosine : float
        Smallest cosine between an image's two feature vectors.
    """

    reference: str
    n_images: int
    max_abs: float
    max_rel: float
    min_cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What an exported backbone is, stored as JSON in the file's metadata.

    Attributes
    ----------
    input_size : tuple of int
        Height and width that the graph resizes the images to.
    preprocessing : str
        What the graph does to the resized pixels, for people: ``"(x - 127) / 128"``.
    layer, pooling : str
        The layer whose output the features are, and how it was pooled over space.
    feature_shape : tuple of int
        Shape of one image's features before flattening: ``(2048,)``, or ``(8, 8, 2048)`` unpooled.
    n_classes : int or None
        Number of logits of a ``--top`` export.
    lowering : Lowering or None
        How the file was converted from fp32; None for a file that is fp32.
    """

    card_version: int = 1
    backbone: str
    source: str
    weights: Weights
    input_size: tuple[int, int]
    resize: str
    preprocessing: str
    layer: str
    pooling: Literal["avg", "max", "none"]
    feature_shape: tuple[int, ...]
    n_classes: int | None = None
    precision: str = "fp32"
    opset: int
    parity: Parity
    exported_by: str
    lowering: Lowering | None = None

    @property
    def n_features(self) -> int:
        """Number of features of one image."""
        product = 1
        for size in self.feature_shape:
            product *= size
        return product


def encode_card(card: ModelCard) -> str:
    """Return the card as JSON text."""
    return msgspec.json.encode(card).decode()


def decode_card(text: str) -> ModelCard:
    """Read a card from JSON text; raise ModelError if it is damaged or of a later version."""
    try:
        document = msgspec.json.decode(text)
        version = document.get("card_version", 1) if isinstance(document, dict) else 1
        if version != 1:  # before its fields are looked at: they may be others
            msg = f"The model's card has version {version}, this tlbench reads 1. Upgrade tlbench."
            raise ModelError(msg)
        return msgspec.convert(document, ModelCard)
    except (msgspec.MsgspecError, RecursionError) as error:
        msg = f"The model's card cannot be read: {error}. Export the backbone again."
        raise ModelError(msg) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What `tlbench export` asks of a backbone; None leaves the choice to the backbone.

    Attributes
    ----------
    weights : str
        ``"imagenet"``, ``"random"``, or the path of a weights file of the source framework.
    input_size : int or None
        Height and width that the graph resizes to, pixels.
    layer : str or None
        Layer whose output becomes the features.
    pooling : {"avg", "max", "none"}
        How a spatial output is pooled; ``"none"`` keeps it, flattened in (H, W, C) order.
    top : bool
        Whether to add the ``logits`` of the original classifier.
    seed : int
        For random weights.
    resize : {"bilinear", "bicubic", "nearest"} or None
        How the graph resizes the images.
    input_tensor, output_tensor : str or None
        Names in a graph whose ends are not known otherwise: what takes the image, and what becomes
        the features.
    download_dir : Path or None
        Where a downloaded file is kept; None for nowhere. It does not change what is exported.
    """

    weights: str = "imagenet"
    input_size: int | None = None
    layer: str | None = None
    pooling: Literal["avg", "max", "none"] = "avg"
    top: bool = False
    opset: int | None = None
    seed: int = 0
    resize: Literal["bilinear", "bicubic", "nearest"] | None = None
    input_tensor: str | None = None
    output_tensor: str | None = None
    download_dir: Path | None = None


class Backbone(Protocol):
    """An entry of the group ``tlbench.backbones``. Importing it must not import its framework."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def summary(self) -> str:
        """One line: family, input size, number of features, licence of the weights."""

    @property
    def requires(self) -> tuple[str, ...]:
        """Distributions that an export needs beyond the base install."""

    def export(self, options: ExportOptions, destination: Path, listener: Listener) -> ModelCard:
        """Write the ONNX file and return its card.

        Raises
        ------
        ExportError, MissingDependencyError, ConfigError
            Nothing is left at *destination* then.
        """


@runtime_checkable
class BackboneWithArgument(Backbone, Protocol):
    """A backbone whose name carries an argument after a colon: ``frozen:FILE.pb``."""

    def with_argument(self, argument: str) -> Backbone:
        """Return the backbone that the argument means."""


BACKBONES: Registry[Backbone] = Registry("backbones")


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
        for entry in self.proto.metadata_props:
            if entry.key == CARD_KEY:
                return decode_card(entry.value)
        return None


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
