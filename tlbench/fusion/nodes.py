"""ONNX nodes under construction, and the layers of a small network as nodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tlbench.heads import Conv, Dense, Flatten, GlobalAveragePool, Layer, LayerWeights, MaxPool

if TYPE_CHECKING:
    import onnx

Arithmetic = Literal["float32", "float64"]

# Prefix of every tensor and node that is added to a backbone; no exporter uses such names.
PREFIX = "tlbench.head/"

_MAP = 3  # dimensions of an example: height, width, channels


@dataclass
class Nodes:
    """Nodes and constants of a head. Every operator is the same in ONNX since opset 13."""

    arithmetic: Arithmetic = "float32"  # of the real numbers that `real` makes
    nodes: list["onnx.NodeProto"] = field(default_factory=list)
    constants: list["onnx.TensorProto"] = field(default_factory=list)

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node with one output; return the output's name."""
        from onnx import helper

        name = f"{PREFIX}{len(self.nodes)}.{operator}"
        output = output or name
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def constant(self, value: Any, dtype: str | None = None) -> str:  # noqa: ANN401 - an array-like
        """Add an array, by default with its own type; return its name."""
        from onnx import numpy_helper

        name = f"{PREFIX}constant.{len(self.constants)}"
        array: NDArray[Any] = np.ascontiguousarray(value, dtype=dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def real(self, value: Any) -> str:  # noqa: ANN401 - an array-like
        """Add real numbers in the chosen arithmetic; return their name."""
        return self.constant(value, self.arithmetic)

    def cast(self, source: str, dtype: str) -> str:
        """Append a cast to a numpy type, given by name."""
        from onnx import helper

        return self.node("Cast", source, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def linear(self, source: str, weights: Any, bias: Any) -> str:  # noqa: ANN401 - array-likes
        """Append ``source @ weights + bias``, weights of shape (n_inputs, n_outputs)."""
        return self.node("Gemm", source, self.real(weights), self.real(bias))

    def row_sum(self, source: str) -> str:
        """Append the sum of each row, (N, 1)."""
        return self.node("ReduceSum", source, self.constant([1], "int64"), keepdims=1)

    def arg_max(self, source: str) -> str:
        """Append the position of each row's largest value, the first of equal ones, int64 (N,)."""
        return self.node("ArgMax", source, axis=1, keepdims=0)

    def complement(self, second: str) -> str:
        """Append ``[1 - p, p]`` for the probability of the second of two classes, (N, 1)."""
        first = self.node("Sub", self.real(1.0), second)
        return self.node("Concat", first, second, axis=1)


def add_layers(
    nodes: Nodes,
    source: str,
    shape: tuple[int, ...] | None,
    layers: Sequence[Layer],
    weights: Iterator[LayerWeights],
) -> str:
    """Append layers to vectors, or to maps of *shape* (H, W, C); return the last one's output.

    *weights* are those of each Dense and Conv in order. Maps are (C, H, W) inside; Dropout acts in
    training only.
    """
    if shape is not None and len(shape) == _MAP:
        if nodes.arithmetic != "float32":  # ONNX Runtime has no other convolution on the CPU
            source = nodes.cast(source, "float32")
        source = nodes.node("Reshape", source, nodes.constant([-1, *shape], "int64"))
        source = nodes.node("Transpose", source, perm=[0, 3, 1, 2])
    for layer in layers:
        match layer:
            case Dense():
                source = nodes.linear(source, *next(weights))
            case Conv():
                kernel, bias = next(weights)  # (side, side, channels, filters)
                turned = nodes.constant(np.transpose(kernel, (3, 2, 0, 1)), "float32")
                constants = turned, nodes.constant(bias, "float32")
                pads = [margin for margin in layer.margins for _ in "HW"]
                source = nodes.node("Conv", source, *constants, pads=pads)
            case MaxPool(side):
                square = [side, side]
                source = nodes.node("MaxPool", source, kernel_shape=square, strides=square)
            case GlobalAveragePool():
                source = _vector(nodes, nodes.node("GlobalAveragePool", source))
            case Flatten():
                source = _vector(nodes, nodes.node("Transpose", source, perm=[0, 2, 3, 1]))
        if getattr(layer, "activation", None) == "relu":
            source = nodes.node("Relu", source)
    return source


def _vector(nodes: Nodes, source: str) -> str:
    flat = nodes.node("Flatten", source, axis=1)
    return flat if nodes.arithmetic == "float32" else nodes.cast(flat, nodes.arithmetic)
