"""A frozen graph becomes one ONNX file that gives the graph's own features, for any batch."""

import hashlib
import os
import subprocess
import sys

import graphs
import numpy as np
import onnx
import pytest

from exporters.common.fit import SquareFit
from exporters.frozen.export import _Parts
from tlbench.core.errors import ConfigError, ExportError
from tlbench.model import OnnxModel, TensorInfo, decode_card, encode_card

pytestmark = pytest.mark.tensorflow


def assert_same(actual, expected):
    """Relative to an image's largest feature, as the verification compares."""
    assert actual.shape == expected.shape
    # a decade below the tolerance of the export; float32 sums in another order end here
    assert (np.abs(actual - expected).max(1) <= 1e-5 * np.abs(expected).max(1)).all()


@pytest.mark.parametrize("scale", [False, True], ids="scale_after_normalization={}".format)
def test_features_are_those_of_the_graph(save, export, run_onnx, run_original, images, scale):
    """Whole batches through ONNX Runtime, image by image through TensorFlow."""
    path = save(scale=scale)
    exported, card = export(path)
    for batch in images:
        assert_same(run_onnx(exported, batch)["features"], run_original(path, batch))
    assert card.parity.max_rel < 1e-5
    assert card.parity.n_images == 6


def test_scale_after_normalization_matters(save, run_original, images):
    """The two settings are two networks: the test above tells them apart."""
    plain, scaled = (
        run_original(save(name=f"{scale}.pb", scale=scale), images[0]) for scale in (False, True)
    )
    assert np.abs(plain - scaled).max() > 0.1 * np.abs(plain).max()


RESIZES = {
    "legacy": ({}, "bilinear, asymmetric (as in TensorFlow 1), no antialiasing"),
    "aligned": ({"align_corners": True}, "bilinear, corners aligned, no antialiasing"),
    "half-pixel": ({"half_pixel_centers": True}, "bilinear, half-pixel centres, no antialiasing"),
}


@pytest.mark.parametrize(("flags", "text"), RESIZES.values(), ids=RESIZES)
def test_resize_is_the_graphs_own(save, export, run_onnx, run_original, images, flags, text):
    """Each of TensorFlow's three bilinear resizes stays what it is, and the card says which."""
    path = save(**flags)
    exported, card = export(path)
    assert card.resize == text
    for batch in images:  # enlarging, and reducing from 96x80
        assert_same(run_onnx(exported, batch)["features"], run_original(path, batch))


@pytest.mark.parametrize(
    "options", [{"fit": "crop", "crop_fraction": 0.875}, {"fit": "pad"}], ids=str
)
def test_another_fit_lies_before_the_graph(save, export, run_onnx, run_original, images, options):
    """By default the graph squashes, as it always has; its own resize stays as it is."""
    path = save()
    exported, card = export(path, **options)
    fit = SquareFit(options["fit"], options.get("crop_fraction", 1.0))
    for batch in images:
        expected = run_original(path, fit.apply(batch))
        assert_same(run_onnx(exported, batch)["features"], expected)
    assert card.resize == RESIZES["legacy"][1]
    assert card.preprocess.coordinates == "asymmetric"
    plain = export(path, name="plain")[1]
    assert (plain.fit, plain.crop_fraction) == ("squash", None)


def test_a_fraction_needs_a_crop_that_is_asked_for(save, export):
    """The frozen graph's default keeps the whole image."""
    with pytest.raises(ConfigError, match=r"crop_fraction=0\.875 belongs to fit='crop'"):
        export(save(), crop_fraction=0.875)


def test_resizes_differ(save, run_original, images):
    """A resize of another kind would fail the tests above."""
    one, *others = (
        run_original(save(name=f"{i}.pb", **flags), images[0])
        for i, (flags, _) in enumerate(RESIZES.values())
    )
    for other in others:
        assert np.abs(one - other).max() > 1e-3 * np.abs(one).max()


