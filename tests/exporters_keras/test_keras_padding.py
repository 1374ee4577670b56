"""Zeros before a maximum stay zeros in ONNX Runtime."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters.common.finish import protect_padding


def _graph(*, relu):
    nodes = [
        helper.make_node("Relu" if relu else "Neg", ["x"], ["a"]),
        helper.make_node("Pad", ["a", "pads"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["y"], kernel_shape=[3, 3], strides=[2, 2]),
    ]
    return helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2, 3, 3])],
        [numpy_helper.from_array(np.array([0, 0, 1, 0, 0, 0, 0, 1]), "pads")],
    )


def _run(graph, pixels):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": pixels})[0]


def test_zeros_win_over_negative_values():
    """Where all values of a window at the border are negative, the padding is the maximum."""
    graph = _graph(relu=False)
    protect_padding(graph)
    values = -np.random.default_rng(0).uniform(1, 2, (2, 2, 6, 6)).astype(np.float32)
    padded = np.pad(values, ((0, 0), (0, 0), (1, 0), (0, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    expected = windows.max(axis=(4, 5))
    assert (expected == 0).any()
    assert (expected < 0).any()
    np.testing.assert_array_equal(_run(graph, -values), expected)


@pytest.mark.parametrize("relu", [False, True])
def test_padding_after_relu_is_left_to_be_merged(relu):
    """Only a Pad of possibly negative values gets its axes named."""
    graph = _graph(relu=relu)
    protect_padding(graph)
    assert len(graph.node[1].input) == (2 if relu else 4)
