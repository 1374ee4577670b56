"""The parts of the int8 conversion, each against arithmetic in numpy."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from exporters.common.parity import open_session
from exporters.precision.calibrate import (
    Observations,
    bias_shift,
    correct_biases,
    correctable,
    observe,
    ranges,
)
from exporters.precision.int8 import INT8
from exporters.precision.network import BATCH_SIZE, batches
from exporters.precision.quantise import make_plan, quantise
from tlbench.core.errors import ExportError
from tlbench.core.progress import Silent
from tlbench.model import OnnxModel

LAYERS = ("expand", "depthwise", "project", "left", "right")


def _constants(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _tensors(network, batch, names):
    probed = onnx.ModelProto()
    probed.CopyFrom(network)
    del probed.graph.output[:]
    probed.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    return dict(zip(names, open_session(probed).run(names, {"x": batch}), strict=True))


def _convert(source, options, tmp_path):
    INT8.convert(source, tmp_path / "m.onnx", options, Silent())
    return OnnxModel(tmp_path / "m.onnx")


@pytest.fixture
def seen(network, options):
    """All tensors of the network on the calibration images, and what was observed of them."""
    names = ["stem6", "expand6", "total"]
    observed = observe(
        network.network,
        batches(network, options.calibration),
        ranges_of=set(names),
        means_of=set(names),
    )
    whole = np.concatenate(list(batches(network, options.calibration)))
    return observed, _tensors(network.network, whole, names)


@pytest.mark.parametrize("tensor", ["stem6", "expand6", "total"])
def test_observations_are_those_of_the_tensors(seen, tensor):
    """Extremes image by image, means by channel, though they were reduced batch by batch."""
    observed, tensors = seen
    value = tensors[tensor]
    # the same float32 sums in another order
    np.testing.assert_allclose(observed.lowest[tensor], value.min((1, 2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(observed.highest[tensor], value.max((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(observed.means[tensor], value.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_a_short_last_batch_counts_by_its_images(network, options):
    """Nine images in batches of eight: the ninth is a ninth of the mean, not a half."""
    images = options.calibration[: BATCH_SIZE + 1]
    observed = observe(
        network.network, batches(network, images), ranges_of=set(), means_of={"stem6"}
    )
    whole = np.concatenate(list(batches(network, images)))
    expected = _tensors(network.network, whole, ["stem6"])["stem6"].mean((0, 2, 3))
    np.testing.assert_allclose(observed.means["stem6"], expected, rtol=1e-4, atol=1e-5)


def test_a_tensor_that_is_not_finite_is_refused(network):
    """A range up to infinity would quantise everything to zero."""
    batch = np.full((1, 3, 16, 16), np.inf, np.float32)
    with pytest.raises(ExportError, match="'x' of the fp32 file is not finite"):
        observe(network.network, [batch], ranges_of={"x"}, means_of=set())


def test_one_odd_image_does_not_set_the_range():
    """The range is the 0.9 quantile of the images' extremes, with zero inside."""
    highest = np.array([1.0] * 19 + [100.0], np.float32)
    lowest = np.array([0.5] * 20, np.float32)
    (limits,) = ranges(Observations({"t": lowest}, {"t": highest}, {})).values()
    assert limits == (0.0, 1.0)


def test_the_ends_and_the_averages_stay_in_float(network):
    """The image, the features and the logits are not rounded to eight bits."""
    plan = make_plan(network.network)
    assert set(LAYERS) <= set(plan.quantised)
    assert plan.kept_in_float == (
        "Conv stem",
        "Gemm Gemm_15",
        "Flatten",
        "GlobalAveragePool",
    )


def test_a_network_of_one_layer_is_refused(tiny_path, options, tmp_path):
    with pytest.raises(ExportError, match="1 weighted layers.*nothing to quantise"):
        _convert(OnnxModel(tiny_path), options, tmp_path)
    assert not (tmp_path / "m.onnx").exists()


def test_without_calibration_images_nothing_is_converted(source, options, tmp_path):
    with pytest.raises(ExportError, match="needs calibration images"):
        _convert(source, replace(options, calibration=()), tmp_path)


@pytest.mark.parametrize(("reduce_range", "limit"), [(False, 127), (True, 64)])
def test_weights_have_the_bits_that_were_asked_for(source, options, tmp_path, reduce_range, limit):
    """Each output channel uses the whole range that its bits give."""
    model = _convert(source, replace(options, reduce_range=reduce_range), tmp_path)
    constants = _constants(model.proto)
    for layer in LAYERS:
        values = constants[f"{layer}.kernel_quantized"]
        assert values.dtype == np.int8
        largest = np.abs(values.astype(int)).reshape(len(values), -1).max(axis=1)
        assert (largest == limit).all()
    assert model.card.conversion.reduce_range is reduce_range


