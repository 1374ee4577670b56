"""What a classifier file said of images: the record, and the JSON document of it."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from tlbench.records.schema import document_schema

# History of the schema of predictions. 1: the first.
PREDICTIONS_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedImage:
    """One image.

    Attributes
    ----------
    image : str
        Its path, as it was found.
    label : int
        Position among the classes. The head's own decision: with a head whose probabilities are
        calibrated, another class may be more probable.
    probability : float
        Of that class.
    ranked : tuple of (int, float)
        The most probable classes with their probabilities, the largest first.
    """

    image: str
    label: int
    probability: float
    ranked: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedImages:
    """The readable images in the order they were given, and the path and reason of the others."""

    classifier: str
    sha256: str
    head: str
    provider: str
    classes: tuple[str, ...]
    images: tuple[ClassifiedImage, ...]
    unreadable: tuple[tuple[str, str], ...]
    elapsed_s: float  # from the first file read to the last answer


class PredictionsSource(TypedDict):
    """What answered."""

    path: str
    sha256: str
    head: str
    provider: str
    classes: list[str]


# "class" is no name in Python, so that these two have no body.
RankedClass = TypedDict("RankedClass", {"class": str, "probability": float})
PredictedImage = TypedDict(
    "PredictedImage",
    {
        "image": str,
        "label": int,
        "class": str,
        "probability": float,
        "ranked": list[RankedClass],
    },
)


class UnreadableImage(TypedDict):
    """A file that no image could be read from."""

    image: str
    reason: str


class PredictionsDocument(TypedDict):
    """The JSON of ``tlbench predict --format json``."""

    schema_version: Literal[1]
    classifier: PredictionsSource
    images: list[PredictedImage]
    unreadable: list[UnreadableImage]
    elapsed_s: float


def predictions_schema() -> dict[str, Any]:
    """Return the JSON Schema of predictions, as published in the documentation."""
    return document_schema(PredictionsDocument, PREDICTIONS_VERSION)