def test_signature(save, export):
    """Raw images of any number and size in, one vector an image out."""
    model = OnnxModel(export(save())[0])
    assert model.inputs == (TensorInfo("images", "uint8", ("N", "H", "W", 3)),)
    assert model.outputs == (TensorInfo("features", "float32", ("N", graphs.N_FEATURES)),)


def test_card_describes_the_export(save, export):
    """File and digest, ends, size and preprocessing; and the card travels in the file."""
    path = save()
    exported, card = export(path)
    assert card.backbone == "frozen:graph.pb"
    assert card.source.startswith("frozen graph graph.pb from DecodeJpeg, tensorflow 2")
    assert card.weights.kind == "file"
    assert card.weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card.weights.origin == "graph.pb"
    assert card.input_size == (graphs.SIZE, graphs.SIZE)
    assert card.preprocessing == "(x - 128) * 0.0078125"
    assert (card.layer, card.pooling, card.feature_shape) == ("pool_3", "none", (20,))
    assert card.parity.reference.startswith("graph.pb in tensorflow 2")
    assert OnnxModel(exported).card == card == decode_card(encode_card(card))


def test_preprocessing_is_kept_and_the_rest_is_folded(save, export):
    """Sub and Mul stand in the graph; checks and normalisations have left no node."""
    model = onnx.load(export(save())[0])
    onnx.checker.check_model(model, full_check=True)
    operators = [node.op_type for node in model.graph.node]
    assert operators[:5] == ["Transpose", "Cast", "Resize", "Sub", "Mul"]
    assert operators.count("Conv") == 3
    assert not {"Add", "BatchNormalization", "Identity"} & set(operators)
    assert operators.count("Sub") == operators.count("Mul") == 1
    assert [entry.domain for entry in model.opset_import] == [""]


def test_same_graph_same_bytes(save, export):
    """A file's hash is its features' key: exporting again must not change it."""
    path = save()
    assert export(path, name="a")[0].read_bytes() == export(path, name="b")[0].read_bytes()


OUTPUTS = {
    "reshape to a batch of one": ("pool_3/_reshape", "avg", (20,)),
    "probabilities": ("softmax:0", "avg", (7,)),
    "map, average": ("mixed/join:0", "avg", (20,)),
    "map, maximum": ("mixed/join", "max", (20,)),
    "map, unpooled": ("mixed/join", "none", (9, 9, 20)),
    "behind a check": ("pool/control_dependency", "avg", (8,)),
}


@pytest.mark.parametrize(("output", "pooling", "shape"), OUTPUTS.values(), ids=OUTPUTS)
def test_other_outputs(save, export, run_onnx, run_original, images, output, pooling, shape):
    """Any tensor of the network can be the features; a map is pooled or flattened in its order."""
    path = save()
    exported, card = export(path, output_tensor=output, pooling=pooling)
    assert card.feature_shape == shape
    features = run_onnx(exported, images[1])["features"]
    assert features.shape == (len(images[1]), np.prod(shape))
    expected = run_original(path, images[1], output if ":" in output else f"{output}:0")
    if expected.shape != features.shape:
        positions = expected.reshape(len(expected), -1, shape[-1])
        expected = positions.mean(axis=1) if pooling == "avg" else positions.max(axis=1)
    assert_same(features, expected)


def squeezed(tf, **options):
    """The codes as a vector, without the batch: ``tf.squeeze(pool_3)``."""
    build = graphs.inception(tf, **options)
    build.node("Squeeze", "codes", "pool_3", T=tf.float32)
    return build


def test_squeeze_keeps_the_images_apart(save, export, run_onnx, run_original, images):
    """Squeezed to a vector for one image, to a matrix for several."""
    path = save(squeezed)
    exported, card = export(path, output_tensor="codes")
    assert card.feature_shape == (20,)
    expected = run_original(path, images[0], "codes:0")
    assert_same(run_onnx(exported, images[0])["features"], expected)


