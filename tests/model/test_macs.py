"""Multiply-accumulates of graphs that are small enough to count by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tlbench.core.errors import ModelError
from tlbench.model import OnnxModel, count_macs, is_full_precision


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


def _graph(path, nodes, inputs, *, constants=(), functions=(), domains=("com.microsoft",)):
    """Save a graph whose constants are given as name=array."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        # of a type that no inference may rely on
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants],
    )
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(one, 1) for one in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    onnx.save(model, path)
    return OnnxModel(path)


SCALES = [("s", np.float32(1)), ("z", np.uint8(0)), ("zi", np.int8(0))]
KERNEL = ("w", np.zeros((8, 4, 3, 3), np.uint8))
MATRIX = ("w", np.zeros((5, 7), np.uint8))
CONV_MACS = 8 * 10 * 12 * 4 * 9


def _convolution(name, inputs, domain="", **more):
    return helper.make_node(name, inputs, ["y"], pads=[1, 1, 1, 1], domain=domain, **more)


MICROSOFT = "com.microsoft"


@pytest.mark.parametrize(
    "node",
    [
        _convolution("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z"]),
        _convolution("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z"], MICROSOFT),
        _convolution("ConvInteger", ["x", "w", "z", "z"]),
        _convolution("FusedConv", ["x", "w"], MICROSOFT, activation="Relu"),
    ],
    ids=lambda node: f"{node.domain}.{node.op_type}",
)
def test_a_convolution_costs_the_same_in_any_form(tmp_path, node):
    """Quantised, or fused with what follows it."""
    inputs = [("x", TensorProto.UINT8, [1, 4, 10, 12])]
    model = _graph(tmp_path / "m.onnx", [node], inputs, constants=[*SCALES, KERNEL])
    assert count_macs(model) == CONV_MACS


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("QLinearMatMul", ["x", "s", "z", "w", "s", "z", "s", "z"], ["y"]),
        helper.make_node("MatMulInteger", ["x", "w", "z", "z"], ["y"]),
        helper.make_node(
            "MatMulIntegerToFloat", ["x", "w", "s", "s", "z", "z"], ["y"], domain=MICROSOFT
        ),
        helper.make_node("DynamicQuantizeMatMul", ["x", "w", "s", "z"], ["y"], domain=MICROSOFT),
        helper.make_node("FusedMatMul", ["x", "w"], ["y"], domain=MICROSOFT, alpha=0.5),
        helper.make_node("FusedGemm", ["x", "w"], ["y"], domain=MICROSOFT, activation="Relu"),
        helper.make_node(
            "QGemm", ["x", "s", "z", "w", "s", "z", "", "s", "z"], ["y"], domain=MICROSOFT
        ),
    ],
    ids=lambda node: node.op_type,
)
def test_a_product_costs_the_same_in_any_form(tmp_path, node):
    inputs = [("x", TensorProto.UINT8, [3, 5])]
    model = _graph(tmp_path / "m.onnx", [node], inputs, constants=[*SCALES, MATRIX])
    assert count_macs(model) == 5 * 7  # for one of the three rows


def test_a_transposed_matrix_of_a_quantised_gemm(tmp_path):
    names = ["x", "s", "z", "w", "s", "z", "", "s", "z"]
    node = helper.make_node("QGemm", names, ["y"], domain=MICROSOFT, transB=1)
    inputs = [("x", TensorProto.UINT8, [1, 7])]
    model = _graph(tmp_path / "m.onnx", [node], inputs, constants=[*SCALES, MATRIX])
    assert count_macs(model) == 5 * 7


