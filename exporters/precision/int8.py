"""int8: static quantisation, calibrated on training images, with corrected biases."""

from dataclasses import dataclass
from pathlib import Path

from tlbench.core.errors import ExportError
from tlbench.core.progress import Listener
from tlbench.model import ConversionOptions, ModelCard, OnnxModel

# Smallest cosine of any image. With a refitted head, no accuracy was lost down to 0.95 and one and
# a half points at 0.79; see docs/results/int8-lite0.md.
_MIN_COSINE = 0.85

_METHOD = (
    "static 8-bit quantisation (QDQ): weights int8 by channel, activations uint8 with the 0.9 "
    "quantile of the images' extremes as range, biases corrected for the rounding of the weights"
)


@dataclass(frozen=True, slots=True)
class _Int8:
    """The network in 8 bits; raw images in and float32 features out, as in the source."""

    name: str = "int8"
    summary: str = "8-bit weights and activations, calibrated on training images; for CPUs"
    needs_calibration: bool = True

    def software(self) -> dict[str, str]:
        """Return the versions of the software that the result depends on."""
        from exporters.precision.network import software_versions

        return software_versions()

    def convert(
        self, source: OnnxModel, destination: Path, options: ConversionOptions, listener: Listener
    ) -> ModelCard:
        """Quantise the network and return the new card."""
        from exporters.precision.network import batches, convert_and_publish
        from exporters.precision.quantise import quantise_calibrated

        if not options.calibration:
            raise ExportError("precision='int8' needs calibration images, but there are none.")
        return convert_and_publish(
            source,
            destination,
            options,
            listener,
            convert=lambda parts: quantise_calibrated(
                parts.network,
                batches(parts, options.calibration),
                reduce_range=options.reduce_range,
            ),
            precision=self.name,
            method=_METHOD,
            default_min_cosine=_MIN_COSINE,
            reduce_range=options.reduce_range,
        )


INT8 = _Int8()