def batched_input(tf):
    """A uint8 placeholder (N, H, W, 3) and no ExpandDims."""
    build = graphs.inception(tf)
    for name in ("DecodeJpeg", "ExpandDims"):
        build.proto.node.remove(next(n for n in build.proto.node if n.name == name))
    for node in build.proto.node:
        renamed = {"DecodeJpeg": "pictures", "ExpandDims": "Cast"}
        inputs = [renamed.get(name, name) for name in node.input]
        del node.input[:]
        node.input.extend(inputs)
    node = build.proto.node.add(name="pictures", op="Placeholder")
    node.attr["dtype"].type = tf.uint8.as_datatype_enum
    for size in (-1, -1, -1, 3):
        node.attr["shape"].shape.dim.add(size=size)
    return build


def test_input_may_be_a_batch(save, export, run_onnx, run_original, images):
    """A graph of batches needs no ExpandDims, and is run image by image all the same."""
    path = save(batched_input)
    exported, _ = export(path, input_tensor="pictures")
    singles = [image[None] for image in images[0]]
    expected = run_original(path, singles, source="pictures:0")
    assert_same(run_onnx(exported, images[0])["features"], expected)


def other_pixels(tf):
    """Channels by themselves, and three more ways to write a step."""
    build = graphs.GraphBuilder(tf)
    pixels = build.preprocessing()
    build.constant("by", np.float32([2, 4, 8]))
    build.node("RealDiv", "divided", pixels, "by", T=tf.float32)
    build.constant("plus", np.float32([[[[0.1, 0.2, 0.3]]]]))
    build.node("Add", "moved", "plus", "divided", T=tf.float32)
    build.constant("from", np.float32(1))
    build.node("Sub", "turned", "from", "moved", T=tf.float32)  # no step: the pixels are second
    build.convolution("conv", "turned", 3, 8, stride=2, scale=True)
    build.pool("AvgPool", "pool_3", "conv", size=20, stride=1)
    return build


def test_steps_stay_in_their_order(save, export):
    """Operation by operation, with one number for each channel or one for all."""
    exported, card = export(save(other_pixels))
    assert card.preprocessing == ("(((x - 128) * 0.0078125) / (2, 4, 8)) + (0.1, 0.2, 0.3)")
    operators = [node.op_type for node in onnx.load(exported).graph.node]
    assert operators[2:8] == ["Resize", "Sub", "Mul", "Div", "Add", "Sub"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"weights": "random"}, "leave out weights=..."),
        ({"input_size": 64}, "leave out input_size"),
        ({"resize": "bicubic"}, "leave out resize=..."),
        ({"antialias": True}, "leave out antialias=..."),
        ({"layer": "conv"}, "as output_tensor, not with layer=..."),
        ({"top": True}, "without top=True"),
        ({"input_tensor": None}, "needs input_tensor=NAME"),
        ({"output_tensor": None}, "output_tensor=NAME"),
        ({"opset": 12}, "opset must be from 18 .*got 12"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_here(save, export, tmp_path, options, match):
    with pytest.raises(ConfigError, match=match):
        export(save(), **options)
    assert not (tmp_path / "exported").exists()


def test_wrong_features_write_nothing(save, export, tmp_path, monkeypatch):
    """A graph that differs by a thousandth from the original is refused."""
    original = _Parts.reference
    monkeypatch.setattr(
        _Parts,
        "reference",
        lambda self, images: [x * np.float32(1.001) for x in original(self, images)],
    )
    with pytest.raises(ExportError, match=r"differs from graph\.pb in tensorflow"):
        export(save())
    assert not (tmp_path / "exported").exists()


def test_export_prints_nothing(save, tmp_path):
    """TensorFlow's notice that an operator is deprecated reaches nobody."""
    code = (
        "from pathlib import Path; from exporters.frozen.backbone import FROZEN\n"
        "from tlbench.model import ExportOptions; from tlbench.core.progress import Silent\n"
        "options = ExportOptions(input_tensor='DecodeJpeg', output_tensor='pool_3')\n"
        f"backbone = FROZEN.with_argument({str(save())!r})\n"
        f"backbone.export(options, Path({str(tmp_path / 'model.onnx')!r}), Silent())\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
