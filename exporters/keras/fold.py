"""Fold what follows a convolution channel by channel into its weights."""

from collections import Counter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_RANK = 4


def fold_into_convolutions(graph: onnx.GraphProto) -> None:
    """Merge batch normalisations, biases and scales into the ``Conv`` before them, in place.

    Only where nothing else reads the convolution's output. The arrays are channels-first; products
    are computed in double precision and rounded once.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    convolutions: dict[str, onnx.NodeProto] = {}  # by the name of their output
    kept = []
    for node in graph.node:
        source = next((name for name in node.input if name in convolutions), "")
        if source and readers[source] == 1 and _folds(graph, convolutions[source], node, constants):
            convolution = convolutions.pop(source)
            convolution.output[0] = node.output[0]
            convolutions[node.output[0]] = convolution
            continue
        if node.op_type == "Conv" and all(name in constants for name in node.input[1:]):
            convolutions[node.output[0]] = node
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _folds(
    graph: onnx.GraphProto,
    convolution: onnx.NodeProto,
    node: onnx.NodeProto,
    constants: dict[str, onnx.TensorProto],
) -> bool:
    """Merge *node* into *convolution* if it is a product or sum with one number a channel."""
    others = [name for name in node.input if name != convolution.output[0]]
    if node.op_type not in {"Add", "Mul"} or len(others) != 1 or others[0] not in constants:
        return False
    factor = _values(constants[others[0]])
    if factor.size != 1 and (factor.ndim != _RANK or factor.size != factor.shape[1]):
        return False
    kernel = _values(constants[convolution.input[1]])
    factor = np.broadcast_to(factor.reshape(-1), kernel.shape[:1])
    bias = np.zeros(len(kernel))
    if len(convolution.input) > 2:  # noqa: PLR2004 - the third input is the bias
        bias = _values(constants[convolution.input[2]])
    if node.op_type == "Mul":
        kernel, bias = kernel * factor.reshape(-1, 1, 1, 1), bias * factor
    else:
        bias = bias + factor
    name = node.output[0]
    tensors = [
        numpy_helper.from_array(values.astype(np.float32), f"{name}_{part}")
        for part, values in (("kernel", kernel), ("bias", bias))
    ]
    constants.update((tensor.name, tensor) for tensor in tensors)
    graph.initializer.extend(tensors)
    del convolution.input[1:]
    convolution.input.extend(tensor.name for tensor in tensors)
    return True


def _values(tensor: onnx.TensorProto) -> NDArray[np.float64]:
    return numpy_helper.to_array(tensor).astype(np.float64)
