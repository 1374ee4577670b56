"""A model file as text: its card, signature, size and cost."""

import json
from dataclasses import dataclass
from typing import Any

from tlbench.core.errors import ModelError
from tlbench.core.units import format_bytes, labelled
from tlbench.model import (
    ClassifierCard,
    Conversion,
    ModelCard,
    OnnxModel,
    TensorInfo,
    classifier_card,
    count_macs,
)
from tlbench.records import document_schema, plain_value

# History of the schema of a description. 1: the first.
DESCRIPTION_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What is known of a model file without running it.

    Attributes
    ----------
    macs : int or None
        Multiply-accumulates for one image; None where shapes cannot be inferred.
    card : ModelCard or None
        None for a file that tlbench did not export.
    classifier : ClassifierCard or None
        None for anything but a classifier file.
    """

    schema_version: int = DESCRIPTION_VERSION
    path: str
    sha256: str
    size_bytes: int
    macs: int | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    card: ModelCard | None
    classifier: ClassifierCard | None


def _macs(model: OnnxModel) -> int | None:
    try:
        return count_macs(model)
    except ModelError:  # a foreign graph whose shapes are open: everything else can still be shown
        return None


def model_document(model: OnnxModel) -> str:
    """Return the description as JSON text."""
    description = ModelDescription(
        path=str(model.path),
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        macs=_macs(model),
        inputs=model.inputs,
        outputs=model.outputs,
        card=model.card,
        classifier=classifier_card(model),
    )
    return json.dumps(plain_value(description), indent=2)


def model_schema() -> dict[str, Any]:
    """Return the JSON Schema of a description, as published in the documentation."""
    return document_schema(ModelDescription, DESCRIPTION_VERSION)


def _signature(tensor: TensorInfo) -> str:
    axes = ", ".join("?" if axis is None else str(axis) for axis in tensor.shape)
    return f"{tensor.name}: {tensor.dtype} ({axes})"


def _conversion(conversion: Conversion) -> list[tuple[str, str]]:
    """Return how the file was converted, and what that cost."""
    images, drift = conversion.images, conversion.drift
    seen = "" if not images.n_calibration else f"{images.n_calibration} {images.dataset} images, "
    bits = "" if not conversion.reduce_range else ", weights of 7 bits (reduce_range)"
    return [
        ("Lowered", f"{conversion.method}{bits}"),
        ("In float", ", ".join(conversion.kept_in_float)),
        ("Seen", f"{seen}split {images.split}, seed {images.seed}"),
        (
            "Drift",
            (
                f"cosine {drift.min_cosine:.5f} at least, {drift.mean_cosine:.5f} on average, "
                f"relative difference {drift.median_rel:.1e} (median), {drift.n_images} other "
                f"{images.dataset} images of that split, against fp32"
            ),
        ),
        ("From", f"fp32 file {conversion.source_sha256}"),
    ]


def _classifier(card: ClassifierCard) -> list[tuple[str, str]]:
    """Return what the head is, what it was fitted on, and how the file was verified."""
    params = ", ".join(f"{name}={value}" for name, value in card.params.items())
    verified = card.verification
    return [
        ("Head", f"{card.head} ({params}), in {card.arithmetic}"),
        ("Classes", f"{len(card.classes)}: {', '.join(card.classes)}"),
        ("Probable", card.probabilities),
        ("Fitted on", f"{card.dataset}, {card.n_train:,} train images, in run {card.run}"),
        (
            "Accuracy",
            f"{100 * card.accuracy_fraction:.2f} % of {card.n_test:,} test images in that run",
        ),
        (
            "Verified",
            (
                f"the labels of {verified.reference} on all {verified.n_images:,} test images, "
                f"probabilities within {verified.max_difference:.1e}, "
                f"on {verified.provider}"
            ),
        ),
    ]


def describe_model(model: OnnxModel) -> str:
    """Return the description for people, a fact a line."""
    macs = _macs(model)
    lines = [
        ("File", f"{model.path}, {format_bytes(model.size_bytes)}"),
        ("SHA-256", model.sha256),
        *(("Input", _signature(tensor)) for tensor in model.inputs),
        *(("Output", _signature(tensor)) for tensor in model.outputs),
        (
            "Cost",
            "unknown: shapes are open" if macs is None else f"{macs / 1e9:.3f} GMACs an image",
        ),
    ]
    classifier = classifier_card(model)
    if classifier is not None:
        lines += _classifier(classifier)
    card = model.card
    if card is None:
        lines.append(("Card", "none: not exported by tlbench"))
    else:
        height, width = card.input_size
        shape = "x".join(map(str, card.feature_shape))
        parity = card.parity
        lines += [
            ("Backbone", f"{card.backbone}, {card.precision}, opset {card.opset}"),
            ("Weights", f"{card.weights.kind}: {card.weights.origin}"),
            ("Licence", card.weights.licence),
            ("Source", card.source),
            ("Inside", f"resize to {height}x{width} ({card.resize}); {card.preprocessing}"),
            ("Features", f"layer {card.layer}, pooling {card.pooling}, {shape}"),
            (
                "Parity",
                (
                    f"relative difference {parity.max_rel:.1e}, cosine {parity.min_cosine:.7f}, "
                    f"{parity.n_images} images, against {parity.reference}"
                ),
            ),
        ]
        if card.conversion is not None:
            lines += _conversion(card.conversion)
    return "\n".join(labelled(label, text, indent=10) for label, text in lines)
