"""Static 8-bit quantisation of a float network, as pairs of Quantize- and DequantizeLinear."""

from dataclasses import dataclass

import numpy as np
import onnx

from exporters.precision.observe import Observations
from tlbench.core.errors import ExportError

# What ONNX Runtime's CPU computes in 8 bits as fast as it should, and what lies between such
# operators. Averages over a whole map stay in float: a step of 8 bits would be a large part of a
# feature. So do products of two activations and curved functions (swish, GELU).
OPERATORS = frozenset(
    {"Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "MatMul", "MaxPool", "Pad", "Relu"}
)
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})

# The range of a tensor is this quantile, over the calibration images, of each image's extremes: an
# odd image does not coarsen the steps of all. See docs/results/int8-lite0.md.
RANGE_QUANTILE = 0.9


@dataclass(frozen=True, slots=True)
class QuantisationPlan:
    """Which nodes are quantised, by name, and what stays in float, for people."""

    quantised: tuple[str, ...]
    excluded: tuple[str, ...]
    kept_in_float: tuple[str, ...]


def make_plan(network: onnx.ModelProto) -> QuantisationPlan:
    """Choose the nodes; nodes without a name are given one, in place.

    The first weighted layer and what lies before it stay in float: its input is the image, whose
    fine steps matter, it is a small part of the work, and ONNX Runtime 1.31 refuses to load a file
    whose first convolution has 8 bits behind our resize. So does a layer that writes an output.

    Raises
    ------
    ExportError
        If nothing is left to quantise.
    """
    nodes = list(network.graph.node)
    for position, node in enumerate(nodes):
        node.name = node.name or f"{node.op_type}_{position}"
    weighted = [i for i, node in enumerate(nodes) if node.op_type in _WEIGHTED]
    first = weighted[0] if weighted else len(nodes)
    outputs = {value.name for value in network.graph.output}
    excluded = [
        node
        for position, node in enumerate(nodes)
        if position <= first or (node.op_type in _WEIGHTED and outputs & set(node.output))
    ]
    names = {node.name for node in excluded}
    quantised = [node for node in nodes if node.op_type in OPERATORS and node.name not in names]
    if not any(node.op_type in _WEIGHTED for node in quantised):
        msg = (
            f"The network has {len(weighted)} weighted layers; the first and the last stay in "
            "float, so that there is nothing to quantise. Export it as fp32."
        )
        raise ExportError(msg)
    layers = [f"{node.op_type} {node.name}" for node in excluded if node.op_type in _WEIGHTED]
    others = {node.op_type for node in nodes} - OPERATORS
    return QuantisationPlan(
        quantised=tuple(node.name for node in quantised),
        excluded=tuple(node.name for node in excluded),
        kept_in_float=("preprocessing", *layers, *sorted(others)),
    )


def ranges(observations: Observations) -> dict[str, tuple[float, float]]:
    """Return (low, high) of each observed tensor; zero is always inside."""
    return {
        tensor: (
            min(float(np.quantile(lowest, 1 - RANGE_QUANTILE)), 0.0),
            max(float(np.quantile(observations.highest[tensor], RANGE_QUANTILE)), 0.0),
        )
        for tensor, lowest in observations.lowest.items()
    }


def quantise(
    network: onnx.ModelProto,
    plan: QuantisationPlan,
    limits: dict[str, tuple[float, float]],
    *,
    reduce_range: bool,
) -> onnx.ModelProto:
    """Return the quantised network: weights int8 by channel, activations uint8, biases int32.

    A ReLU or clip between a layer and its range is absorbed by the range.
    """
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.shape_inference.infer_shapes(network, data_prop=True)
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(
            CalibrationMethod.MinMax,
            {name: (np.float32(low), np.float32(high)) for name, (low, high) in limits.items()},
        ),
        nodes_to_quantize=list(plan.quantised),
        nodes_to_exclude=list(plan.excluded),
        op_types_to_quantize=sorted(OPERATORS),
        extra_options={},
    )
    try:
        quantizer.quantize_model()
    except (ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ExportError(f"ONNX Runtime cannot quantise this network: {reason}") from error
    quantizer.model.topological_sort()
    quantised: onnx.ModelProto = quantizer.model.model
    return quantised
