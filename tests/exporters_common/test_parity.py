"""Comparing a graph with its reference: image by image, output by output, at the tolerance."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters.common.parity import TOLERANCE, measure_parity, open_session, probe_batches
from tlbench.core.errors import ExportError

# Mean colours: a strong and a weak image, then one more batch.
STRONG, WEAK, OTHER = (200.0, 100.0, 40.0), (2.0, 1.0, 0.0), (8.0, 80.0, 16.0)


def of_colours(*colours):
    """Return images of one colour each, uint8 (N, 4, 4, 3)."""
    return np.ones((len(colours), 4, 4, 1), np.uint8) * np.array(colours, np.uint8)[:, None, None]


NOT_FINITE = r"^Output 'features' or its reference is not finite\. Nothing was written\.$"
BATCHES = (of_colours(STRONG, WEAK), of_colours(OTHER))


def save_graph(last=(), outputs=("features",)):
    """Build a graph whose every output is the mean colour of each image, float32 (N, 3)."""
    nodes = [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values", "axes"], ["mean"], keepdims=0),
        *(helper.make_node("Identity", ["mean"], [name]) for name in outputs if not last),
        *last,
    ]
    graph = helper.make_graph(
        nodes,
        "mean colour",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.array([1, 2], np.int64), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def graph():
    return save_graph()


def means(images):
    return images.mean(axis=(1, 2), dtype=np.float64)


def measure(model, reference=means, *, batches=BATCHES, n_outputs=1, **options):
    """Measure with a reference of one array, which stands for every output."""
    return measure_parity(
        model,
        reference=lambda images: [np.float32(reference(images))] * n_outputs,
        reference_name="plain numpy",
        batches=batches,
        **options,
    )


def off_by(errors):
    """Return a reference that adds an error to the first colour of the images that have it."""

    def reference(images):
        found = means(images)
        for colour, error in errors.items():
            found[(found == colour).all(axis=1), 0] += error
        return found

    return reference


def off_by_second(error):
    """Return a reference that adds an error to the second colour of all images."""
    return lambda images: means(images) + np.array([0, error, 0])


def test_a_graph_that_computes_the_same_has_no_difference(graph):
    found = measure(graph)
    assert (found.reference, found.n_images) == ("plain numpy", 3)
    assert (found.max_abs, found.max_rel) == (0.0, 0.0)
    assert found.min_cosine == pytest.approx(1.0)


def test_a_difference_is_relative_to_the_images_own_largest_feature(graph):
    """2e-4 is 1e-4 of the weak image's largest feature, and 1e-6 of the strong one's."""
    found = measure(graph, off_by({WEAK: 2**-13}), tolerance=1e-3)
    assert found.max_abs == 2**-13
    assert found.max_rel == pytest.approx(2**-13 / (2 + 2**-13))
    with pytest.raises(ExportError, match="differs from plain numpy by 0.0005 of the largest"):
        measure(graph, off_by({WEAK: 1e-3}))  # it would hide behind the strong image's scale
    assert measure(graph, off_by({STRONG: 1e-3})).max_rel == pytest.approx(1e-3 / 200, rel=0.05)


@pytest.mark.parametrize("colour", [STRONG, WEAK, OTHER], ids=["first", "second", "last batch"])
def test_the_worst_image_counts_wherever_it_is(graph, colour):
    """Later images and batches neither replace nor average what was found before."""
    errors = {STRONG: 2**-12, WEAK: 2**-16, OTHER: 2**-12}
    errors[colour] = 1.0
    found = measure(graph, off_by(errors), tolerance=1)
    assert found.max_abs == 1
    scales = {STRONG: 201, WEAK: 3, OTHER: 80}
    assert found.max_rel == pytest.approx(1 / scales[colour], rel=1e-6)
    theirs = np.add(colour, (1, 0, 0))
    cosine = theirs @ colour / np.linalg.norm(theirs) / np.linalg.norm(colour)
    assert found.min_cosine == pytest.approx(cosine, abs=1e-6)


def test_every_output_is_compared():
    """An error in the second of two outputs is one of the graph."""
    model = save_graph(outputs=("features", "logits"))
    assert measure(model, n_outputs=2).n_images == 3
    with pytest.raises(ExportError, match="differs"):
        measure_parity(
            model,
            reference=lambda images: [np.float32(means(images)), np.float32(means(images) + 1)],
            reference_name="plain numpy",
            batches=BATCHES,
        )
    with pytest.raises(ValueError, match="zip"):
        measure(model, n_outputs=1)  # a reference that lacks an output is a mistake of ours


def test_the_tolerance_itself_is_allowed(graph):
    """An error of 1/64 of the largest feature, exactly, and the next smaller tolerance."""
    batches = (of_colours((64, 0, 0)),)
    found = measure(graph, off_by_second(1), batches=batches, tolerance=1 / 64)
    assert found.max_rel == 1 / 64
    message = (
        r"^The exported graph differs from plain numpy by 0\.016 of the largest feature \(cosine "
        r"0\.999878, 1 images\); at most 0\.015625 is allowed\. Nothing was written\.$"
    )
    with pytest.raises(ExportError, match=message):
        measure(graph, off_by_second(1), batches=batches, tolerance=np.nextafter(1 / 64, 0))


def test_the_tolerance_is_the_promised_one(graph):
    """1e-4 of the largest feature, which the documents promise of every export."""
    assert TOLERANCE == 1e-4
    batches = (of_colours((100, 0, 0)),)
    assert measure(graph, off_by_second(0.0099), batches=batches)
    with pytest.raises(ExportError, match="1 images"):
        measure(graph, off_by_second(0.0101), batches=batches)


def test_features_of_any_shape_are_compared_as_a_whole():
    """Maps are flattened: one scale for each image, over all positions."""
    model = save_graph(
        last=[helper.make_node("Cast", ["images"], ["features"], to=TensorProto.FLOAT)]
    )
    images = of_colours(STRONG, WEAK)
    images[1, 0, 0, 0] = 50

    def reference(images):
        found = images.astype(np.float64)
        found[1, 3, 3, 2] += 1
        return found

    found = measure(model, reference, batches=(images,), tolerance=1)
    assert found.max_rel == pytest.approx(1 / 50)


def test_another_shape_is_refused(graph):
    with pytest.raises(
        ExportError,
        match=r"^Output 'features' has shape \(2, 3\), but the reference has shape \(2, 4\)\. "
        r"Nothing was written\.$",
    ):
        measure(graph, lambda images: np.ones((len(images), 4)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_reference_that_is_not_finite_is_refused(graph, wrong):
    """NaN would pass every comparison."""
    with pytest.raises(ExportError, match=NOT_FINITE):
        measure(graph, off_by({WEAK: wrong}))


def test_a_graph_that_is_not_finite_is_refused():
    """0 / 0, in one feature of one image."""
    model = save_graph(last=[helper.make_node("Div", ["mean", "mean"], ["features"])])
    with pytest.raises(ExportError, match=NOT_FINITE):
        measure(model, lambda images: np.ones((len(images), 3)))


def test_images_without_any_feature_are_refused(graph):
    """There is no scale to compare with."""
    message = (
        "^The reference's 'features' are all zero for every image, so that there is nothing to "
        r"compare with\. Nothing was written\.$"
    )
    with pytest.raises(ExportError, match=message):
        measure(graph, batches=(of_colours((0, 0, 0)), of_colours((0, 0, 0))))


@pytest.mark.parametrize("batched", [True, False], ids=["in one batch", "in batches of its own"])
def test_an_image_without_any_feature_is_compared_by_the_scale_of_the_others(graph, batched):
    """A small image may leave a deep network without any."""
    dark = (2, 2, 2)
    batches = (of_colours(STRONG, dark),) if batched else (of_colours(STRONG), of_colours(dark))

    def reference(images):
        found = means(images)
        found[(found == dark).all(axis=1)] = 0
        return found

    found = measure(graph, reference, batches=batches, tolerance=1)
    assert found.max_rel == pytest.approx(2 / max(STRONG))
    assert found.min_cosine == 0


def test_features_that_are_zero_in_both_agree(graph):
    found = measure(graph, batches=(of_colours(STRONG, (0, 0, 0)),))
    assert found.max_rel < 1e-6
    assert found.min_cosine == pytest.approx(1)


def test_a_graph_that_onnx_runtime_refuses_says_why():
    with pytest.raises(ExportError, match="ONNX Runtime cannot load the exported graph: .*\\S"):
        measure(b"no graph")
    with pytest.raises(ExportError, match="ONNX Runtime cannot load the folded graph"):
        open_session(b"no graph", "folded graph")


def test_a_graph_that_fails_on_the_images_says_why():
    """A reshape to 7 columns is valid until it runs."""
    shape = numpy_helper.from_array(np.array([-1, 7], np.int64))
    last = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("Reshape", ["mean", "shape"], ["features"]),
    ]
    with pytest.raises(ExportError, match=r"images of shape \(2, 4, 4, 3\): .*[Rr]eshape"):
        measure(save_graph(last=last))


def test_a_model_may_be_given_as_bytes_or_not(graph):
    """The session of either is one and the same."""
    for model in (graph, onnx.load_from_string(graph)):
        (found,) = open_session(model).run(None, {"images": of_colours(WEAK)})
        np.testing.assert_array_equal(found, [WEAK])


@pytest.mark.parametrize("odd_sizes", [False, True])
def test_probe_images_are_of_two_shapes(odd_sizes):
    """Small square and large oblong ones, which no network has as its input; the seed decides."""
    batches = probe_batches(3, odd_sizes=odd_sizes)
    less = int(odd_sizes)
    assert [batch.shape for batch in batches] == [
        (4, 32 - less, 32 - less, 3),
        (2, 96 - less, 80 - less, 3),
    ]
    for batch, again, other, default in zip(
        batches,
        probe_batches(3, odd_sizes=odd_sizes),
        probe_batches(4, odd_sizes=odd_sizes),
        probe_batches(odd_sizes=odd_sizes),
        strict=True,
    ):
        assert batch.dtype == np.uint8
        assert batch.flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(batch, again)
        assert (batch != other).any()
        assert (batch != default).any()


def test_probe_images_reveal_swapped_axes_and_channels():
    """Neighbours are alike, as in a photograph, and no two patches, axes or channels are."""
    square, _ = probe_batches()
    values = square.astype(np.float64)
    patches = values.reshape(4, 4, 8, 4, 8, 3)
    within, between = patches.std(axis=(2, 4)).mean(), patches.mean(axis=(2, 4)).std()
    # noise of deviation 20 in patches that are uniform from 30 to 225, of deviation 56
    assert 15 < within < 25
    assert 40 < between < 70
    assert np.abs(values - values.transpose(0, 2, 1, 3)).mean() > 20
    assert np.abs(values - values[..., ::-1]).mean() > 20
    assert values.min() < 30
    assert values.max() > 225
    # noise that leaves the range of a byte ends at its limits, and does not wrap around
    spread = np.abs(patches - np.median(patches, axis=(2, 4), keepdims=True))
    assert spread.max() < 6 * 20