@pytest.mark.parametrize("groups", [1, 2, 6], ids="groups={}".format)
def test_shift_is_the_mean_output_of_the_error(groups):
    """Without padding, convolving by the error shifts the mean by exactly the predicted value."""
    generator = np.random.default_rng(0)
    error = generator.normal(0, 1, (12, 6 // groups, 3, 3)).astype(np.float32)
    means = generator.uniform(0, 3, 6)
    constant = np.broadcast_to(means.reshape(1, 6, 1, 1), (1, 6, 3, 3)).astype(np.float32)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], group=groups)
    ends = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in "xy"]
    graph = onnx.helper.make_graph(
        [node], "g", ends[:1], ends[1:], [numpy_helper.from_array(error, "w")]
    )
    model = onnx.helper.make_model(
        graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 18)]
    )
    (expected,) = open_session(model).run(None, {"x": constant})
    # float32 convolution against float64
    np.testing.assert_allclose(bias_shift(error, means, groups), expected.ravel(), rtol=1e-4)


def _prepared(parts, images):
    """Return plan, limits, means and the quantised network before any correction."""
    network = parts.network
    plan = make_plan(network)
    touched = {t for n in network.graph.node if n.name in plan.quantised for t in n.output}
    touched |= {n.input[0] for n in network.graph.node if n.name in plan.quantised}
    observed = observe(
        network,
        batches(parts, images),
        ranges_of=touched,
        means_of={node.input[0] for node in correctable(network, plan.quantised)},
    )
    limits = ranges(observed)
    # seven bits: the rounding is large enough to see its correction
    return plan, limits, observed.means, quantise(network, plan, limits, reduce_range=True)


def test_correction_brings_the_means_of_the_features_back(network, options):
    """Rounded weights shift the means of channels; corrected biases undo most of that."""
    plan, limits, means, plain = _prepared(network, options.calibration)
    corrected = correct_biases(network.network, plain, plan.quantised, means)
    batch = np.concatenate(list(batches(network, options.calibration)))
    wanted = _tensors(network.network, batch, ["features"])["features"].mean(axis=0)
    shifts = [
        np.abs(_tensors(model, batch, ["features"])["features"].mean(axis=0) - wanted).mean()
        for model in (plain, quantise(corrected, plan, limits, reduce_range=True))
    ]
    # what is left comes from rounded activations: 0.13 to 0.30 over five seeds of the network
    assert shifts[1] < 0.5 * shifts[0]


def test_correction_changes_biases_and_nothing_else(network, options):
    plan, _, means, plain = _prepared(network, options.calibration)
    corrected = correct_biases(network.network, plain, plan.quantised, means)
    before, after = _constants(network.network), _constants(corrected)
    added = set(after) - set(before)
    assert added == {"project.kernel_bias_correction"}  # the one convolution without a bias
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {f"{layer}.bias" for layer in LAYERS if layer != "project"}


def test_exact_weights_need_no_correction(network, options):
    """Where rounding changes nothing, the network stays as it is."""
    plan, _, means, plain = _prepared(network, options.calibration)
    exact = onnx.ModelProto()
    exact.CopyFrom(network.network)
    rounded = _constants(plain)
    for tensor in exact.graph.initializer:
        if tensor.name.endswith("kernel") and f"{tensor.name}_quantized" in rounded:
            values = rounded[f"{tensor.name}_quantized"].astype(np.float32)
            scale = rounded[f"{tensor.name}_scale"].reshape(-1, 1, 1, 1)
            tensor.CopyFrom(numpy_helper.from_array(values * scale, tensor.name))
    corrected = _constants(correct_biases(exact, plain, plan.quantised, means))
    for layer in ("expand", "depthwise", "left", "right"):
        # the product is rounded to float32 once
        np.testing.assert_allclose(
            corrected[f"{layer}.bias"], _constants(exact)[f"{layer}.bias"], atol=1e-6
        )


def test_a_bias_that_two_layers_read_is_left_alone(network):
    """Its correction for one layer would be an error in the other."""
    (left,) = (node for node in network.network.graph.node if node.name == "left")
    (right,) = (node for node in network.network.graph.node if node.name == "right")
    right.input[2] = left.input[2]
    found = {node.name for node in correctable(network.network, LAYERS)}
    assert found == {"expand", "depthwise", "project"}
