"""Models of any origin in the workflows: they are measured, or refused in one clear sentence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tlbench.core.errors import DataError, ModelError
from tlbench.core.progress import Silent
from tlbench.engine import open_session
from tlbench.model import OnnxModel
from tlbench.workflows import TimingConfig, extract_dataset_split, run_benchmark
from tlbench.workflows.steps import timing
from tlbench.workflows.steps.timed_model import LatencyInputs, TimedModel

QUICK = TimingConfig(
    scenarios=("single",),
    min_samples=64,
    min_duration_s=0.01,
    max_duration_s=2.0,
    costs=False,
    extend_until_steady=False,
)
BOUNDARIES = ["numpy->numpy", "device->device"]
FLOAT = TensorProto.FLOAT


@pytest.fixture
def save(tmp_path):
    """Return a function that writes a graph of raw images, whose output may be of any type."""

    def do(nodes, output, *constants, inputs=("images",), size=-1):
        shape = [-1, size, size, 3]
        kinds = [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in inputs]
        cast = helper.make_node("Cast", ["images"], ["x"], to=FLOAT)
        graph = helper.make_graph([cast, *nodes], "g", kinds, [output], constants)
        opsets = [helper.make_opsetid("", 18)]
        path = tmp_path / "foreign.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return str(path)

    return do


def _mean(*axes):
    return (
        [helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)],
        numpy_helper.from_array(np.array(axes, np.int64), "axes"),
    )


def _value(kind):
    return helper.make_value_info("y", kind)


FLOATS = helper.make_tensor_type_proto(FLOAT, None)


def test_open_axes_written_as_minus_one_are_measured(config, save):
    """Features and latency, as of any other open axis."""
    nodes, axes = _mean(1, 2)
    model = save(nodes, helper.make_tensor_value_info("y", FLOAT, [-1, 3]), axes)
    result = run_benchmark(replace(config, model=model, latency=True, timing=QUICK)).result
    assert result.extraction[0].n_features == 3
    assert result.latency[0].batch_size == 1


@pytest.mark.parametrize(
    ("output", "shape"),
    [(FLOATS, (200, 3)), (helper.make_optional_type_proto(FLOATS), (200, 3))],
    ids=["no shape", "optional"],
)
def test_an_output_of_unknown_shape_is_measured(config, save, output, shape):
    """ONNX Runtime gives an array, and that decides."""
    nodes, axes = _mean(1, 2)
    if output is not FLOATS:
        nodes[0].output[0] = "m"
        nodes.append(helper.make_node("Optional", ["m"], ["y"]))
    found = extract_dataset_split(
        replace(config, model=save(nodes, _value(output), axes)), "train", Silent()
    )
    assert found.features.shape == shape


SCALAR = [helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)]
SEQUENCE = [helper.make_node("SequenceConstruct", ["x"], ["y"])]
NO_ROWS = {
    "scalar": (SCALAR, helper.make_tensor_value_info("y", FLOAT, []), "a scalar"),
    "scalar without a shape": (SCALAR, _value(FLOATS), "a scalar"),
    "sequence": (SEQUENCE, _value(helper.make_sequence_type_proto(FLOATS)), "a list"),
}


@pytest.mark.parametrize(("nodes", "output", "kind"), NO_ROWS.values(), ids=NO_ROWS)
def test_an_output_without_rows_has_no_features(config, save, nodes, output, kind):
    with pytest.raises(ModelError, match=f"output 'y' is {kind}, .* a row for each image"):
        run_benchmark(replace(config, model=save(nodes, output)))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("nodes", "output", "kind"), NO_ROWS.values(), ids=NO_ROWS)
def test_an_output_without_rows_has_no_latency(config, save, nodes, output, kind, boundary):
    quick = replace(QUICK, boundaries=(boundary,))
    asked = replace(config, model=save(nodes, output), accuracy=False, latency=True, timing=quick)
    with pytest.raises(ModelError, match=f"output 'y' is {kind}, .* a row for each image"):
        run_benchmark(asked)


@pytest.mark.parametrize("axes", [(0, 1), (1, 2, 3)], ids=["mixed", "one number"])
def test_rows_must_be_of_the_images(config, save, axes):
    """A mean over the batch axis is no feature of an image; one number per image is."""
    nodes, constant = _mean(*axes)
    asked = replace(config, model=save(nodes, _value(FLOATS), constant))
    if 0 in axes:
        with pytest.raises(ModelError, match="gives 8 rows for 32 images.*open batch axis"):
            extract_dataset_split(asked, "train", Silent())
    else:
        assert extract_dataset_split(asked, "train", Silent()).features.shape == (200, 1)


def test_an_output_without_columns_is_an_error(config, save):
    """Zero features: said, where reshaping could not tell how many."""
    nodes = [helper.make_node("Slice", ["x", "from", "to", "axis"], ["y"])]
    constants = [
        numpy_helper.from_array(np.array([value], np.int64), name)
        for name, value in (("from", 0), ("to", 0), ("axis", 3))
    ]
    model = save(nodes, _value(FLOATS), *constants)
    with open_session(OnnxModel(Path(model)), threads=1) as session:
        assert session.run(np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 0)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT64])
def test_features_of_another_type_are_refused(config, save, kind):
    nodes, axes = _mean(1, 2)
    nodes[0].output[0] = "m"
    nodes.append(helper.make_node("Cast", ["m"], ["y"], to=kind))
    model = save(nodes, helper.make_tensor_value_info("y", kind, ["N", 3]), axes)
    with pytest.raises(DataError, match=r"must be float32 .*: give the model a float32 output\."):
        extract_dataset_split(replace(config, model=model), "train", Silent())


def test_two_inputs_have_no_features(config, save):
    nodes, axes = _mean(1, 2)
    model = save(nodes, _value(FLOATS), axes, inputs=("images", "sizes"))
    with pytest.raises(ModelError, match=r"2 inputs \(images, sizes\); features are computed by"):
        extract_dataset_split(replace(config, model=model), "train", Silent())


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (helper.make_tensor_type_proto(TensorProto.UINT8, None), "uint8 of unknown shape"),
        (helper.make_tensor_type_proto(FLOAT, ["N", 3, 8, 8]), r"float32 \(N, 3, 8, 8\)"),
        (helper.make_tensor_type_proto(TensorProto.STRING, []), "string scalar"),
        (helper.make_sequence_type_proto(FLOATS), r"sequence\(float32\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_inputs_have_no_features(config, save, kind, found):
    nodes, axes = _mean(1, 2)
    path = save(nodes, _value(FLOATS), axes)
    model = onnx.load(path)
    model.graph.input[0].type.CopyFrom(kind)
    onnx.save(model, path)
    with pytest.raises(ModelError, match=f"takes {found}, not uint8 images"):
        extract_dataset_split(replace(config, model=path), "train", Silent())


def _timed(session):
    return TimedModel(session, LatencyInputs((np.zeros((4, 4, 3), np.uint8),), None, ()))


@pytest.mark.parametrize("kind", ["float32", "int8", "uint8", "float16"])
def test_a_lower_precision_without_a_card_has_no_ceiling(save, kind):
    """Its products may be faster than any in float32, which would be called impossible."""
    nodes = [
        helper.make_node("Cast", ["w"], ["v"], to=FLOAT),
        helper.make_node("MatMul", ["x", "v"], ["y"]),
    ]
    weight = numpy_helper.from_array(np.zeros((3, 5), kind), "w")
    path = Path(save(nodes, _value(FLOATS), weight, size=4))
    with open_session(OnnxModel(path), threads=1) as session:
        assert (_timed(session)._peak is not None) == (kind == "float32")


def test_a_fresh_process_on_a_replaced_file_is_noticed(save, monkeypatch):
    """It reads the file again: its memory and its cold start would be those of another model."""
    nodes, axes = _mean(1, 2)
    path = save(nodes, _value(FLOATS), axes)

    def replaced(*_, **__):
        other = onnx.load(path)
        other.doc_string = "another file"
        onnx.save(other, path)
        return {}

    monkeypatch.setattr(timing, "run_isolated", replaced)
    with open_session(OnnxModel(Path(path)), threads=1) as session:
        timed = _timed(session)
        with pytest.raises(ModelError, match="changed while it was in use"):
            timing.measure_fresh(session, timed.inputs, 1, 1)
