"""fp16: float16, half the bytes, for accelerators that compute in it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.core.progress import Listener
from tlbench.model import ConversionOptions, ModelCard, OnnxModel

if TYPE_CHECKING:
    import onnx

# A float16 has 11 bits: features that agree to three digits have a cosine above 0.9999. A smaller
# one than this means that something overflowed or a layer was lost. See docs/precisions.md.
_MIN_COSINE = 0.999


@dataclass(frozen=True, slots=True)
class _Fp16:
    """The network in float16; raw images in and float32 features out, as in the source."""

    name: str = "fp16"
    summary: str = "float16 inside, half the size; for GPUs, because most CPUs compute in float32"
    needs_calibration: bool = False

    def software(self) -> dict[str, str]:
        """Return the versions of the software that the result depends on."""
        from exporters.precision.network import software_versions

        return software_versions()

    def convert(
        self, source: OnnxModel, destination: Path, options: ConversionOptions, listener: Listener
    ) -> ModelCard:
        """Convert the network and return the new card."""
        from exporters.precision.network import convert_and_publish

        return convert_and_publish(
            source,
            destination,
            options,
            listener,
            convert=lambda parts: _to_float16(parts.network),
            precision=self.name,
            method="weights and activations float16, converted by ONNX Runtime's float16 tool",
            default_min_cosine=_MIN_COSINE,
            reduce_range=None,
        )


def _to_float16(network: "onnx.ModelProto") -> "tuple[onnx.ModelProto, tuple[str, ...]]":
    """Return the network in float16 and the operators that the tool leaves in float32."""
    import onnx
    from onnxruntime.quantization.onnx_model import ONNXModel

    path = list(sys.path)
    try:
        # The package adds its own folder to the path when it is imported.
        from onnxruntime.transformers.float16 import (
            DEFAULT_OP_BLOCK_LIST,
            convert_float_to_float16,
        )
    finally:
        sys.path[:] = path
    copy = onnx.ModelProto()
    copy.CopyFrom(network)
    operators = {node.op_type for node in network.graph.node}
    converted: onnx.ModelProto = convert_float_to_float16(copy, keep_io_types=True)
    ONNXModel(converted).topological_sort()  # the tool puts its casts at the end
    return converted, tuple(sorted(operators & set(DEFAULT_OP_BLOCK_LIST)))


FP16 = _Fp16()
