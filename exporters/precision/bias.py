"""Bias correction: rounding the weights must not move a channel's mean.

A rounded weight is off by a fraction of a step, always to the same side; summed over a kernel whose
inputs are positive (after a ReLU) that shifts the whole channel. The expected shift is the rounding
error times the mean of each input channel, and goes into the bias. Nagel et al. (2019),
arXiv:1906.04721, section 4.2, with means measured on calibration images and not derived.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_SUFFIXES = ("_quantized", "_scale", "_zero_point")


def correctable(network: onnx.ModelProto, names: tuple[str, ...]) -> list[onnx.NodeProto]:
    """Return the convolutions among the named nodes whose weights, and bias if any, are constants.

    A bias that several nodes read is nobody's to change.
    """
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
    """Return by how much a convolution's mean output is off.

    Parameters
    ----------
    error : ndarray of shape (n_out, n_in / groups, ...)
        Rounded minus exact kernel.
    means : ndarray of shape (n_in,)
        Mean of each input channel. The edges are padded with zeros, not with means: there the
        shift is a little too large.

    Returns
    -------
    ndarray of shape (n_out,), float64
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
    """Return *network* with the biases that make up for the rounded weights in *quantised*.

    Parameters
    ----------
    names : tuple of str
        The quantised nodes.
    means : dict of str to ndarray of shape (n_channels,)
        Mean input channels, by the name of the input.
    """
    corrected = onnx.ModelProto()
    corrected.CopyFrom(network)
    constants = {tensor.name: tensor for tensor in corrected.graph.initializer}
    rounded = {tensor.name: tensor for tensor in quantised.graph.initializer}
    for node in correctable(corrected, names):
        kernel = numpy_helper.to_array(constants[node.input[1]])
        parts = [rounded.get(f"{node.input[1]}{suffix}") for suffix in _SUFFIXES]
        if None in parts:
            continue  # not quantised after all
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
