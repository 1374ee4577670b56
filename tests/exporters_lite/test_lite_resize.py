"""The bicubic or nearest resize inside an export is the one that the card names."""

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from exporters.common.parity import probe_batches
from exporters.common.preprocess import (
    BICUBIC,
    BILINEAR,
    NEAREST,
    Preprocessing,
    nearest_rows,
    prepend_preprocessing,
)
from exporters.lite import reference
from exporters.lite.backbone import LITE0
from exporters.lite.reference import resize_bicubic
from tlbench.core.errors import ConfigError, ExportError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions, OnnxModel


def resized(images, size, resize):
    """Only the resize: what ONNX Runtime makes of raw images, (N, 3, size, size)."""
    import onnx
    from onnx import TensorProto, helper

    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, size, size])
        for name in ("between", "features")
    ]
    node = helper.make_node("Identity", ["between"], ["features"])
    graph = helper.make_graph([node], "identity", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model = prepend_preprocessing(
        model,
        network_input="between",
        size=(size, size),
        preprocessing=Preprocessing("x"),
        resize=resize,
    )
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"images": images})[0]


def pillow(images, size):
    """Pillow's resize of each channel in floating point: no rounding to bytes."""
    return np.array(
        [
            [
                Image.fromarray(image[..., c].astype(np.float32)).resize(
                    (size, size), Image.Resampling.BICUBIC
                )
                for c in range(3)
            ]
            for image in images
        ]
    )


@pytest.mark.parametrize("size", [139, 224, 299])
@pytest.mark.parametrize("images", probe_batches(), ids=["square", "wide"])
def test_enlarging_is_that_of_pillow(images, size):
    """The coefficient and the edges are Pillow's; ten thousand times nearer than another one."""
    actual, expected = resized(images, size, BICUBIC), pillow(images, size)
    # of 255 grey levels; with a = -0.75 the largest difference is above 10
    np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize("size", [33, 64, 224])
@pytest.mark.parametrize("images", probe_batches(), ids=["square", "wide"])
def test_numpy_reference_is_the_graphs(images, size):
    """Enlarging and reducing, what the export is verified against does the same."""
    expected = resize_bicubic(images.transpose(0, 3, 1, 2).astype(np.float32), size)
    # float32 positions in ONNX Runtime, of 255 grey levels
    np.testing.assert_allclose(resized(images, size, BICUBIC), expected, rtol=0, atol=5e-3)


def numbered(height, width):
    """Return an image (1, height, width, 3) whose pixels say which row and column they are."""
    image = np.zeros((1, height, width, 3), np.uint8)
    image[0, ..., 0] = np.arange(height)[:, None]
    image[0, ..., 1] = np.arange(width)
    return image


def nearest_of(height, width, size):
    """Return rows and columns that the graph and that Pillow take, (2, size) each."""
    image = numbered(height, width)
    ours = resized(image, size, NEAREST)[0]
    theirs = np.asarray(Image.fromarray(image[0]).resize((size, size), Image.Resampling.NEAREST))
    assert (ours[0] == ours[0, :, :1]).all()
    assert (ours[1] == ours[1, :1]).all()
    return (
        np.array([ours[0, :, 0], ours[1, 0]], dtype=int),
        np.array([theirs[:, 0, 0], theirs[0, :, 1]], dtype=int),
    )


OLD = [*range(1, 66), 75, 80, 96, 100, 127, 128, 139, 180, 200, 224, 255, 256]
NEW = [32, 33, 64, 75, 97, 128, 139, 150, 192, 224, 240, 256, 260, 299, 300, 331, 380, 480]


@pytest.mark.parametrize("size", NEW)
def test_nearest_is_pillows_enlarging_and_reducing(size):
    """Every row and column is Pillow's but for ties: there a whole position is rounded to it.

    At a tie Pillow, which adds the steps up, may take the pixel before, and so may ONNX Runtime.
    """
    for old in OLD:
        # height and width of two sizes, so that one taken for the other is seen
        height, width = old, OLD[-1 - OLD.index(old)]
        for n, ours, theirs in zip((height, width), *nearest_of(height, width, size), strict=True):
            position = (2 * np.arange(size) + 1) * n
            expected, tie = position // (2 * size), position % (2 * size) == 0
            np.testing.assert_array_equal(ours[~tie], theirs[~tie])
            np.testing.assert_array_equal(ours[~tie], expected[~tie])
            for found in (ours, theirs):
                assert np.isin(expected[tie] - found[tie], (0, 1)).all()
            np.testing.assert_array_equal(expected, nearest_rows(n, size))