def test_quantised_layers_add_up(tmp_path):
    """Shapes go through the operators between the products, too."""
    rest = ["s", "z", "w", "s", "z", "s", "z"]
    pads = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", *rest], ["a"], **pads),
        helper.make_node(
            "QLinearLeakyRelu", ["a", "s", "z", "s", "z"], ["l"], domain=MICROSOFT, alpha=0.1
        ),
        helper.make_node(
            "QLinearAdd", ["a", "s", "z", "l", "s", "z", "s", "z"], ["b"], domain=MICROSOFT
        ),
        helper.make_node(
            "QLinearConcat",
            ["s", "z", "a", "s", "z", "b", "s", "z"],
            ["c"],
            domain=MICROSOFT,
            axis=1,
        ),
        helper.make_node(
            "QLinearGlobalAveragePool", ["c", "s", "z", "s", "z"], ["p"], domain=MICROSOFT
        ),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node(
            "QGemm", ["f", "s", "z", "v", "s", "z", "", "s", "z"], ["d"], domain=MICROSOFT
        ),
        helper.make_node("DequantizeLinear", ["d", "s", "z"], ["y"]),
    ]
    constants = [*SCALES, KERNEL, ("v", np.zeros((16, 10), np.uint8))]
    inputs = [("x", TensorProto.FLOAT, ["N", 4, 10, 12])]
    model = _graph(tmp_path / "m.onnx", nodes, inputs, constants=constants)
    assert count_macs(model) == CONV_MACS + 16 * 10


@pytest.mark.parametrize(
    ("attributes", "weight"),
    [
        ({}, (4, 8, 3, 3)),
        ({"strides": [2, 2]}, (4, 8, 3, 3)),
        ({"pads": [1, 1, 1, 1], "strides": [2, 2], "output_padding": [1, 1]}, (4, 8, 3, 3)),
        ({"group": 2}, (4, 4, 3, 3)),
        ({"group": 4}, (4, 1, 5, 5)),
    ],
    ids=str,
)
def test_transposed_convolution(build, attributes, weight):
    """Each input is multiplied with every weight of its channel."""
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], **attributes)
    expected = 10 * 12 * 4 * int(np.prod(weight[1:]))
    assert count_macs(build([node], [1, 4, 10, 12], w=weight)) == expected


@pytest.mark.parametrize(
    ("equation", "weight", "macs"),
    [
        ("bi,io->bo", (5, 7), 35),
        ("bi, oi -> bo", (7, 5), 35),
        ("bi,io", (5, 7), 35),
    ],
)
def test_einsum(build, equation, weight, macs):
    """As many products as its axes have combinations."""
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation=equation)
    assert count_macs(build([node], [1, 5], w=weight)) == macs


def test_einsum_of_one_input_has_no_product(build):
    node = helper.make_node("Einsum", ["x"], ["y"], equation="bi->ib")
    assert count_macs(build([node], [1, 5])) == 0


@pytest.mark.parametrize("equation", ["...i,io->...o", "bi,io,op->bp"])
def test_other_forms_of_einsum_are_unknown(build, equation):
    names = ["x", "w", "v"][: equation.count(",") + 1]
    node = helper.make_node("Einsum", names, ["y"], equation=equation)
    with pytest.raises(ModelError, match="Einsum"):
        count_macs(build([node], [1, 5], w=(5, 7), v=(7, 3)))


def _function(name, nodes, inputs, outputs, domain="local"):
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    return helper.make_function(domain, name, inputs, outputs, nodes, opsets)


def test_local_functions_are_counted(tmp_path):
    """Each time they are called, also by one another."""
    dense = _function("Dense", [helper.make_node("MatMul", ["a", "b"], ["c"])], "ab", "c")
    twice = _function(
        "Twice",
        [
            helper.make_node("Dense", ["a", "b"], ["m"], domain="local"),
            helper.make_node("Dense", ["m", "b"], ["c"], domain="local"),
        ],
        "ab",
        "c",
    )
    nodes = [
        helper.make_node("Twice", ["x", "w"], ["t"], domain="local"),
        helper.make_node("Dense", ["t", "w"], ["y"], domain="local"),
    ]
    model = _graph(
        tmp_path / "m.onnx",
        nodes,
        [("x", TensorProto.FLOAT, ["N", 5])],
        constants=[("w", np.zeros((5, 5), np.float32))],
        functions=[dense, twice],
        domains=["local"],
    )
    assert count_macs(model) == 3 * 25


