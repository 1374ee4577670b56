"""The card inside a file: what was exported, from what, how it was verified and converted."""

import math
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from tlbench.core.errors import ModelError, one_line
from tlbench.model.preprocess import Preprocess
from tlbench.model.trained import TrainingRecord

CARD_KEY = "tlbench.card"

Card = TypeVar("Card")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where the weights came from.

    ``sha256`` is the weights file's, that of the arrays of a network that tlbench trained, or None
    for random weights.
    """

    kind: Literal["imagenet", "random", "file", "trained"]
    sha256: str | None
    origin: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The difference between ONNX Runtime's features and the reference's on the same raw images."""

    reference: str  # implementation and version that the features were compared with
    n_images: int
    max_abs: float  # largest absolute difference of one feature
    max_rel: float  # largest, over the images, as a fraction of the largest reference feature
    min_cosine: float  # between the two feature vectors of an image


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSample:
    """The training images that a precision conversion used; it never uses test images."""

    dataset: str
    fingerprint: str  # SHA-256 of the train split
    split: Literal["train"] = "train"
    seed: int  # of the permutation of the split whose first readable images were taken
    n_calibration: int  # that ranges and biases were fitted on; 0 where the precision needs none
    n_held_out: int  # after those; the drift was measured on them


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The difference between the converted file's features and the source's on the same images."""

    n_images: int
    min_cosine: float  # between the two feature vectors of an image
    mean_cosine: float
    median_rel: float  # length of the difference as a fraction of that of the source's features


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How a file was converted to its precision."""

    precision: str
    method: str  # in words
    software: dict[str, str]  # versions of what the result depends on
    source_sha256: str  # of the fp32 file that was converted, to which the card's parity belongs
    images: ImageSample
    # 7-bit weights, for processors whose int8 products saturate; None where this does not apply
    reduce_range: bool | None = None
    kept_in_float: tuple[str, ...] = ()  # layers and operators in float32
    drift: Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """The description of an exported backbone, stored as JSON in the file's metadata.

    Attributes
    ----------
    input_size : tuple of int
        Height and width that the graph resizes the images to, pixels.
    preprocessing : str
        What the graph does to the resized pixels, in words: ``"(x - 127) / 128"``.
    preprocess : Preprocess or None
        All that the graph does to raw images, as fields; None in files of earlier versions, whose
        graphs squash images that are not square.
    layer, pooling : str
        The layer whose output becomes the features, and how it was pooled over space.
    feature_shape : tuple of int
        Shape of one image's features before flattening: ``(2048,)``, or ``(8, 8, 2048)`` unpooled.
    n_classes : int or None
        Number of logits, if the file was exported with them.
    conversion : Conversion or None
        How the file was converted from fp32; None for an fp32 file.
    training : TrainingRecord or None
        How tlbench trained the network; None for a network that it did not train.
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
    conversion: Conversion | None = None
    preprocess: Preprocess | None = None
    training: TrainingRecord | None = None

    @property
    def fit(self) -> str:
        """How images that are not square become square: ``"crop"``, ``"squash"`` or ``"pad"``."""
        return self.preprocess.fit if self.preprocess else "squash"

    @property
    def crop_fraction(self) -> float | None:
        """Side of the crop as a fraction of the shorter side; None where nothing is cropped."""
        return self.preprocess.crop_fraction if self.preprocess else None

    @property
    def n_features(self) -> int:
        """Number of features per image."""
        return math.prod(self.feature_shape)


def encode_card(card: ModelCard) -> str:
    """Return the card as JSON text."""
    return msgspec.json.encode(card).decode()


def decode_card(text: str) -> ModelCard:
    """Return the card that JSON text holds; raise ModelError if it is damaged or too new."""
    return read_card(text, ModelCard, of="model", remedy="Export the backbone again.")


def read_card(text: str, kind: type[Card], *, of: str, remedy: str) -> Card:
    """Return a card of any kind from JSON text; *of* and *remedy* go into the ModelError."""
    try:
        document = msgspec.json.decode(text)
        version = document.get("card_version", 1) if isinstance(document, dict) else 1
        if version != 1:  # before the fields are read: a later version may have others
            msg = f"The {of}'s card has version {version}, this tlbench reads 1. Upgrade tlbench."
            raise ModelError(msg)
        return msgspec.convert(document, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        msg = f"The {of}'s card cannot be read: {one_line(error)}. {remedy}"
        raise ModelError(msg) from error
