"""What calibration images tell about a float network: ranges of tensors, corrections of biases."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from exporters.common.parity import open_session
from tlbench.core.arrays import FloatArray
from tlbench.core.errors import ExportError

# The range of a tensor is this quantile, over the calibration images, of each image's extremes: an
# odd image does not coarsen the steps for all others. See docs/results/int8-lite0.md.
RANGE_QUANTILE = 0.9

_AXES = "__observed_axes"
_SUFFIXES = ("_quantized", "_scale", "_zero_point")


@dataclass(frozen=True, slots=True)
class Observations:
    """The extremes of tensors in each image (n_images,), and their channel means (n_channels,)."""

    lowest: dict[str, NDArray[np.float32]]
    highest: dict[str, NDArray[np.float32]]
    means: dict[str, NDArray[np.float64]]  # over images and positions


def float_tensors(network: onnx.ModelProto) -> dict[str, int]:
    """Return the rank of every float32 tensor that is not a constant, as far as ONNX infers it."""
    graph = onnx.shape_inference.infer_shapes(network, data_prop=True).graph
    constants = {tensor.name for tensor in graph.initializer}
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
        and value.type.tensor_type.HasField("shape")
        and value.name not in constants
    }


def observe(
    network: onnx.ModelProto,
    batches: Iterable[FloatArray],
    *,
    ranges_of: set[str],
    means_of: set[str],
) -> Observations:
    """Return what tensors hold when the network runs on *batches* (n, 3, height, width).

    The graph itself reduces them, so that memory does not grow with the tensors. The tensors
    *means_of* have the shape (n, channels, ...). A value that is not finite is an ExportError.
    """
    ranks = float_tensors(network)
    probed = onnx.ModelProto()
    probed.CopyFrom(network)
    graph = probed.graph
    del graph.output[:]
    wanted = [
        *((tensor, kind) for kind in ("ReduceMin", "ReduceMax") for tensor in sorted(ranges_of)),
        *((tensor, "ReduceMean") for tensor in sorted(means_of)),
    ]
    outputs = []
    for tensor, kind in wanted:
        # extremes of each image, but channel means of a batch: all positions count the same
        axes = [0, *range(2, ranks[tensor])] if kind == "ReduceMean" else range(1, ranks[tensor])
        constant = f"{_AXES}_{kind}_{ranks[tensor]}"
        if constant not in {one.name for one in graph.initializer}:
            graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), constant))
        output = f"{tensor}::{kind}"
        graph.node.append(helper.make_node(kind, [tensor, constant], [output], keepdims=0))
        graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
        outputs.append(output)
    session = open_session(probed)
    (name,) = (value.name for value in session.get_inputs())
    seen: dict[tuple[str, str], list[NDArray[Any]]] = defaultdict(list)
    sizes = []
    for batch in batches:
        sizes.append(len(batch))
        for key, value in zip(wanted, session.run(outputs, {name: batch}), strict=True):
            if not np.isfinite(value).all():
                msg = f"Tensor {key[0]!r} of the fp32 file is not finite, so it has no range."
                raise ExportError(msg)
            seen[key].append(value)
    return Observations(
        lowest={tensor: np.concatenate(seen[tensor, "ReduceMin"]) for tensor in ranges_of},
        highest={tensor: np.concatenate(seen[tensor, "ReduceMax"]) for tensor in ranges_of},
        means={
            tensor: np.average(
                np.stack(seen[tensor, "ReduceMean"]).astype(np.float64), axis=0, weights=sizes
            )
            for tensor in means_of
        },
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


def correctable(network: onnx.ModelProto, names: tuple[str, ...]) -> list[onnx.NodeProto]:
    """Return the named convolutions whose weights and bias are constants that only they read."""
    constants = {tensor.name for tensor in network.graph.initializer}
    nodes = [
        node
        for node in network.graph.node
        if node.op_type == "Conv" and node.name in names and constants.issuperset(node.input[1:])
    ]
    readers = [name for node in network.graph.node for name in node.input]
    return [node for node in nodes if all(readers.count(name) == 1 for name in node.input[2:])]


def bias_shift(
    error: NDArray[np.floating[Any]], means: NDArray[np.float64], groups: int
) -> NDArray[np.float64]:
    """Return the error of a convolution's mean output, (n_out,), from the error of its kernel.

    *error* is rounded minus exact, (n_out, n_in / groups, ...); *means* are those of the inputs,
    (n_in,). Edges are padded with zeros, not with means: there the shift is slightly too large.
    """
    summed = error.astype(np.float64).reshape(*error.shape[:2], -1).sum(axis=2)
    by_group = summed.reshape(groups, -1, summed.shape[1])
    shift: NDArray[np.float64] = np.einsum("goi,gi->go", by_group, means.reshape(groups, -1))
    return shift.reshape(-1)


def correct_biases(
    network: onnx.ModelProto,
    quantised: onnx.ModelProto,
    names: tuple[str, ...],
    means: dict[str, NDArray[np.float64]],
) -> onnx.ModelProto:
    """Return *network* with biases that make up for the rounded weights in *quantised*.

    Rounding shifts a channel whose inputs are positive (after a ReLU) by its error times their
    means: that is subtracted. Nagel et al. (2019), arXiv:1906.04721, section 4.2, with *means* (by
    the input's name) measured on calibration images instead of derived.
    """
    corrected = onnx.ModelProto()
    corrected.CopyFrom(network)
    constants = {tensor.name: tensor for tensor in corrected.graph.initializer}
    rounded = {tensor.name: tensor for tensor in quantised.graph.initializer}
    for node in correctable(corrected, names):
        kernel = numpy_helper.to_array(constants[node.input[1]])
        parts = [rounded.get(f"{node.input[1]}{suffix}") for suffix in _SUFFIXES]
        if None in parts:
            continue  # ONNX Runtime left it in float
        values, scale, zero = (
            numpy_helper.to_array(part).astype(np.float64) for part in parts if part is not None
        )
        shape = (-1, *[1] * (kernel.ndim - 1))
        error = (values - zero.reshape(shape)) * scale.reshape(shape) - kernel
        groups = next((one.i for one in node.attribute if one.name == "group"), 1)
        shift = bias_shift(error, means[node.input[0]], groups)
        if len(node.input) > 2:  # noqa: PLR2004 - input, kernel, bias
            bias = constants[node.input[2]]
            value = numpy_helper.to_array(bias) - shift
            bias.CopyFrom(numpy_helper.from_array(value.astype(np.float32), bias.name))
        else:
            name = f"{node.input[1]}_bias_correction"
            corrected.graph.initializer.append(
                numpy_helper.from_array((-shift).astype(np.float32), name)
            )
            node.input.append(name)
    return corrected