def _body(name, nodes, inputs=(), outputs=("y",)):
    def value(tensor):
        kind = {"i": TensorProto.INT64, "c": TensorProto.BOOL, "d": TensorProto.BOOL}.get(tensor, 1)
        return helper.make_tensor_value_info(tensor, kind, None)

    return helper.make_graph(nodes, name, [*map(value, inputs)], [*map(value, outputs)])


def _matmul(weight, output):
    return [helper.make_node("MatMul", ["x", weight], [output])]


WEIGHTS = [
    ("w", np.zeros((5, 7), np.float32)),
    ("v", np.zeros((5, 7), np.float32)),
    ("u", np.zeros((5, 9), np.float32)),
    ("c0", np.array(True)),
    ("n", np.array(4)),
]


def _if(then, other):
    return helper.make_node(
        "If", ["c0"], ["y"], then_branch=_body("t", *then), else_branch=_body("e", *other)
    )


def test_branches_that_cost_the_same_are_counted_once(tmp_path):
    node = _if((_matmul("w", "a"), (), "a"), (_matmul("v", "b"), (), "b"))
    inputs = [("x", TensorProto.FLOAT, ["N", 5])]
    assert count_macs(_graph(tmp_path / "m.onnx", [node], inputs, constants=WEIGHTS)) == 35


def test_branches_in_branches(tmp_path):
    inner = _if((_matmul("w", "a"), (), "a"), (_matmul("v", "b"), (), "b"))
    inner.output[0] = "z"
    node = _if(([inner], (), "z"), (_matmul("v", "b"), (), "b"))
    inputs = [("x", TensorProto.FLOAT, ["N", 5])]
    assert count_macs(_graph(tmp_path / "m.onnx", [node], inputs, constants=WEIGHTS)) == 35


def test_branches_that_cost_differently_are_unknown(tmp_path):
    """Which one runs is not known before it does."""
    node = _if((_matmul("w", "a"), (), "a"), (_matmul("u", "b"), (), "b"))
    inputs = [("x", TensorProto.FLOAT, ["N", 5])]
    model = _graph(tmp_path / "m.onnx", [node], inputs, constants=WEIGHTS)
    with pytest.raises(ModelError, match="inside If depends on the data"):
        count_macs(model)


def _loop(nodes):
    body = _body("b", [*nodes, helper.make_node("Identity", ["c"], ["d"])], "ics", "dt")
    return helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)


def test_a_loop_without_products_costs_nothing(tmp_path):
    node = _loop([helper.make_node("Relu", ["s"], ["t"])])
    inputs = [("x", TensorProto.FLOAT, ["N", 5])]
    assert count_macs(_graph(tmp_path / "m.onnx", [node], inputs, constants=WEIGHTS)) == 0


def test_a_loop_with_products_is_unknown(tmp_path):
    """It may end before its last turn."""
    node = _loop([*_matmul("w", "m"), helper.make_node("Identity", ["s"], ["t"])])
    inputs = [("x", TensorProto.FLOAT, ["N", 5])]
    model = _graph(tmp_path / "m.onnx", [node], inputs, constants=WEIGHTS)
    with pytest.raises(ModelError, match="inside Loop depends on the data"):
        count_macs(model)


