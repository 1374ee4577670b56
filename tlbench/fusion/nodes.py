"""A list of ONNX nodes under construction."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx


Arithmetic = Literal["float32", "float64"]

# Of every tensor and node that is added to a backbone: an exporter's names have none like it.
PREFIX = "tlbench.head/"


@dataclass
class Nodes:
    """Nodes and constants of a head; every operator has been in ONNX since opset 13 unchanged.

    Attributes
    ----------
    arithmetic : {"float32", "float64"}
        Of the real numbers that `real` makes.
    """

    arithmetic: Arithmetic = "float32"
    nodes: list["onnx.NodeProto"] = field(default_factory=list)
    constants: list["onnx.TensorProto"] = field(default_factory=list)

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node with one output; return the output's name."""
        from onnx import helper

        name = f"{PREFIX}{len(self.nodes)}.{operator}"
        output = output or name
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        """Add an array as it is; return its name."""
        from onnx import numpy_helper

        name = f"{PREFIX}constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def real(self, value: Any) -> str:  # noqa: ANN401 - whatever numpy makes an array of
        """Add real numbers in the chosen arithmetic; return their name."""
        return self.constant(np.asarray(value, dtype=self.arithmetic))

    def cast(self, source: str, dtype: str, output: str = "") -> str:
        """Append a cast to a type by numpy's name."""
        from onnx import helper

        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", source, output=output, to=to)

    def linear(self, source: str, weights: Any, bias: Any) -> str:  # noqa: ANN401 - see real
        """Append ``source @ weights + bias``, weights of shape (n_inputs, n_outputs)."""
        return self.node("Gemm", source, self.real(weights), self.real(bias))

    def row_sum(self, source: str) -> str:
        """Append the sum over each row, (N, 1)."""
        axes = self.constant(np.array([1], dtype=np.int64))
        return self.node("ReduceSum", source, axes, keepdims=1)

    def arg_max(self, source: str) -> str:
        """Append the position of each row's largest value, the first of equal ones, int64 (N,)."""
        return self.node("ArgMax", source, axis=1, keepdims=0)

    def complement(self, second: str) -> str:
        """Append ``[1 - p, p]`` for the probability of the second of two classes, (N, 1)."""
        first = self.node("Sub", self.real(1.0), second)
        return self.node("Concat", first, second, axis=1)
