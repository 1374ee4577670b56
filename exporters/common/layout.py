"""Remove the layout changes from a graph that tf2onnx made of a channels-last network.

tf2onnx puts a transpose before and after each convolution, and its own remover is not reliable.
This one remembers each transpose to channels-last without writing it, lets every operator that can
do so work on channels-first arrays, and writes a transpose only for the others.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
_AXIS_OF = {0: 0, 1: 2, 2: 3, 3: 1}  # axis of channels-last -> the same axis of channels-first
_SPATIAL = {2, 3}
_RANK = 4

# Operators whose first input is an array and whose others, if any, are scalars.
_ELEMENTWISE = frozenset(
    (
        *("Abs", "Cast", "Clip", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "Identity"),
        *("LeakyRelu", "Log", "Neg", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus"),
        *("Sqrt", "Tanh"),
    )
)
_BROADCASTING = frozenset(["Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"])
_REDUCING = frozenset(["ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"])


def remove_transposes(graph: onnx.GraphProto) -> None:
    """Rewrite *graph*, whose nodes must be sorted, in place with the fewest transposes.

    Names and values of the graph's outputs stay as they are.
    """
    _Walk(graph).run()


class _Walk:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.same: dict[str, str] = {}  # a name that is not written -> the name of the same array
        self.first: dict[str, str] = {}  # a channels-last name, not written -> channels-first array
        self.outputs = {value.name for value in graph.output}

    def run(self) -> None:
        for node in self.graph.node:
            node.input[:] = [self.same.get(name, name) for name in node.input]
            if not self._keeps_layout(node):
                for name in node.input:
                    self._write_last(name)
                self.nodes.append(node)
        for name in self.outputs:
            self._write_last(self.same.get(name, name))
            if name in self.same:
                self.nodes.append(helper.make_node("Identity", [self.same[name]], [name]))
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _write_last(self, name: str) -> None:
        """Write the transpose that gives the array *name*, if it is not written yet."""
        if name in self.first:
            source = [self.first.pop(name)]
            node = helper.make_node("Transpose", source, [name], f"{name}_last", perm=_TO_LAST)
            self.nodes.append(node)

    def _keeps_layout(self, node: onnx.NodeProto) -> bool:
        """Write *node* for channels-first arrays if that is possible."""
        if node.op_type in {"Transpose", "Reshape"}:
            return self._transpose(node) if node.op_type == "Transpose" else self._reshape(node)
        if len(node.output) != 1 or not any(name in self.first for name in node.input):
            return False
        if node.op_type in _BROADCASTING:
            return self._broadcast(node)
        rule = {"Concat": self._concat, "Pad": self._pad, "Slice": self._slice}
        rule |= dict.fromkeys(_ELEMENTWISE, self._elementwise)
        rule |= dict.fromkeys(_REDUCING, self._reduce)
        return node.op_type in rule and node.input[0] in self.first and rule[node.op_type](node)

    def _write(self, node: onnx.NodeProto, inputs: list[str], *, first: bool = True) -> None:
        """Write *node* with other inputs; its output, with *first*, is channels-first."""
        node.input[:] = inputs
        if first:
            name = node.output[0]
            self.first[name] = node.output[0] = f"{name}_first"
        self.nodes.append(node)

    def _transpose(self, node: onnx.NodeProto) -> bool:
        permutation = tuple(*(attribute.ints for attribute in node.attribute))
        source, target = node.input[0], node.output[0]
        if permutation == _TO_LAST and source not in self.first:
            self.first[target] = source
            return True
        if permutation == _TO_FIRST and source in self.first:
            self.same[target] = self.first[source]
            return True
        return False

    def _reshape(self, node: onnx.NodeProto) -> bool:
        # (N, C) -> (N, 1, 1, C): the maps of one pixel that squeeze-and-excite blocks work on
        shape = self._values(node.input[1])
        if shape is None or len(shape) != _RANK or tuple(shape[1:3]) != (1, 1):
            return False
        name = self._constant(f"{node.output[0]}_shape", shape[list(_TO_FIRST)])
        self._write_last(node.input[0])
        self._write(node, [node.input[0], name])
        return True

    def _broadcast(self, node: onnx.NodeProto) -> bool:
        inputs = []
        for name in node.input:
            values = self._values(name)
            if name in self.first:
                inputs.append(self.first[name])
            elif values is None or values.ndim > _RANK:
                return False
            elif values.size == 1:
                inputs.append(name)
            else:
                values = values.reshape((1,) * (_RANK - values.ndim) + values.shape)
                inputs.append(self._constant(f"{name}_first", values.transpose(_TO_FIRST)))
        self._write(node, inputs)
        return True

    def _elementwise(self, node: onnx.NodeProto) -> bool:
        self._write(node, [self.first[node.input[0]], *node.input[1:]])
        return True

    def _concat(self, node: onnx.NodeProto) -> bool:
        if not all(name in self.first for name in node.input):
            return False
        node.attribute[0].i = _AXIS_OF[node.attribute[0].i % _RANK]  # axis is its only attribute
        self._write(node, [self.first[name] for name in node.input])
        return True

    def _reduce(self, node: onnx.NodeProto) -> bool:
        axes = self._values(node.input[1]) if len(node.input) > 1 else None
        if axes is None:
            return False
        mapped = sorted(_AXIS_OF[int(axis) % _RANK] for axis in axes)
        keeps = all(entry.i for entry in node.attribute if entry.name == "keepdims")
        if not keeps and not set(mapped) >= _SPATIAL:
            return False  # what is left is in another order
        name = self._constant(f"{node.output[0]}_axes", np.array(mapped, dtype=np.int64))
        self._write(node, [self.first[node.input[0]], name], first=keeps)
        return True

    def _pad(self, node: onnx.NodeProto) -> bool:
        pads = self._values(node.input[1])
        if pads is None or len(node.input) > 3:  # noqa: PLR2004 - the fourth input chooses axes
            return False
        mapped = pads.reshape(2, _RANK)[:, list(_TO_FIRST)].reshape(-1)
        name = self._constant(f"{node.output[0]}_pads", mapped)
        self._write(node, [self.first[node.input[0]], name, *node.input[2:]])
        return True

    def _slice(self, node: onnx.NodeProto) -> bool:
        axes = self._values(node.input[3]) if len(node.input) > 3 else None  # noqa: PLR2004
        if axes is None:
            return False
        mapped = np.array([_AXIS_OF[int(axis) % _RANK] for axis in axes], dtype=np.int64)
        name = self._constant(f"{node.output[0]}_axes", mapped)
        self._write(node, [self.first[node.input[0]], *node.input[1:3], name, *node.input[4:]])
        return True

    def _values(self, name: str) -> NDArray[np.generic] | None:
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def _constant(self, name: str, values: NDArray[np.generic]) -> str:
        if name not in self.constants:
            tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
            self.constants[name] = tensor
            self.graph.initializer.append(tensor)
        return name