@pytest.mark.parametrize(("axis", "n_turns"), [(None, 6), (0, 6), (1, 5)])
def test_a_scan_costs_its_body_for_each_element(tmp_path, axis, n_turns):
    body = _body("b", [helper.make_node("MatMul", ["row", "w"], ["r"])], "s", "r")
    more = {} if axis is None else {"scan_input_axes": [axis]}
    node = helper.make_node("Scan", ["x"], ["y"], body=body, num_scan_inputs=1, **more)
    constants = [*WEIGHTS, ("row", np.zeros((1, 5), np.float32))]
    inputs = [("x", TensorProto.FLOAT, [6, 5])]
    model = _graph(tmp_path / "m.onnx", [node], inputs, constants=constants)
    assert count_macs(model) == n_turns * 35 // 6  # of six "images"


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        *((name, "") for name in ("LSTM", "GRU", "RNN", "DeformConv", "Attention", "DFT", "STFT")),
        *((name, "ai.onnx.ml") for name in ("LinearClassifier", "SVMRegressor")),
        *((name, MICROSOFT) for name in ("Attention", "MatMulNBits", "NhwcFusedConv", "GroupNorm")),
        ("Conv", "com.microsoft.nchwc"),
        ("Conv", "my.own"),
        ("NotInTheStandard", ""),
    ],
)
def test_operators_that_are_not_counted_make_the_number_unknown(tmp_path, name, domain):
    """Zero would look like an answer."""
    node = helper.make_node(name, ["x"], ["y"], domain=domain)
    inputs = [("x", TensorProto.FLOAT, [1, 5])]
    model = _graph(tmp_path / "m.onnx", [node], inputs, domains=[domain] if domain else ())
    with pytest.raises(ModelError, match=f"The arithmetic of {name}.* is not counted"):
        count_macs(model)


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        (_convolution("QLinearConv", ["x"] * 8, MICROSOFT, channels_last=1), [1, 10, 12, 4]),
        (helper.make_node("FusedMatMul", ["x", "w"], ["y"], domain=MICROSOFT, transB=1), [1, 7]),
    ],
    ids=["channels last", "transposed"],
)
def test_other_layouts_are_unknown(tmp_path, node, shape):
    """Their shapes are not those of the plain operator, and nothing tells them."""
    inputs = [("x", TensorProto.FLOAT, shape)]
    model = _graph(tmp_path / "m.onnx", [node], inputs, constants=[*SCALES, MATRIX])
    with pytest.raises(ModelError, match="is not counted"):
        count_macs(model)


def test_an_uncounted_operator_inside_a_branch_is_found(tmp_path):
    then = [helper.make_node("LSTM", ["x", "w", "w"], ["a"])]
    node = _if((then, (), "a"), (_matmul("v", "b"), (), "b"))
    inputs = [("x", TensorProto.FLOAT, ["N", 5])]
    model = _graph(tmp_path / "m.onnx", [node], inputs, constants=WEIGHTS)
    with pytest.raises(ModelError, match="LSTM"):
        count_macs(model)


def test_open_axes_written_as_minus_one_are_filled(build):
    """As those that are left out or have a name."""
    model = build(_conv(pads=[1, 1, 1, 1]), [-1, 4, -1, -1], w=(8, 4, 3, 3))
    assert count_macs(model, (10, 12)) == CONV_MACS


def test_an_input_of_unknown_shape_is_refused(build):
    model = build(_conv(), [1, 4, 10, 12], w=(8, 4, 3, 3))
    model.proto.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelError, match="Conv"):
        count_macs(model)


@pytest.mark.parametrize(
    ("kind", "is_full"),
    [("float32", True), ("float64", True), ("int64", True), ("float16", False), ("int8", False)],
)
@pytest.mark.parametrize("place", ["initializer", "Constant"])
def test_whether_all_constants_are_of_full_precision(tmp_path, kind, is_full, place):
    array = np.zeros((5, 7), kind)
    nodes = [
        helper.make_node("Cast", ["k"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    constants = [("k", array)]
    if place == "Constant":
        value = onnx.numpy_helper.from_array(array)
        nodes.insert(0, helper.make_node("Constant", [], ["k"], value=value))
        constants = []
    inputs = [("x", TensorProto.FLOAT, [1, 5])]
    model = _graph(tmp_path / "m.onnx", nodes, inputs, constants=constants)
    assert is_full_precision(model) == is_full
