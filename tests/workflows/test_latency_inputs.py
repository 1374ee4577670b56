"""Any ONNX file can be timed, and what was assumed about it is said."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tlbench.core.errors import ModelError
from tlbench.model import OnnxModel
from tlbench.workflows import RunConfig, run_benchmark
from tlbench.workflows.steps.timed_model import latency_inputs


def save_model(path, *shapes, dtype=TensorProto.FLOAT):
    """An identity of its first input; further inputs are unused."""
    inputs = [helper.make_tensor_value_info(f"x{i}", dtype, s) for i, s in enumerate(shapes)]
    output = helper.make_tensor_value_info("y", dtype, shapes[0])
    node = helper.make_node("Identity", ["x0"], ["y"])
    graph = helper.make_graph([node], "identity", inputs, [output])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return OnnxModel(path)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["N", 3, 32, 40], (3, 32, 40)),
        (["N", 3, "H", "W"], (3, 224, 224)),
        ([None, None, None, 3], (224, 224, 3)),
        (["N", 10], (10,)),
    ],
    ids=["static", "open NCHW", "open NHWC", "vector"],
)
def test_open_axes_are_filled_and_said(tmp_path, shape, expected):
    inputs = latency_inputs(save_model(tmp_path / "m.onnx", shape), None)
    assert inputs.shape == expected
    assert any(str(expected) in text for text in inputs.assumptions)


def test_batches_differ_from_call_to_call(tmp_path):
    """A result cached anywhere on the way would show otherwise."""
    inputs = latency_inputs(save_model(tmp_path / "m.onnx", ["N", 4]), None)
    batches = inputs.batches(3)
    assert len({batch.tobytes() for batch in batches}) == len(batches) == 8
    assert all(batch.shape == (3, 4) for batch in batches)


@pytest.mark.parametrize(("batch_size", "n_batches"), [(1, 8), (32, 8), (64, 4), (512, 2)])
def test_large_batches_are_few_and_still_differ(tmp_path, batch_size, n_batches):
    """Two are enough to change from call to call, and memory stays in bounds."""
    inputs = latency_inputs(save_model(tmp_path / "m.onnx", ["N", 4]), None)
    batches = inputs.batches(batch_size)
    assert len({batch.tobytes() for batch in batches}) == len(batches) == n_batches


def test_images_of_the_dataset_are_preferred(tiny_model, images):
    inputs = latency_inputs(tiny_model, images)
    np.testing.assert_array_equal(inputs.rows[0], images[0])
    assert inputs.assumptions == ()


def test_two_inputs_are_refused(tmp_path):
    model = save_model(tmp_path / "m.onnx", ["N", 4], ["N", 4])
    with pytest.raises(ModelError, match=r"2 inputs \(x0, x1\)"):
        latency_inputs(model, None)


@pytest.mark.parametrize("dtype", [TensorProto.STRING, TensorProto.INT64])
def test_other_types_are_refused(tmp_path, dtype):
    model = save_model(tmp_path / "m.onnx", ["N", 4], dtype=dtype)
    with pytest.raises(ModelError, match="uint8, float32 and float16"):
        latency_inputs(model, None)


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ([], "takes float32 scalar, and tlbench cannot make inputs of that"),
        (None, "takes float32 of unknown shape, and tlbench cannot"),
        ([0, 4], r"takes float32 \(0, 4\), and"),
        (["N", 0], r"takes float32 \(N, 0\), and"),
    ],
    ids=str,
)
def test_inputs_without_an_axis_for_images_are_refused(tmp_path, shape, match):
    with pytest.raises(ModelError, match=match):
        latency_inputs(save_model(tmp_path / "m.onnx", shape), None)


def test_negative_lengths_are_open(tmp_path):
    """As they are for ONNX Runtime."""
    inputs = latency_inputs(save_model(tmp_path / "m.onnx", [-1, 3, -1, -1]), None)
    assert inputs.fixed_batch is None
    assert inputs.shape == (3, 224, 224)


def test_a_sequence_is_refused(tmp_path):
    model = save_model(tmp_path / "m.onnx", ["N", 4])
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    model.proto.graph.input[0].type.CopyFrom(kind)
    onnx.save(model.proto, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"takes sequence\(float32\); tlbench can make"):
        latency_inputs(OnnxModel(tmp_path / "m.onnx"), None)


def test_too_many_open_axes_are_refused(tmp_path):
    model = save_model(tmp_path / "m.onnx", ["N", "a", "b", "c"])
    with pytest.raises(ModelError, match="too many open axes"):
        latency_inputs(model, None)


def test_a_fixed_batch_is_measured_as_it_is_and_said(tmp_path):
    """The record never claims a batch size that the file does not have."""
    model = save_model(tmp_path / "m.onnx", [8, 4])
    config = RunConfig(model=str(model.path), accuracy=False, cache_dir=tmp_path / "cache")
    result = run_benchmark(config).result
    assert [r.batch_size for r in result.latency] == [8]
    assert any("fixes the batch at 8" in text for text in result.model.assumptions)


def test_a_foreign_model_has_no_accuracy(tmp_path):
    model = save_model(tmp_path / "m.onnx", ["N", 3, 32, 32])
    config = RunConfig(model=str(model.path), cache_dir=tmp_path / "cache", latency=False)
    with pytest.raises(ModelError, match="only its latency"):
        run_benchmark(config)
