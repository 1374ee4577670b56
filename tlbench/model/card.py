"""The card inside the file: what was exported, from what, and how it was verified."""

from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from tlbench.core.errors import ModelError
from tlbench.model.conversion import Conversion

CARD_KEY = "tlbench.card"

Card = TypeVar("Card")


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
    conversion : Conversion or None
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
    conversion: Conversion | None = None

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
    return read_card(text, ModelCard, of="model", remedy="Export the backbone again.")


def read_card(text: str, kind: type[Card], *, of: str, remedy: str) -> Card:
    """Read a card of any kind from JSON text.

    Raises
    ------
    ModelError
        If it is damaged or of a later version than 1, with *of* what it is, and *remedy*.
    """
    try:
        document = msgspec.json.decode(text)
        version = document.get("card_version", 1) if isinstance(document, dict) else 1
        if version != 1:  # before its fields are looked at: they may be others
            msg = f"The {of}'s card has version {version}, this tlbench reads 1. Upgrade tlbench."
            raise ModelError(msg)
        return msgspec.convert(document, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ModelError(f"The {of}'s card cannot be read: {error}. {remedy}") from error