@pytest.mark.parametrize("size", [64, 96, 128, 139, 160, 192, 224, 256])
def test_nearest_of_32_pixels_is_pillows_ties_included(size):
    """CIFAR's images at these sizes, 139 of `keras-shallow-2017` among them, are Pillow's."""
    ours, theirs = nearest_of(32, 32, size)
    np.testing.assert_array_equal(ours, theirs)


def test_another_rounding_is_not_pillows():
    """The tests above would see another ``nearest_mode``: the tie of 32 to 139 goes up."""
    ours, _ = nearest_of(32, 32, 139)
    assert (2 * 69 + 1) * 32 % (2 * 139) == 0
    assert ours[0][68:71].tolist() == [15, 16, 16]


def test_the_resizes_differ():
    """The tests above would otherwise hold for any."""
    images = probe_batches()[0]
    bicubic, bilinear, nearest = (resized(images, 224, r) for r in (BICUBIC, BILINEAR, NEAREST))
    assert np.abs(bicubic - bilinear).max() > 5
    assert np.abs(bicubic - nearest).max() > 5
    assert np.abs(bilinear - nearest).max() > 5


# From 80 or 96 pixels, rounding takes another row than the formula here.
@pytest.mark.parametrize("size", [104, 116])
def test_no_size_is_refused_for_a_tie(tmp_path, size):
    """An export is verified on images of odd sizes, whose positions are never half way."""
    options = ExportOptions(input_size=size, resize="nearest", layer="stem")
    card = LITE0.export(options, tmp_path / "m.onnx", Silent())
    assert card.parity.max_rel <= 1e-4


def test_card_and_features_follow_the_option(tmp_path):
    """Bilinear by default and by name, the others by name."""
    exports = {}
    for name in (None, "bilinear", "bicubic", "nearest"):
        path = tmp_path / f"{name}.onnx"
        card = LITE0.export(ExportOptions(input_size=64, resize=name), path, Silent())
        assert card.parity.max_rel <= 1e-4
        exports[name] = (card.resize, OnnxModel(path).sha256)
    assert exports[None] == exports["bilinear"]
    assert exports["bilinear"][0] == "bilinear, half-pixel centres, no antialiasing"
    assert exports["bicubic"][0] == "bicubic (a = -0.5), half-pixel centres, no antialiasing"
    assert exports["nearest"][0] == "nearest pixel, half-pixel centres, no antialiasing"
    assert len({digest for _, digest in exports.values()}) == 3


@pytest.mark.parametrize("name", ["bicubic", "nearest"])
def test_another_resize_than_the_graphs_fails_the_export(tmp_path, monkeypatch, name):
    """The verification sees the difference between two resizes."""
    monkeypatch.setattr(reference, f"resize_{name}", reference.resize_bilinear)
    with pytest.raises(ExportError, match="Nothing was written"):
        LITE0.export(ExportOptions(input_size=64, resize=name), tmp_path / "m.onnx", Silent())
    assert list(tmp_path.iterdir()) == []


def test_unknown_resize(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'bicubic'"):
        LITE0.export(ExportOptions(resize="cubic"), tmp_path / "m.onnx", Silent())


@pytest.mark.parametrize("option", ["input_tensor", "output_tensor"])
def test_names_of_tensors_are_refused(tmp_path, option):
    """They belong to frozen graphs: the error says so, and no file appears."""
    with pytest.raises(ConfigError, match=f"efficientnet-lite0: {option} names a tensor of"):
        LITE0.export(ExportOptions(**{option: "x.onnx"}), tmp_path / "m.onnx", Silent())
    assert list(tmp_path.iterdir()) == []
