"""A model file as text: its card, signature, size and cost."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlbench.core.errors import ModelError, printable
from tlbench.core.units import format_bytes, labelled
from tlbench.model import (
    ClassifierCard,
    Conversion,
    ModelCard,
    OnnxModel,
    TensorInfo,
    candidate_tensors,
    classifier_card,
    count_macs,
)
from tlbench.records import document_schema, plain_value

# History of the schema of a description. 1: the first.
DESCRIPTION_VERSION = 1


# Below this many, multiply-accumulates are given in full: in billions they would read 0.000.
_SMALL = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What is known of a model file without running it."""

    schema_version: int = DESCRIPTION_VERSION
    path: str
    sha256: str
    size_bytes: int
    macs: int | None  # multiply-accumulates for one image; None where their number is not known
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    card: ModelCard | None  # None for a file that tlbench did not export
    classifier: ClassifierCard | None  # None for anything but a classifier file


def _macs(model: OnnxModel) -> int | str:
    """Return the multiply-accumulates for one image, or why their number is not known."""
    try:
        return count_macs(model)
    except ModelError as error:  # of a foreign graph: everything else can still be shown
        return str(error)


def model_document(model: OnnxModel) -> str:
    """Return the description as JSON text."""
    macs = _macs(model)
    description = ModelDescription(
        path=str(model.path),
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        macs=macs if isinstance(macs, int) else None,
        inputs=model.inputs,
        outputs=model.outputs,
        card=model.card,
        classifier=classifier_card(model),
    )
    return json.dumps(plain_value(description), indent=2)


def model_schema() -> dict[str, Any]:
    """Return the JSON Schema of a description, as published in the documentation."""
    return document_schema(ModelDescription, DESCRIPTION_VERSION)


def _conversion(conversion: Conversion) -> list[tuple[str, str]]:
    """Return how the file was converted, and what that cost."""
    images, drift = conversion.images, conversion.drift
    seen = "" if not images.n_calibration else f"{images.n_calibration} {images.dataset} images, "
    bits = "" if not conversion.reduce_range else ", weights of 7 bits (reduce_range)"
    cost = (
        f"cosine at least {drift.min_cosine:.5f}, on average {drift.mean_cosine:.5f}; median "
        f"relative difference {drift.median_rel:.1e}; from fp32, on {drift.n_images} other "
        f"{images.dataset} images of that split"
    )
    return [
        ("Conversion", f"{conversion.method}{bits}"),
        ("Left in float", ", ".join(conversion.kept_in_float)),
        ("Calibration", f"{seen}split {images.split}, seed {images.seed}"),
        ("Feature drift", cost),
        ("Converted from", f"fp32 file {conversion.source_sha256}"),
    ]


def _classifier(card: ClassifierCard) -> list[tuple[str, str]]:
    """Return what the head is, what it was fitted on, and how the file was verified."""
    params = ", ".join(f"{name}={value}" for name, value in card.params.items())
    accuracy = f"{100 * card.accuracy_fraction:.2f} % of {card.n_test:,} test images in that run"
    verified = (
        f"same labels as {card.verification.reference} on all {card.verification.n_images:,} test "
        f"images, probabilities within {card.verification.max_difference:.1e}, on "
        f"{card.verification.provider}"
    )
    return [
        ("Head", f"{card.head} ({params}), in {card.arithmetic}"),
        ("Classes", f"{len(card.classes)}: {', '.join(card.classes)}"),
        ("Probabilities", card.probabilities),
        ("Fitted on", f"{card.dataset}, {card.n_train:,} training images, in run {card.run}"),
        ("Accuracy", accuracy),
        ("Verified", verified),
    ]


def card_rows(card: ModelCard) -> list[tuple[str, str]]:
    """Return where the backbone is from, what the graph does, and how the export was verified."""
    (height, width), shape = card.input_size, "x".join(map(str, card.feature_shape))
    parity = (
        f"relative difference {card.parity.max_rel:.1e}, cosine {card.parity.min_cosine:.7f}, on "
        f"{card.parity.n_images} images, against {card.parity.reference}"
    )
    return [
        ("Backbone", f"{card.backbone}, {card.precision}, opset {card.opset}"),
        ("Weights", f"{card.weights.kind}: {card.weights.origin}"),
        ("Licence", card.weights.licence),
        ("Source", card.source),
        (
            "Preprocessing",
            f"{_fit(card)}, resize to {height}x{width} ({card.resize}); {_pixels(card)}",
        ),
        ("Features", f"layer {card.layer}, pooling {card.pooling}, {shape}"),
        ("Parity", parity),
        *(_conversion(card.conversion) if card.conversion else ()),
    ]


def _pixels(card: ModelCard) -> str:
    """Return what happens to the resized pixels; the formula ``x`` leaves them as they are."""
    formula = card.preprocessing
    return formula if formula.removeprefix("BGR, ") != "x" else f"{formula[:-1]}pixels 0 to 255"


def _fit(card: ModelCard) -> str:
    if card.preprocess is None:
        return "squash to a square (the card is older than the choice of a fit)"
    return card.preprocess.fit_text


def describe_model(model: OnnxModel) -> str:
    """Return the description for people, one fact per line."""
    macs = _macs(model)
    classifier = classifier_card(model)
    if isinstance(macs, str):
        compute = f"unknown. {macs}"
    else:
        number = f"{macs:,} MACs" if macs < _SMALL else f"{macs / 1e9:.3f} GMACs"
        compute = f"{number} per image"
    lines = [
        ("File", f"{model.path}, {format_bytes(model.size_bytes)}"),
        ("SHA-256", model.sha256),
        *(("Input", f"{tensor.name}: {tensor}") for tensor in model.inputs),
        *(("Output", f"{tensor.name}: {tensor}") for tensor in model.outputs),
        ("Compute", compute),
        *(_classifier(classifier) if classifier else ()),
        *(card_rows(model.card) if model.card else [("Card", "none: not exported by tlbench")]),
    ]
    return "\n".join(labelled(label, printable(text), indent=16) for label, text in lines)


def describe_tensors(path: Path, *, as_json: bool = False) -> str:
    """Return the tensors of a file that can become features: name, operator, type and shape."""
    found = candidate_tensors(path)
    if as_json:
        rows = [{"operator": one.operator, **plain_value(one.info)} for one in found]
        return json.dumps(rows, indent=2)
    cells = [(printable(one.info.name), one.operator, str(one.info)) for one in found]
    widths = [max((len(row[column]) for row in cells), default=0) for column in (0, 1)]
    return "\n".join(
        f"{name:<{widths[0]}}  {operator:<{widths[1]}}  {printable(text)}"
        for name, operator, text in cells
    )
