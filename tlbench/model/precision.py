"""Precisions: conversions of an exported, verified fp32 file, whatever backbone it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tlbench.core.arrays import ImageArray
from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener
from tlbench.core.registry import Registry, unknown_name
from tlbench.model.card import ModelCard
from tlbench.model.conversion import ImageSample
from tlbench.model.file import OnnxModel

FULL_PRECISION = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionOptions:
    """What a conversion is given.

    Attributes
    ----------
    sample : ImageSample
        What the images are, for the card.
    calibration, held_out : sequence of ndarray (H, W, 3), uint8
        Raw training images of any sizes: to fit ranges and biases on, and to measure the drift on.
    reduce_range : bool
        Whether int8 weights have to do with 7 bits; see `tlbench.machine.int8_saturates`.
    min_cosine : float or None
        The conversion fails where an image's features have a smaller cosine with the source's;
        None leaves it to the precision.
    """

    sample: ImageSample
    calibration: Sequence[ImageArray]
    held_out: Sequence[ImageArray]
    reduce_range: bool = False
    min_cosine: float | None = None

    def __post_init__(self) -> None:
        if self.min_cosine is not None and not -1 <= self.min_cosine <= 1:
            msg = f"--min-cosine must be between -1 and 1, not {self.min_cosine}."
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRequest:
    """A precision's name, other than fp32, and what its conversion is given."""

    precision: str
    options: ConversionOptions


class Precision(Protocol):
    """An entry of the group ``tlbench.precisions``. Importing it must import no heavy library."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def summary(self) -> str:
        """One line: what it does."""

    @property
    def needs_calibration(self) -> bool:
        """Whether the result depends on calibration images."""

    def software(self) -> dict[str, str]:
        """Return the versions of what the result depends on."""

    def convert(
        self, source: OnnxModel, destination: Path, options: ConversionOptions, listener: Listener
    ) -> ModelCard:
        """Write *source* at this precision and return the new card.

        The file takes the same raw images and returns float32 features, as *source* does.

        Raises
        ------
        ExportError, StorageError
            Nothing is left at *destination* then.
        """


PRECISIONS: Registry[Precision] = Registry("precisions")


def check_precision(name: str) -> None:
    """Raise UnknownNameError unless *name* is fp32 or an entry of the registry."""
    known = [FULL_PRECISION, *PRECISIONS.names()]
    if name not in known:
        raise unknown_name("precision", name, known)
