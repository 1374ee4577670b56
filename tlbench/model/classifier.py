"""The card of a classifier file: a backbone with a fitted head behind it."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tlbench.model.card import read_card
from tlbench.model.file import OnnxModel

CLASSIFIER_KEY = "tlbench.classifier"
CLASSES_KEY = "tlbench.classes"
LABEL_OUTPUT = "label"
PROBABILITIES_OUTPUT = "probabilities"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The check of the file on the run's test split: every label was the reference's."""

    reference: str  # what the predictions were compared with, and its version
    n_images: int
    max_difference: float  # largest absolute difference of one probability
    runtime: str
    provider: str
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierCard:
    """The description of a classifier file, as JSON in its metadata beside the model card."""

    card_version: int = 1
    head: str
    params: dict[str, Any]  # every parameter that the head was fitted with
    classes: tuple[str, ...]  # `label` is an index into it, `probabilities` has a column for each
    probabilities: str  # what they are, in words: not every head has its own
    arithmetic: Literal["float32", "float64"]  # of the head's products and sums
    backbone_sha256: str  # of the backbone's file that the run measured
    dataset: str  # that the head was fitted on
    dataset_fingerprint: str
    n_train: int
    n_test: int
    n_correct: int
    accuracy_fraction: float  # as the run measured it on its test split
    run: str  # id of that run
    verification: Verification
    software: dict[str, str] = field(default_factory=dict)


def encode_classifier_card(card: ClassifierCard) -> str:
    """Return the card as JSON text."""
    return msgspec.json.encode(card).decode()


def encode_classes(classes: tuple[str, ...]) -> str:
    """Return the class names as a JSON list, for programs that do not know the card."""
    return msgspec.json.encode(classes).decode()


def decode_classifier_card(text: str) -> ClassifierCard:
    """Return the card that JSON text holds; raise ModelError if it is damaged or too new."""
    return read_card(
        text, ClassifierCard, of="classifier", remedy="Fuse it again with `tlbench fuse`."
    )


def classifier_card(model: OnnxModel) -> ClassifierCard | None:
    """Return the card of a classifier file, or None for any other model."""
    text = model.metadata(CLASSIFIER_KEY)
    return None if text is None else decode_classifier_card(text)
