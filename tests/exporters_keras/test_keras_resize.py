"""The resize of a Keras network is TensorFlow's bicubic resize or Pillow's nearest pixel."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from exporters.common.fit import SquareFit
from exporters.common.preprocess import (
    BICUBIC,
    BILINEAR,
    NEAREST,
    Preprocessing,
    choose_resize,
    prepend_preprocessing,
)
from exporters.common.session import keras_session
from exporters.keras import network
from exporters.keras.network import preprocess
from exporters.keras.table import MOBILENET
from tlbench.core.errors import ExportError

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("name", "text"),
    [("bicubic", "bicubic (a = -0.5)"), ("nearest", "nearest pixel")],
)
def test_export_is_at_parity_and_says_so(export, mobilenet, run_onnx, images, name, text):
    """The same weights by either resize: two cards, two sets of features."""
    (bilinear, other), (chosen, card) = mobilenet, export(MOBILENET, resize=name)
    assert card.resize == f"{text}, half-pixel centres, no antialiasing"
    assert other.resize == "bilinear, half-pixel centres, no antialiasing"
    # a decade below the tolerance; a = -0.75 or edges that repeat differ by 1e-2
    assert card.parity.max_rel < 1e-5
    ours, theirs = (run_onnx(path, images[0])["features"] for path in (chosen, bilinear))
    assert np.abs(ours - theirs).max() > 1e-3 * np.abs(theirs).max()


@pytest.mark.parametrize("size", [64, 139, 224])
def test_nearest_reference_is_pillows(tensorflow, images, size):
    """What the export is verified against, for images of 32 pixels: no rounding decides there."""
    with keras_session() as frameworks:
        module = frameworks.keras.applications.mobilenet
        ours = preprocess(frameworks, MOBILENET, size, images[0], NEAREST).numpy()
        resized = [
            np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.NEAREST))
            for image in images[0]
        ]
        np.testing.assert_array_equal(ours, module.preprocess_input(np.float32(resized)))


@pytest.mark.parametrize("size", [139, 224])
def test_reference_enlarges_as_tensorflow_and_pillow_do(tensorflow, images, size):
    """What the export is verified against: tf.image.resize, exact, and Pillow in floating point."""
    with keras_session() as frameworks:
        tf, module = frameworks.tf, frameworks.keras.applications.mobilenet
        for batch in images:
            ours = preprocess(frameworks, MOBILENET, size, batch, BICUBIC).numpy()
            exact = tf.image.resize(batch, (size, size), method="bicubic", antialias=True)
            np.testing.assert_array_equal(ours, module.preprocess_input(exact))
            rounded = tf.image.resize(batch, (size, size), method="bicubic").numpy()
            pillow = [
                np.stack([_pillow(image[..., c], size) for c in range(3)], axis=-1)
                for image in batch
            ]
            grey = ours * 127.5 + 127.5
            # of 255 grey levels: float32, and Pillow's own float64
            np.testing.assert_allclose(grey, pillow, rtol=0, atol=5e-3)
            # TensorFlow's table of 1024 positions between two pixels; other kernels: above 10
            np.testing.assert_allclose(grey, rounded, rtol=0, atol=0.3)


def _pillow(channel, size):
    image = Image.fromarray(channel.astype(np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def test_another_resize_than_tensorflows_writes_nothing(export, tmp_path, monkeypatch):
    """The verification sees which of the two resizes is in the graph."""
    monkeypatch.setattr(network, "BILINEAR", BICUBIC)  # the reference mistakes one for the other
    with pytest.raises(ExportError, match="differs from keras 3"):
        export(MOBILENET, input_size=64, resize="bicubic")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("shape", [(96, 79), (31, 64), (1, 20), (50, 50)])
@pytest.mark.parametrize("antialias", [False, True], ids=["plain", "antialias"])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_fit_is_keras_own(tensorflow, fit, antialias, shape):
    """Its resize crops or pads to the aspect ratio of the target; the graph does the same.

    Of an odd remainder Keras pads the smaller half on both sides, which leaves no square.
    """
    height, width = shape
    if fit == "pad":
        width += (height - width) % 2
    images = np.random.default_rng(2).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, 64, 64])
        for name in ("between", "features")
    ]
    node = helper.make_node("Identity", ["between"], ["features"])
    model = prepend_preprocessing(
        helper.make_model(
            helper.make_graph([node], "identity", ends[:1], ends[1:]),
            opset_imports=[helper.make_opsetid("", 18)],
            ir_version=8,
        ),
        network_input="between",
        size=(64, 64),
        preprocessing=Preprocessing("x"),
        resize=choose_resize("bilinear", antialias=antialias),
        fit=SquareFit(fit),
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ours = session.run(None, {"images": images})[0].transpose(0, 2, 3, 1)
    with keras_session() as frameworks:
        theirs = frameworks.keras.ops.image.resize(
            images.astype(np.float32),
            (64, 64),
            interpolation="bilinear",
            antialias=antialias,
            **{f"{fit}_to_aspect_ratio": True},
            data_format="channels_last",
        ).numpy()
    # of 255 grey levels
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-3)


def test_a_fit_with_antialiasing_is_at_parity(export):
    """The whole network, against Keras on images that numpy has padded."""
    _, card = export(MOBILENET, input_size=64, fit="pad", antialias=True)
    assert card.parity.max_rel < 1e-5
    assert (card.preprocess.fit, card.preprocess.antialias) == ("pad", True)
    assert (card.preprocess.mean, card.preprocess.std) == ((127.5,) * 3, (127.5,) * 3)


def test_steps_leave_out_what_does_nothing():
    """A preprocessing without mean, scale and order adds no operation to the graph."""
    assert Preprocessing("x").steps == ()
    assert [step.operator for step in Preprocessing("x", mean=(1.0, 0, 0)).steps] == ["Sub"]
    assert BILINEAR.mode == "linear"
