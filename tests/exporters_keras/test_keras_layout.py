"""The pass that takes transposes out keeps what a graph computes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters.common.finish import rename
from exporters.common.layout import remove_transposes

LAST, FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
CHANNELS = np.linspace(-1, 1, 3, dtype=np.float32)


def _node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def _graph(nodes, constants=(), outputs=("y",)):
    return helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 4, 5])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )


def _run(graph):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    pixels = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    return session.run(None, {"x": pixels})


TO_LAST = _node("Transpose", "x", "a", perm=LAST)
TO_FIRST = _node("Transpose", "b", "y", perm=FIRST)
AXES = ("axes", np.array([1, 2]))

# name: nodes, constants, transposes that must be left
CASES = {
    "round trip": ([TO_LAST, _node("Relu", "a", "b"), TO_FIRST], (), 0),
    "constant by channel": ([TO_LAST, _node("Mul", "a c", "b"), TO_FIRST], [("c", CHANNELS)], 0),
    "constant first": ([TO_LAST, _node("Sub", "c a", "b"), TO_FIRST], [("c", CHANNELS)], 0),
    "constant by position": (
        [TO_LAST, _node("Add", "a c", "b"), TO_FIRST],
        [("c", np.arange(20, dtype=np.float32).reshape(4, 5, 1))],
        0,
    ),
    "scalar": ([TO_LAST, _node("Max", "a c", "b"), TO_FIRST], [("c", np.float32(0.1))], 0),
    "clip": (
        [TO_LAST, _node("Clip", "a low high", "b"), TO_FIRST],
        [("low", np.float32(0)), ("high", np.float32(1))],
        0,
    ),
    "two branches": (
        [
            TO_LAST,
            _node("Sigmoid", "a", "s"),
            _node("Mul", "a s", "b"),
            TO_FIRST,
        ],
        (),
        0,
    ),
    "pooling": ([TO_LAST, _node("ReduceMean", "a axes", "y", keepdims=0)], [AXES], 0),
    "pooling kept": (
        [TO_LAST, _node("ReduceMax", "a axes", "b", keepdims=1), TO_FIRST],
        [AXES],
        0,
    ),
    "normalisation": (
        [
            TO_LAST,
            _node("ReduceMean", "a axes", "m"),
            _node("Sub", "a m", "b"),
            TO_FIRST,
        ],
        [("axes", np.array([-1]))],
        0,
    ),
    "squeeze and excite": (
        [
            TO_LAST,
            _node("ReduceMean", "a axes", "m", keepdims=0),
            _node("Reshape", "m shape", "r"),
            _node("Mul", "a r", "b"),
            TO_FIRST,
        ],
        [AXES, ("shape", np.array([-1, 1, 1, 3]))],
        0,
    ),
    "concatenation": ([TO_LAST, _node("Concat", "a a", "b", axis=-1), TO_FIRST], (), 0),
    "padding": (
        [TO_LAST, _node("Pad", "a pads", "b"), TO_FIRST],
        [("pads", np.array([0, 1, 2, 0, 0, 3, 4, 0]))],
        0,
    ),
    "cropping": (
        [TO_LAST, _node("Slice", "a starts ends axes", "b"), TO_FIRST],
        [("starts", np.array([1, 2])), ("ends", np.array([3, 5])), ("axes", np.array([1, -2]))],
        0,
    ),
    "flattening needs the order": (
        [TO_LAST, _node("Relu", "a", "b"), _node("Reshape", "b shape", "y")],
        [("shape", np.array([-1, 60]))],
        1,
    ),
    "reduction of channels": (
        [TO_LAST, _node("ReduceMean", "a axes", "y", keepdims=0)],
        [("axes", np.array([3]))],
        1,
    ),
    "matrix product": (
        [TO_LAST, _node("MatMul", "a w", "y")],
        [("w", np.eye(3, 2, dtype=np.float32))],
        1,
    ),
    "used both ways": (
        [TO_LAST, _node("MatMul", "a w", "p"), _node("Add", "a p", "b"), TO_FIRST],
        [("w", np.ones((3, 3), dtype=np.float32))],
        2,
    ),
    "transpose of a transpose": (
        [TO_LAST, _node("Transpose", "a", "y", perm=LAST)],
        (),
        2,
    ),
    "another permutation": ([TO_LAST, _node("Transpose", "a", "y", perm=[0, 3, 2, 1])], (), 2),
    "output is channels-last": ([_node("Transpose", "x", "y", perm=LAST)], (), 1),
    "outside": ([_node("Relu", "x", "y")], (), 0),
}


@pytest.mark.parametrize(("nodes", "constants", "left"), CASES.values(), ids=CASES)
def test_same_values_with_fewer_transposes(nodes, constants, left):
    """A graph computes the same before and after, and keeps only the transposes it needs."""
    graph = _graph(
        [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes], constants
    )
    (before,) = _run(graph)
    remove_transposes(graph)
    assert sum(node.op_type == "Transpose" for node in graph.node) == left
    np.testing.assert_array_equal(_run(graph)[0], before)


def test_outputs_keep_names_and_values_when_they_are_transposed_away():
    """An output that turns out to be another array of the graph is still there."""
    graph = _graph(
        [TO_LAST, _node("Relu", "a", "b"), TO_FIRST, _node("Relu", "x", "z")],
        outputs=("y", "z", "b"),
    )
    before = _run(graph)
    remove_transposes(graph)
    assert [value.name for value in graph.output] == ["y", "z", "b"]
    for old, new in zip(before, _run(graph), strict=True):
        np.testing.assert_array_equal(new, old)


def test_names_do_not_depend_on_the_counters_of_the_converter():
    """Two conversions of one network that differ in running numbers become the same bytes."""

    def converted(start):
        nodes = [
            _node("Mul", f"x Const__{start}", f"net/layer/mul__{start + 1}:0"),
            _node("Mul", f"net/layer/mul__{start + 1}:0 Const__{start + 2}", "net/layer/mul:0"),
            _node("Relu", "net/layer/mul:0", "y"),
        ]
        constants = [(f"Const__{start + 2}", CHANNELS[:1]), (f"Const__{start}", CHANNELS[1:2])]
        graph = _graph(nodes, constants)
        before = _run(graph)
        rename(graph)
        np.testing.assert_array_equal(_run(graph)[0], before[0])
        return graph

    first, second = converted(1), converted(500)
    assert first.SerializeToString() == second.SerializeToString()
    assert [node.name for node in first.node] == ["layer/mul", "layer/mul__2", "y"]
