"""int8: static quantisation, calibrated on training images, with corrected biases."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.precision.software import ByOnnxRuntime
from tlbench.core.errors import ExportError
from tlbench.core.progress import Listener
from tlbench.model import ConversionOptions, ModelCard, OnnxModel

if TYPE_CHECKING:
    import onnx

    from exporters.precision.parts import Parts
    from exporters.precision.quantise import QuantisationPlan


# For one image, the worst of them. Where a head was refitted, no accuracy was lost down to 0.95 and
# a point and a half at 0.79; see docs/results/int8-lite0.md.
_MIN_COSINE = 0.85

_METHOD = (
    "static 8-bit quantisation (QDQ): weights int8 by channel, activations uint8 with the 0.9 "
    "quantile of the images' extremes as range, biases corrected for the rounding of the weights"
)


@dataclass(frozen=True, slots=True)
class _Int8(ByOnnxRuntime):
    """The network in 8 bits; raw images in and float32 features out, as in the source."""

    name: str = "int8"
    summary: str = "8-bit weights and activations, calibrated on training images; for CPUs"
    needs_calibration: bool = True

    def convert(
        self, source: OnnxModel, destination: Path, options: ConversionOptions, listener: Listener
    ) -> ModelCard:
        """Quantise the network; see `tlbench.model.precision.Precision`."""
        from exporters.precision.finish import finish
        from exporters.precision.parts import join, split
        from exporters.precision.quantise import make_plan

        if not options.calibration:
            raise ExportError("int8 needs calibration images, and there are none.")
        parts = split(source)
        plan = make_plan(parts.network)
        listener.start("quantise to int8")
        try:
            network = _quantised(parts, plan, options)
        finally:
            listener.finish()
        return finish(
            join(parts, network),
            source,
            destination,
            options,
            listener,
            precision=self.name,
            method=_METHOD,
            default_min_cosine=_MIN_COSINE,
            reduce_range=options.reduce_range,
            kept_in_float=plan.kept_in_float,
        )


def _quantised(
    parts: "Parts", plan: "QuantisationPlan", options: ConversionOptions
) -> "onnx.ModelProto":
    """Observe the float network, quantise it, correct its biases and quantise it again."""
    from exporters.precision.bias import correct_biases, correctable
    from exporters.precision.observe import float_tensors, observe
    from exporters.precision.quantise import quantise, ranges
    from exporters.precision.runtime import batches

    network = parts.network
    touched = {
        tensor
        for node in network.graph.node
        if node.name in plan.quantised
        for tensor in (*node.input, *node.output)
    }
    seen = observe(
        network,
        batches(parts, options.calibration),
        ranges_of=touched & set(float_tensors(network)),
        means_of={node.input[0] for node in correctable(network, plan.quantised)},
    )
    limits = ranges(seen)
    first = quantise(network, plan, limits, reduce_range=options.reduce_range)
    corrected = correct_biases(network, first, plan.quantised, seen.means)
    return quantise(corrected, plan, limits, reduce_range=options.reduce_range)


INT8 = _Int8()
