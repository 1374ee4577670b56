"""Scales and biases go into the convolution before them, and nothing else does."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters.common.finish import fold_into_convolutions

GENERATOR = np.random.default_rng(1)
CONSTANTS = {
    "w": GENERATOR.normal(size=(6, 1, 3, 3)),  # three groups of two: depthwise
    "b": GENERATOR.normal(size=6),
    "channels": GENERATOR.normal(size=(1, 6, 1, 1)),
    "rows": GENERATOR.normal(size=(1, 1, 6, 1)),
    "two": np.array(2.0),
}


def _node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), [output], **attributes)


CONV = _node("Conv", "x w", "a", group=3)
BIASED = _node("Conv", "x w b", "a", group=3)

# name: nodes, operators left
CASES = {
    "batch normalisation": (
        [CONV, _node("Mul", "a channels", "c"), _node("Add", "c channels", "y")],
        ["Conv"],
    ),
    "bias there already": ([BIASED, _node("Add", "channels a", "y")], ["Conv"]),
    "scale of a bias": ([BIASED, _node("Mul", "a channels", "y")], ["Conv"]),
    "scalar": ([CONV, _node("Mul", "two a", "y")], ["Conv"]),
    "until something else comes": (
        [CONV, _node("Add", "a two", "c"), _node("Relu", "c", "d"), _node("Mul", "d two", "y")],
        ["Conv", "Relu", "Mul"],
    ),
    "not by position": ([CONV, _node("Mul", "a rows", "y")], ["Conv", "Mul"]),
    "not read twice": (
        [CONV, _node("Mul", "a two", "c"), _node("Add", "a c", "y")],
        ["Conv", "Mul", "Add"],
    ),
    "not with itself": ([CONV, _node("Mul", "a a", "y")], ["Conv", "Mul"]),
    "not another operator": ([CONV, _node("Div", "a two", "y")], ["Conv", "Div"]),
}


def _run(graph):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    pixels = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    return session.run(None, {"x": pixels})[0]


@pytest.mark.parametrize(("nodes", "left"), CASES.values(), ids=CASES)
def test_same_values_in_fewer_nodes(nodes, left):
    """The graph computes the same, by the operators that could not be folded."""
    graph = helper.make_graph(
        [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 6, 6, 6])],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in CONSTANTS.items()
        ],
    )
    before = _run(graph)
    fold_into_convolutions(graph)
    assert [node.op_type for node in graph.node] == left
    # float32: the scaled kernel is rounded before the sum and not after it
    np.testing.assert_allclose(_run(graph), before, rtol=1e-5, atol=1e-5)


def test_a_kernel_that_two_convolutions_share_is_scaled_once():
    """Folding into one convolution leaves the other's weights alone."""
    nodes = [
        _node("Conv", "x w", "a", group=3),
        _node("Conv", "x w", "c", group=3),
        _node("Mul", "a two", "d"),
        _node("Sub", "d c", "y"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 6, 6, 6])],
        [
            numpy_helper.from_array(CONSTANTS[name].astype(np.float32), name)
            for name in ("w", "two")
        ],
    )
    before = _run(graph)
    fold_into_convolutions(graph)
    assert [node.op_type for node in graph.node] == ["Conv", "Conv", "Sub"]
    np.testing.assert_allclose(_run(graph), before, rtol=1e-5, atol=1e-5)
