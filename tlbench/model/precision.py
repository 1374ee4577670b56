"""Precisions: conversions of an exported, verified fp32 file, whatever backbone it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener
from tlbench.core.registry import Registry, unknown_name
from tlbench.model.card import ImageSample, ModelCard
from tlbench.model.file import OnnxModel

if TYPE_CHECKING:  # listing the precisions must not import numpy
    from tlbench.core.arrays import ImageArray

FULL_PRECISION = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionOptions:
    """The images and limits of a conversion; images are uint8 (H, W, 3) of any sizes."""

    sample: ImageSample  # where the images come from, for the card
    calibration: "Sequence[ImageArray]"  # to fit ranges and biases on
    held_out: "Sequence[ImageArray]"  # to measure the drift on
    reduce_range: bool = False  # 7-bit weights; see `tlbench.machine.int8_saturates`
    min_cosine: float | None = None  # limit of every image's drift; None for the precision's own

    def __post_init__(self) -> None:
        if self.min_cosine is not None and not -1 <= self.min_cosine <= 1:
            raise ConfigError(f"min_cosine must be between -1 and 1, got {self.min_cosine}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRequest:
    """The name of a precision other than fp32, and the options of the conversion to it."""

    precision: str
    options: ConversionOptions


class Precision(Protocol):
    """An entry of the group ``tlbench.precisions``. Importing it must import no heavy library."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def summary(self) -> str:
        """One line: what the conversion does, and for which hardware."""

    @property
    def needs_calibration(self) -> bool:
        """Whether the result depends on calibration images."""

    def software(self) -> dict[str, str]:
        """Return the versions of the software that the result depends on."""

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
