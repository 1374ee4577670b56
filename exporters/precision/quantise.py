"""Static 8-bit quantisation of a float network, as pairs of Quantize- and DequantizeLinear."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx

from exporters.precision.calibrate import (
    correct_biases,
    correctable,
    float_tensors,
    observe,
    ranges,
)
from tlbench.core.arrays import FloatArray
from tlbench.core.errors import ExportError, one_line

# The operators that ONNX Runtime's CPU provider computes well in 8 bits, and what lies between
# them. Averages over a whole map stay in float: a step of 8 bits would be a large part of a
# feature. So do products of two activations and curved functions (swish, GELU).
OPERATORS = frozenset(
    {"Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "MatMul", "MaxPool", "Pad", "Relu"}
)
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})


@dataclass(frozen=True, slots=True)
class QuantisationPlan:
    """The names of the nodes that are quantised or excluded, and what stays in float in words."""

    quantised: tuple[str, ...]
    excluded: tuple[str, ...]
    kept_in_float: tuple[str, ...]


def make_plan(network: onnx.ModelProto) -> QuantisationPlan:
    """Choose the nodes to quantise, and give a name to each node that has none, in place.

    The first weighted layer and what lies before it stay in float: the image's fine steps matter,
    and ONNX Runtime 1.31 refuses to load a file whose first convolution has 8 bits behind tlbench's
    resize. A layer that writes an output stays in float, too.
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
            f"The network has {len(weighted)} weighted layers. The first and the last stay in "
            "float, which leaves nothing to quantise. Export it as fp32."
        )
        raise ExportError(msg)
    layers = [f"{node.op_type} {node.name}" for node in excluded if node.op_type in _WEIGHTED]
    others = {node.op_type for node in nodes} - OPERATORS
    return QuantisationPlan(
        quantised=tuple(node.name for node in quantised),
        excluded=tuple(node.name for node in excluded),
        kept_in_float=(*layers, *sorted(others)),
    )


def quantise_calibrated(
    network: onnx.ModelProto, calibration: Iterable[FloatArray], *, reduce_range: bool
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Return the network in 8 bits, calibrated on preprocessed batches, and what stays in float.

    It is quantised twice: to find out how the weights are rounded, and with corrected biases.
    """
    plan = make_plan(network)
    touched = {
        tensor
        for node in network.graph.node
        if node.name in plan.quantised
        for tensor in (*node.input, *node.output)
    }
    seen = observe(
        network,
        calibration,
        ranges_of=touched & set(float_tensors(network)),
        means_of={node.input[0] for node in correctable(network, plan.quantised)},
    )
    limits = ranges(seen)
    first = quantise(network, plan, limits, reduce_range=reduce_range)
    corrected = correct_biases(network, first, plan.quantised, seen.means)
    return quantise(corrected, plan, limits, reduce_range=reduce_range), plan.kept_in_float


def quantise(
    network: onnx.ModelProto,
    plan: QuantisationPlan,
    limits: dict[str, tuple[float, float]],
    *,
    reduce_range: bool,
) -> onnx.ModelProto:
    """Return the quantised network: weights int8 by channel, activations uint8, biases int32."""
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
        msg = f"ONNX Runtime cannot quantise this network: {one_line(error)}"
        raise ExportError(msg) from error
    quantizer.model.topological_sort()
    quantised: onnx.ModelProto = quantizer.model.model
    return quantised
