"""Images that a classifier file classified: the record, and its JSON document."""

from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from tlbench.core.unused import UnusedFiles

# History of the schema of predictions. 1: the first.
PREDICTIONS_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedImage:
    """The predicted class of one image."""

    image: str  # path, as it was found
    # Position among the classes. It is the head's own decision: with a head whose probabilities
    # are calibrated, another class may be more probable.
    label: int
    probability: float  # of that class
    ranked: tuple[tuple[int, float], ...]  # the most probable classes, the largest first


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedImages:
    """The readable images in the order given, and the path and reason of each unreadable one."""

    classifier: str
    sha256: str
    head: str
    provider: str
    classes: tuple[str, ...]
    images: tuple[ClassifiedImage, ...]
    unreadable: tuple[tuple[str, str], ...]
    elapsed_s: float  # from reading the first file to the last prediction
    unused: tuple[UnusedFiles, ...] = ()  # other files in the folders given, by reason


class PredictionsSource(TypedDict):
    """The classifier that made the predictions."""

    path: str
    sha256: str
    head: str
    provider: str
    classes: list[str]


# "class" is a keyword of Python, so these two cannot be written as classes.
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
    unused: NotRequired[list[UnusedFiles]]  # other files in the folders given, by reason
    elapsed_s: float
