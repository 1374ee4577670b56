"""Multiply-accumulates of graphs that are small enough to count by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tlbench.core.errors import ModelError
from tlbench.model import OnnxModel, count_macs


@pytest.fixture
def build(tmp_path):
    """Return a function that saves a graph of one input 'x' and one output 'y'."""

    def _build(nodes, shape, **weights):
        rank = len(shape)
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            # of open rank, as the count must not rely on it
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [
                onnx.numpy_helper.from_array(np.zeros(size, dtype=np.float32), name)
                for name, size in weights.items()
            ],
        )
        opset = [helper.make_opsetid("", 17)]
        path = tmp_path / f"rank{rank}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
        return OnnxModel(path)

    return _build


def _conv(**attributes):
    return [helper.make_node("Conv", ["x", "w"], ["y"], **attributes)]


@pytest.mark.parametrize(
    ("attributes", "weight", "macs"),
    [
        # outputs x (inputs / groups) x kernel
        pytest.param({"pads": [1, 1, 1, 1]}, (8, 4, 3, 3), 8 * 10 * 12 * 4 * 9, id="same"),
        pytest.param({}, (8, 4, 3, 3), 8 * 8 * 10 * 4 * 9, id="valid"),
        pytest.param({"strides": [2, 2]}, (8, 4, 1, 1), 8 * 5 * 6 * 4, id="strided"),
        pytest.param({"group": 2}, (8, 2, 1, 1), 8 * 10 * 12 * 2, id="two groups"),
        pytest.param({"group": 4}, (4, 1, 3, 3), 4 * 8 * 10 * 9, id="depthwise"),
        pytest.param({"dilations": [2, 2]}, (8, 4, 3, 3), 8 * 6 * 8 * 4 * 9, id="dilated"),
    ],
)
def test_convolution(build, attributes, weight, macs):
    """Each output needs one multiplication for each weight that reaches it."""
    assert count_macs(build(_conv(**attributes), [1, 4, 10, 12], w=weight)) == macs


@pytest.mark.parametrize(("trans_b", "weight"), [(0, (5, 7)), (1, (7, 5))])
def test_gemm(build, trans_b, weight):
    """A dense layer costs inputs times outputs, however its matrix is stored."""
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=trans_b)
    assert count_macs(build([node], [1, 5], w=weight, b=(7,))) == 35


@pytest.mark.parametrize(
    ("shape", "weight", "macs"), [([1, 5], (5, 7), 35), ([1, 3, 5], (5, 7), 105)]
)
def test_matmul(build, shape, weight, macs):
    """A matrix product costs its outputs times the length of the sums."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    assert count_macs(build([node], shape, w=weight)) == macs


def test_layers_add_up(build):
    """A network costs what its layers cost; elementwise operators and pooling are not counted."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "v"], ["y"]),
    ]
    model = build(nodes, [1, 4, 10, 12], w=(8, 4, 3, 3), v=(8, 10))
    assert count_macs(model) == 8 * 10 * 12 * 4 * 9 + 80


def test_open_axes_are_filled_with_the_size(build):
    """Batch, height and width that the file leaves open are one image of the given size."""
    model = build(_conv(pads=[1, 1, 1, 1]), ["N", 4, "H", "W"], w=(8, 4, 3, 3))
    assert count_macs(model, (10, 12)) == 8 * 10 * 12 * 4 * 9


@pytest.mark.parametrize("shape", [[6, 4, 10, 12], [6, 4, "H", "W"]], ids=str)
def test_a_fixed_batch_is_divided(build, shape):
    """A file that fixes the batch costs the same for one image."""
    model = build(_conv(pads=[1, 1, 1, 1]), shape, w=(8, 4, 3, 3))
    assert count_macs(model, (10, 12)) == 8 * 10 * 12 * 4 * 9


def test_counting_does_not_change_the_model(build):
    """The graph that was read stays as the file has it."""
    model = build(_conv(), ["N", 4, "H", "W"], w=(8, 4, 3, 3))
    before = model.proto.SerializeToString(deterministic=True)
    count_macs(model, (10, 12))
    assert model.proto.SerializeToString(deterministic=True) == before


def test_card_gives_the_size(tiny_model):
    """An exported backbone takes images of any size and always computes at its own."""
    assert count_macs(tiny_model) == count_macs(tiny_model, (50, 70)) == 16 * 8 * 8 * 27


def test_open_shapes_are_refused(build):
    """A number that rests on a guessed size would be wrong; the operator is named."""
    model = build(_conv(), ["N", 4, "H", "W"], w=(8, 4, 3, 3))
    with pytest.raises(ModelError, match="Conv"):
        count_macs(model)


def test_operator_without_a_weight_is_refused(build):
    """A damaged graph ends in a message."""
    model = build([helper.make_node("Conv", ["x"], ["y"])], [1, 4, 10, 12])
    with pytest.raises(ModelError, match="Conv"):
        count_macs(model)


def test_graph_without_products_costs_nothing(build):
    """Elementwise operators are not counted."""
    assert count_macs(build([helper.make_node("Relu", ["x"], ["y"])], [1, 5])) == 0
