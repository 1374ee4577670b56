"""The PyTorch module that the sweep compares with computes what ONNX Runtime does."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import tlbench

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[peers]'")

from onnx_torch import OnnxModule  # noqa: E402

F32 = np.float32
KERNEL = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(F32)
DEPTHWISE = np.random.default_rng(2).normal(size=(3, 1, 3, 3)).astype(F32)
BIAS = np.random.default_rng(3).normal(size=4).astype(F32)
MATRIX = np.random.default_rng(4).normal(size=(3, 5)).astype(F32)
SAME = {"auto_pad": "SAME_UPPER", "strides": [2, 2]}

CASES = {
    "Conv": (["x", KERNEL, BIAS], {"pads": [1, 1, 1, 1]}),
    "Conv, asymmetric": (["x", KERNEL], {"pads": [0, 1, 2, 1], "strides": [2, 2]}),
    "Conv, same": (["x", KERNEL], SAME),
    "Conv, depthwise": (["x", DEPTHWISE], {"group": 3, "pads": [1, 1, 1, 1]}),
    "MaxPool": (["x"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
    "MaxPool, same": (["x"], {"kernel_shape": [3, 3], **SAME}),
    "AveragePool": (["x"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "AveragePool, counted": (
        ["x"],
        {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1], "count_include_pad": 1},
    ),
    "GlobalAveragePool": (["x"], {}),
    "ReduceMean": (["x", np.array([2, 3])], {"keepdims": 0}),
    "Relu": (["x"], {}),
    "Clip": (["x", np.array(-0.5, F32), np.array(0.5, F32)], {}),
    "Clip, one end": (["x", np.array(0.0, F32)], {}),
    "Add": (["x", np.ones((1, 3, 1, 1), F32)], {}),
    "Sub": (["x", np.ones((1, 3, 1, 1), F32)], {}),
    "Mul": (["x", np.full((1, 3, 1, 1), 2.5, F32)], {}),
    "Pad": (["x", np.array([0, 0, 1, 2, 0, 0, 3, 4])], {}),
    "Concat": (["x", np.ones((2, 3, 9, 8), F32)], {"axis": 1}),
    "Gather": (["x", np.array([2, 1, 0])], {"axis": 1}),
    "Transpose": (["x"], {"perm": [0, 2, 3, 1]}),
    "Flatten": (["x"], {"axis": 1}),
    "Reshape": (["x", np.array([2, -1])], {}),
    "MatMul": (["x", np.ones((8, 2), F32)], {}),
}


def save(tmp_path, operator, inputs, attributes):
    """Write a graph of one operator on float32 (2, 3, 9, 8)."""
    names, constants = [], []
    for number, each in enumerate(inputs):
        is_name = isinstance(each, str)
        names.append(each if is_name else f"c{number}")
        if not is_name:
            constants.append(numpy_helper.from_array(each, names[-1]))
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"], **attributes)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 9, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    opsets = [helper.make_opsetid("", 18)]
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize("case", CASES)
def test_an_operator_computes_what_onnxruntime_does(tmp_path, case):
    inputs, attributes = CASES[case]
    path = save(tmp_path, case.split(",")[0], inputs, attributes)
    images = np.random.default_rng(0).normal(size=(2, 3, 9, 8)).astype(F32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": images})
    found = OnnxModule(path)(torch.from_numpy(images)).numpy()
    # float32 sums of at most 27 products in another order
    np.testing.assert_allclose(found, expected.reshape(2, -1), rtol=1e-5, atol=1e-5)


def test_a_whole_backbone_computes_what_onnxruntime_does(lite0, images):
    """Preprocessing included; 49 convolutions in another order of sums differ by 1e-5."""
    session = onnxruntime.InferenceSession(str(lite0.path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(["features"], {"images": images[:2]})
    with torch.inference_mode():
        found = OnnxModule(lite0.path).eval()(torch.from_numpy(images[:2])).numpy()
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "text"),
    [
        ("Elu", ["x"], {}, "Elu is not known"),
        ("Pad", ["x", np.array([0, 0, 1, 1, 0, 0, 1, 1])], {"mode": "reflect"}, "reflect"),
        (
            "Resize",
            ["x", "", "", np.array([2, 3, 4, 4])],
            {"mode": "nearest"},
            "nearest",
        ),
        ("AveragePool", ["x"], {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1]}, "not counted"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path, operator, inputs, attributes, text):
    """Never computed as something like it."""
    path = save(tmp_path, operator, inputs, attributes)
    with pytest.raises(ValueError, match=text):
        OnnxModule(path)(torch.zeros(2, 3, 9, 8))


@pytest.mark.parametrize("size", [(32, 32), (40, 61)], ids=["square", "wide"])
def test_an_exported_backbone_computes_what_onnxruntime_does(tmp_path, size):
    path = tmp_path / "lite0.onnx"
    tlbench.export("efficientnet-lite0", path, input_size=64)
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"images": images})
    with torch.inference_mode():
        found = OnnxModule(path)(torch.from_numpy(images)).numpy()
    assert np.linalg.norm(found - expected) <= 1e-4 * np.linalg.norm(expected)
