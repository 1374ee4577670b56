"""The verification of every export: how far each image's features are from the reference's."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exporters.common.parity import TOLERANCE, measure_parity, probe_batches
from tlbench.core.errors import ExportError

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


@pytest.fixture(scope="module")
def model():
    """A graph whose features are the pixels of the first row of each image: (N, W x 3)."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=FLOAT),
        helper.make_node("Gather", ["pixels", "first"], ["row"], axis=1),
        helper.make_node("Flatten", ["row"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "pixels",
        [helper.make_tensor_value_info("images", UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("features", FLOAT, ["N", "C"])],
        [onnx.numpy_helper.from_array(np.array(0), "first")],
    )
    opsets = [helper.make_opsetid("", 18)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return made.SerializeToString()


@pytest.fixture(scope="module")
def two_outputs(model):
    """The same, with its negative as ``logits``."""
    made = onnx.load_from_string(model)
    made.graph.node.append(helper.make_node("Neg", ["features"], ["logits"]))
    made.graph.output.append(helper.make_tensor_value_info("logits", FLOAT, ["N", "C"]))
    return made.SerializeToString()


def images(*strengths):
    """One image of two pixels for each strength, the value of its brightest channel."""
    batch = np.zeros((len(strengths), 1, 2, 3), np.uint8)
    for image, strength in zip(batch, strengths, strict=True):
        image[0] = [[strength, strength // 2, 0], [0, 0, strength // 4]]
    return batch


def features(batch):
    return batch[:, 0].reshape(len(batch), -1).astype(np.float32)


def off_by(*errors):
    """A reference whose first feature of image i is off by errors[i]."""

    def reference(batch):
        expected = features(batch)
        expected[:, 1] += np.array(errors, np.float32)[: len(batch)]
        return [expected]

    return reference


def measure(model, reference, *batches, **options):
    return measure_parity(
        model, reference=reference, reference_name="the tests", batches=batches, **options
    )


def test_equal_features_are_at_parity(model):
    parity = measure(model, lambda batch: [features(batch)], *probe_batches())
    assert (parity.max_abs, parity.max_rel) == (0.0, 0.0)
    assert parity.min_cosine == pytest.approx(1.0)
    assert (parity.reference, parity.n_images) == ("the tests", 6)


def test_the_difference_is_relative_to_the_same_image(model):
    """An error on a weak image must not hide behind a strong one of the batch."""
    parity = measure(model, off_by(0.0, 0.5), images(200, 4), tolerance=1.0)
    assert parity.max_abs == 0.5
    assert parity.max_rel == 0.5 / 4
    with pytest.raises(ExportError, match=r"differs from the tests by 0\.12 of the largest"):
        measure(model, off_by(0.0, 0.5), images(200, 4), tolerance=0.5 / 200)


def test_the_order_of_the_images_does_not_matter(model):
    first = measure(model, off_by(0.0, 0.5, 0.25), images(200, 4, 8), tolerance=1.0)
    second = measure(model, off_by(0.25, 0.0, 0.5), images(8, 200, 4), tolerance=1.0)
    assert first == second


def test_the_scale_is_the_largest_magnitude(model):
    """Of negative features, too, and of the reference, not of the graph."""

    def reference(batch):
        expected = features(batch)
        expected[:, 0] = -400.0
        return [expected]

    parity = measure(model, reference, images(100), tolerance=10.0)
    assert parity.max_abs == 500.0
    assert parity.max_rel == 500 / 400


def test_a_weak_image_in_a_later_batch_counts(model):
    parity = measure(model, off_by(0.5), images(200), images(4), tolerance=1.0)
    assert parity.max_rel == 0.5 / 4
    assert parity.n_images == 2
    parity = measure(model, off_by(0.5), images(4), images(200), tolerance=1.0)
    assert parity.max_rel == 0.5 / 4


def test_every_output_counts(two_outputs):
    """The logits of a wrong classifier are no better than wrong features."""

    def reference(batch):
        return [features(batch), -features(batch) + np.float32(0.5)]

    limit = 0.5 / 99.5  # the largest logit is half a step from the reference's
    assert measure(two_outputs, reference, images(100), tolerance=limit).max_abs == 0.5
    with pytest.raises(ExportError, match="differs from the tests"):
        measure(two_outputs, reference, images(100), tolerance=0.99 * limit)


@pytest.mark.parametrize(("tolerance", "passes"), [(0.125, True), (np.nextafter(0.125, 0), False)])
def test_the_tolerance_is_the_largest_difference_allowed(model, tolerance, passes):
    """At the limit an export is written, just above it is not."""
    if passes:
        assert measure(model, off_by(0.5), images(4), tolerance=tolerance).max_rel == tolerance
    else:
        with pytest.raises(ExportError, match="at most 0.125 is allowed. Nothing was written"):
            measure(model, off_by(0.5), images(4), tolerance=tolerance)


@pytest.mark.parametrize(("factor", "passes"), [(0.9, True), (1.1, False)])
def test_the_default_tolerance(model, factor, passes):
    """A ten-thousandth, on both sides: float32 rounding passes, a wrong scale does not."""
    assert TOLERANCE == 1e-4

    def reference(batch):
        expected = features(batch)
        expected[0, 0] *= 1 + factor * 1e-4
        return [expected]

    if passes:
        # the product is rounded to float32, by up to 6e-8 of it
        assert measure(model, reference, images(128)).max_rel == pytest.approx(9e-5, abs=2e-7)
    else:
        with pytest.raises(ExportError, match="differs from the tests"):
            measure(model, reference, images(128))


def test_the_smallest_cosine_is_that_of_the_worst_image(model):
    def reference(batch):
        expected = features(batch)
        expected[1] = np.roll(expected[1], 1)
        return [expected]

    batch = images(100, 100, 100)
    ours = features(batch)[1].astype(np.float64)
    cosine = ours @ np.roll(ours, 1) / (ours @ ours)
    assert measure(model, reference, batch, tolerance=2.0).min_cosine == pytest.approx(cosine)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda found: found[:, :-1], r"shape \(2, 6\), but the reference has shape \(2, 5\)"),
        (lambda found: found[:1], r"shape \(2, 6\), but the reference has shape \(1, 6\)"),
        (lambda found: found * np.float32(np.nan), "is not finite"),
        (lambda found: found + np.float32(np.inf), "is not finite"),
        (lambda found: found * [[1], [0]], "all zero for an image"),
    ],
    ids=["columns", "rows", "nan", "infinite", "zero"],
)
def test_what_cannot_be_compared_is_no_parity(model, change, match):
    with pytest.raises(ExportError, match=f"{match}.*Nothing was written"):
        measure(model, lambda batch: [change(features(batch))], images(9, 7), tolerance=100.0)


def test_a_graph_that_does_not_run_is_no_parity(model):
    made = onnx.load_from_string(model)
    made.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.array(7), "first"))
    with pytest.raises(ExportError, match=r"cannot run the exported graph on images of shape \(1,"):
        measure(made.SerializeToString(), lambda batch: [features(batch)], images(9))


def test_a_graph_that_does_not_load_is_no_parity():
    with pytest.raises(ExportError, match="cannot load the exported graph"):
        measure(b"no graph", lambda batch: [features(batch)], images(9))


def test_probe_images_have_two_sizes_and_are_always_the_same():
    """One is not square, and all pixels of an image differ from those of the next."""
    shapes = [batch.shape for batch in probe_batches()]
    assert shapes == [(4, 32, 32, 3), (2, 96, 80, 3)]
    assert [batch.shape for batch in probe_batches(odd_sizes=True)] == [
        (4, 31, 31, 3),
        (2, 95, 79, 3),
    ]
    for first, again, other in zip(
        probe_batches(3), probe_batches(3), probe_batches(4), strict=True
    ):
        np.testing.assert_array_equal(first, again)
        assert (first != other).mean() > 0.9
