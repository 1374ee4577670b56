"""Write a classifier file in one move, or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.core.errors import StorageError
from tlbench.model import (
    CLASSES_KEY,
    CLASSIFIER_KEY,
    ClassifierCard,
    encode_classes,
    encode_classifier_card,
)

if TYPE_CHECKING:
    import onnx


def attach_card(model: "onnx.ModelProto", card: ClassifierCard) -> None:
    """Put the card and the class names into the metadata; the graph is not touched."""
    model.metadata_props.add(key=CLASSIFIER_KEY, value=encode_classifier_card(card))
    model.metadata_props.add(key=CLASSES_KEY, value=encode_classes(card.classes))
    model.producer_name, model.producer_version = "tlbench", metadata.version("tlbench")


@contextmanager
def part_beside(destination: Path) -> Iterator[Path]:
    """Yield an empty file beside *destination* that goes unless `publish` moves it there.

    Raises
    ------
    StorageError
        If no file can be written there: before any work is done.
    """
    with _writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.is_dir():
            raise IsADirectoryError(0, "it is a folder", str(destination))
        handle, name = tempfile.mkstemp(
            prefix=f".{destination.name}.", suffix=".part", dir=destination.parent
        )
        os.close(handle)
    part = Path(name)
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def save_model(model: "onnx.ModelProto", path: Path) -> None:
    """Write a model to a file; raise StorageError if that cannot be done."""
    with _writing(path):
        path.write_bytes(model.SerializeToString())


def publish(part: Path, destination: Path) -> None:
    """Move a finished file to its place in one step; raise StorageError if that cannot be done."""
    with _writing(destination):
        part.chmod(0o644)
        part.replace(destination)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}. Choose another place with -o."
        raise StorageError(msg) from error
