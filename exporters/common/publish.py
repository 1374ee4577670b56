"""The last steps of every export: preprocess, verify, attach the card, write in one move."""

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import onnx

from exporters.common.finish import GraphOutputs
from exporters.common.fit import SquareFit
from exporters.common.parity import TOLERANCE, measure_parity, probe_batches
from exporters.common.preprocess import (
    NEAREST,
    PixelSteps,
    Resize,
    describe_preprocessing,
    prepend_preprocessing,
)
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ExportError
from tlbench.core.files import write_atomically
from tlbench.core.progress import Listener
from tlbench.model import (
    CARD_KEY,
    NETWORK_INPUT,
    ModelCard,
    TrainingRecord,
    Weights,
    encode_card,
)


def publish(
    network: onnx.ModelProto,
    *,
    backbone: str,
    source: str,
    weights: Weights,
    size: tuple[int, int],
    fit: SquareFit,
    resize: Resize,
    preprocessing: PixelSteps,
    layer: str,
    outputs: GraphOutputs,
    opset: int,
    reference: Callable[[ImageArray], Sequence[FloatArray]],
    reference_name: str,
    destination: Path,
    listener: Listener,
    precision: str = "fp32",
    tolerance: float = TOLERANCE,
    training: TrainingRecord | None = None,
) -> ModelCard:
    """Put the preprocessing before *network*, verify against *reference*, and write with a card.

    *reference* resizes, and gets images that numpy has cropped or padded as *fit* says.
    ExportError, with *destination* untouched, means that the graph is not valid ONNX or not at
    parity.
    """
    model = prepend_preprocessing(
        network,
        network_input=NETWORK_INPUT,
        size=size,
        preprocessing=preprocessing,
        resize=resize,
        fit=fit,
    )
    listener.start(f"verify against {reference_name}")
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"The exported graph is not valid ONNX: {error}") from error
    parity = measure_parity(
        model.SerializeToString(),
        reference=lambda images: reference(fit.apply(images)),
        reference_name=reference_name,
        batches=probe_batches(fit=fit, odd_sizes=resize is NEAREST),
        tolerance=tolerance,
    )
    listener.finish()
    card = ModelCard(
        backbone=backbone,
        source=source,
        weights=weights,
        input_size=size,
        resize=resize.text,
        preprocessing=preprocessing.text,
        layer=layer,
        pooling=outputs.pooling,
        feature_shape=outputs.feature_shape,
        n_classes=outputs.n_classes,
        precision=precision,
        opset=opset,
        parity=parity,
        exported_by=f"tlbench {metadata.version('tlbench')}",
        preprocess=describe_preprocessing(fit, size, resize, preprocessing),
        training=training,
    )
    write_with_card(model, card, destination)
    return card


def write_with_card(model: onnx.ModelProto, card: ModelCard, destination: Path) -> None:
    """Put *card* inside *model* and move the file to *destination* in one step."""
    model.metadata_props.add(key=CARD_KEY, value=encode_card(card))
    model.producer_name, model.producer_version = "tlbench", metadata.version("tlbench")
    write_atomically(destination, model.SerializeToString(), advice="Choose another path.")
