"""The last steps of every export: verify, attach the card, write the file in one move."""

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import onnx

from exporters.common.parity import measure_parity, probe_batches
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ExportError
from tlbench.core.files import write_atomically
from tlbench.core.progress import Listener
from tlbench.model import CARD_KEY, ModelCard, Parity, encode_card


def exporter_name() -> str:
    """Return the name and version for the card's ``exported_by``."""
    return f"tlbench {metadata.version('tlbench')}"


def publish(
    model: onnx.ModelProto,
    *,
    make_card: Callable[[Parity], ModelCard],
    reference: Callable[[ImageArray], Sequence[FloatArray]],
    reference_name: str,
    destination: Path,
    listener: Listener,
    batches: Sequence[ImageArray] | None = None,
) -> ModelCard:
    """Verify *model* against *reference*, put its card inside and move it to *destination*.

    ExportError, with *destination* untouched, means that the graph is not valid ONNX or not at
    parity. *batches* are the images that it is verified on; None for those of `probe_batches`.
    """
    listener.start(f"verify against {reference_name}")
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"The exported graph is not valid ONNX: {error}") from error
    parity = measure_parity(
        model.SerializeToString(),
        reference=reference,
        reference_name=reference_name,
        batches=probe_batches() if batches is None else batches,
    )
    listener.finish()
    card = make_card(parity)
    write_with_card(model, card, destination)
    return card


def write_with_card(model: onnx.ModelProto, card: ModelCard, destination: Path) -> None:
    """Put *card* inside *model* and move the file to *destination* in one step."""
    model.metadata_props.add(key=CARD_KEY, value=encode_card(card))
    model.producer_name, model.producer_version = "tlbench", metadata.version("tlbench")
    write_atomically(destination, model.SerializeToString(), advice="Choose another path.")
