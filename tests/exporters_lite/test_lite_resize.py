"""The bicubic resize inside an export is the one that the card names."""

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from exporters.lite import reference
from exporters.lite.backbone import LITE0
from exporters.lite.reference import resize_bicubic
from exporters.preprocess import BICUBIC, BILINEAR, Preprocessing, prepend_preprocessing
from exporters.probes import probe_batches
from tlbench.errors import ConfigError, ExportError, UnknownNameError
from tlbench.model import ExportOptions, OnnxModel
from tlbench.progress import Silent


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


def test_the_two_resizes_differ():
    """The tests above would otherwise hold for either."""
    images = probe_batches()[0]
    difference = resized(images, 224, BICUBIC) - resized(images, 224, BILINEAR)
    assert np.abs(difference).max() > 5


def test_card_and_features_follow_the_option(tmp_path):
    """Bilinear by default and by name, bicubic by name."""
    exports = {}
    for name in (None, "bilinear", "bicubic"):
        path = tmp_path / f"{name}.onnx"
        card = LITE0.export(ExportOptions(input_size=64, resize=name), path, Silent())
        assert card.parity.max_rel <= 1e-4
        exports[name] = (card.resize, OnnxModel(path).sha256)
    assert exports[None] == exports["bilinear"]
    assert exports["bilinear"][0] == "bilinear, half-pixel centres, no antialiasing"
    assert exports["bicubic"][0] == "bicubic (a = -0.5), half-pixel centres, no antialiasing"
    assert exports["bicubic"][1] != exports["bilinear"][1]


def test_another_resize_than_the_graphs_fails_the_export(tmp_path, monkeypatch):
    """The verification sees the difference between the two resizes."""
    monkeypatch.setattr(reference, "resize_bicubic", reference.resize_bilinear)
    with pytest.raises(ExportError, match="Nothing was written"):
        LITE0.export(ExportOptions(input_size=64, resize="bicubic"), tmp_path / "m.onnx", Silent())
    assert list(tmp_path.iterdir()) == []


def test_unknown_resize(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'bicubic'"):
        LITE0.export(ExportOptions(resize="cubic"), tmp_path / "m.onnx", Silent())


@pytest.mark.parametrize("option", ["input_tensor", "output_tensor"])
def test_names_of_tensors_are_refused(tmp_path, option):
    """Whoever wrote --output for the file is told, and no file appears."""
    with pytest.raises(ConfigError, match="efficientnet-lite0: .* given with -o"):
        LITE0.export(ExportOptions(**{option: "x.onnx"}), tmp_path / "m.onnx", Silent())
    assert list(tmp_path.iterdir()) == []
