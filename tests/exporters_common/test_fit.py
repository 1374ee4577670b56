"""Images that are not square: the graph's crop and padding are those of numpy and of Pillow."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from exporters.common.fit import SQUASH, SquareFit, choose_fit, fit_nodes
from exporters.common.parity import probe_batches
from exporters.common.preprocess import (
    BICUBIC,
    NEAREST,
    Preprocessing,
    Step,
    choose_resize,
    describe_preprocessing,
    prepend_preprocessing,
)
from exporters.lite.reference import resize_bicubic, resize_bilinear
from tlbench.core.errors import ConfigError, ExportError, UnknownNameError
from tlbench.model import ExportOptions, crop_side

SIZE = 9
N_FEATURES = 12
FITS = {
    "crop": SquareFit("crop"),
    "crop 0.875": SquareFit("crop", 0.875),
    "crop 1/3": SquareFit("crop", 1 / 3),
    "pad": SquareFit("pad"),
    "squash": SQUASH,
}


def graph(fit, resize=None, size=SIZE, *, network=True):
    """A session: the preprocessing, and with *network* a convolution and a mean behind it."""
    kernel = np.random.default_rng(3).normal(0, 0.3, (N_FEATURES, 3, 3, 3)).astype(np.float32)
    shape = ["N", N_FEATURES] if network else ["N", 3, size, size]
    operators = [
        helper.make_node("Conv", ["between", "kernel"], ["map"]),
        helper.make_node("Relu", ["map"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            operators if network else [helper.make_node("Identity", ["between"], ["features"])],
            "tiny",
            [helper.make_tensor_value_info("between", TensorProto.FLOAT, ["N", 3, size, size])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(kernel, "kernel")] if network else [],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    model = prepend_preprocessing(
        model,
        network_input="between",
        size=(size, size),
        preprocessing=Preprocessing("x / 255", scale=(1 / 255,) * 3)
        if network
        else Preprocessing("x"),
        resize=resize or choose_resize(None),
        fit=fit,
    )
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run(session, images):
    return session.run(None, {"images": images})[0]


def outside(images, fit):
    """Crop or pad image by image in plain Python, with the definition in the documentation."""
    found = []
    for image in images:
        height, width = image.shape[:2]
        if fit.name == "crop":
            exact = Fraction(fit.crop_fraction).limit_denominator(10**6) * min(height, width)
            side = max(1, int(exact + Fraction(1, 2)))
            top, left = (height - side) // 2, (width - side) // 2
            found.append(image[top : top + side, left : left + side])
        elif fit.name == "pad":
            side = max(height, width)
            square = np.zeros((side, side, 3), np.uint8)
            top, left = (side - height) // 2, (side - width) // 2
            square[top : top + height, left : left + width] = image
            found.append(square)
        else:
            found.append(image)
    return np.stack(found)


@pytest.fixture(scope="module")
def squashing():
    """The same network without a crop or padding of its own."""
    return graph(SQUASH)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_fit_in_the_graph_is_the_one_outside(fit, squashing):
    """For 200 sizes: one pixel, one row, one column and odd remainders among them."""
    session = graph(fit)

    @settings(max_examples=200)
    @example(1, 1, 1)
    @example(1, 37, 2)
    @example(41, 1, 3)
    @example(2, 3, 1)
    @example(300, 7, 1)
    @given(height=st.integers(1, 90), width=st.integers(1, 90), n_images=st.integers(1, 3))
    def check(height, width, n_images):
        generator = np.random.default_rng([height, width])
        images = generator.integers(0, 256, (n_images, height, width, 3), dtype=np.uint8)
        expected = run(squashing, outside(images, fit))
        # the same bytes, resized by the same operator: equal but for the order of sums
        np.testing.assert_allclose(run(session, images), expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(fit.apply(images), outside(images, fit))

    check()


@pytest.mark.parametrize("fit", [FITS["crop"], FITS["pad"]], ids=["crop", "pad"])
@pytest.mark.parametrize("side", [1, 8, 31, 32])
def test_square_images_keep_their_features_bit_by_bit(fit, squashing, side):
    images = np.random.default_rng(side).integers(0, 256, (5, side, side, 3), dtype=np.uint8)
    np.testing.assert_array_equal(run(graph(fit), images), run(squashing, images))


def test_squash_adds_nothing_to_the_graph():
    assert fit_nodes(SQUASH) == ([], [])


@pytest.mark.parametrize(
    ("height", "width", "fraction", "side"),
    [
        (256, 300, 0.875, 224),
        (375, 500, 0.875, 328),  # 328.125
        (500, 10, 0.85, 9),  # 8.5: a half goes up
        (10, 10, 0.95, 10),
        (3, 4, 0.5, 2),
        (7, 7, 1e-9, 1),  # never less than one pixel
        (9, 12, 1 / 3, 3),
        (1000, 1000, 0.1, 100),
    ],
)
def test_side_of_the_crop(height, width, fraction, side):
    """Rounded to the nearest pixel, from the decimal that was written and not its binary value."""
    assert crop_side(height, width, fraction) == side
    images = np.zeros((1, height, width, 3), np.uint8)
    images[:, :, :] = np.arange(width)[:, None] % 256
    cropped = run(graph(SquareFit("crop", fraction), NEAREST, side, network=False), images)
    left = (width - side) // 2
    np.testing.assert_array_equal(cropped[0, 0, 0], np.arange(left, left + side) % 256)


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [33, 224])
@pytest.mark.parametrize("shape", [(32, 32), (96, 80), (300, 20), (1, 50), (375, 500), (1, 1)])
def test_antialiased_resize_is_pillows(kind, size, shape):
    """Enlarging, reducing, and one of each: before Pillow rounds to bytes."""
    images = np.random.default_rng(5).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
    resize = choose_resize(kind, antialias=True)
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    expected = [
        np.asarray(
            Image.fromarray(images[0, ..., c].astype(np.float32)).resize(
                (size, size), filters[kind]
            )
        )
        for c in range(3)
    ]
    ours = run(graph(SQUASH, resize, size, network=False), images)[0]
    # of 255 grey levels; without antialiasing the pixels of noise differ by 100 where it shrinks
    np.testing.assert_allclose(ours, expected, rtol=0, atol=5e-3)
    in_numpy = {"bilinear": resize_bilinear, "bicubic": resize_bicubic}[kind]
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32)
    # what an export is verified against
    np.testing.assert_allclose(
        in_numpy(pixels, size, antialias=True)[0], expected, rtol=0, atol=5e-3
    )


def photograph(height, width):
    """An image without steps: smooth waves of three frequencies."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / a + columns / b) for a, b in ((40, 55), (23, -35), (60, 18))]
    return (127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(375, 500), (500, 333), (600, 601)])
def test_fraction_0875_is_resize_256_and_crop_224(shape):
    """The usual evaluation on ImageNet, by Pillow as torchvision and timm use it.

    They resize before they crop: the same part of the image, up to half a pixel of the original
    and Pillow's rounding of the resized image to bytes and of its longer side.
    """
    image = photograph(*shape)
    height, width = shape
    scale = 256 / min(shape)
    resized = Image.fromarray(image).resize(
        (int(width * scale), int(height * scale)), Image.Resampling.BICUBIC
    )
    left, top = (round((side - 224) / 2) for side in resized.size)
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)), np.float32)
    resize = choose_resize("bicubic", antialias=True)

    def difference(fraction):
        session = graph(SquareFit("crop", fraction), resize, 224, network=False)
        ours = run(session, image[np.newaxis])[0].transpose(1, 2, 0)
        return np.abs(ours - expected).mean()

    # grey levels of 255
    assert difference(0.875) < 2
    assert difference(1.0) > 10 * difference(0.875)


def test_probes_have_an_odd_remainder():
    """The verification of an export sees which side gets the smaller half."""
    for name in ("crop", "pad"):
        shapes = [batch.shape for batch in probe_batches(fit=SquareFit(name))]
        assert any((height - width) % 2 for _, height, width, _ in shapes)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_probes_of_nearest_have_no_tie(fit):
    """The side that is resized is odd, so that no position lies between two pixels."""
    for batch in probe_batches(fit=fit, odd_sizes=True):
        fitted = fit.apply(batch)
        assert fitted.shape[1] % 2 == fitted.shape[2] % 2 == 1


@pytest.mark.parametrize("fraction", [0, -0.5, 1.2, float("nan"), float("inf")])
def test_impossible_fractions(fraction):
    with pytest.raises(ConfigError, match="crop_fraction must be greater than 0 and at most 1"):
        ExportOptions(crop_fraction=fraction)


@pytest.mark.parametrize("size", [0, -224])
def test_an_input_has_pixels(size):
    """Zero is not taken for the default."""
    with pytest.raises(ConfigError, match=f"input_size must be at least 1, got {size}"):
        ExportOptions(input_size=size)


@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_a_fraction_needs_a_crop(fit):
    """Said by name, or where it is the backbone's own choice."""
    with pytest.raises(ConfigError, match=f"belongs to fit='crop', but fit='{fit}'"):
        ExportOptions(fit=fit, crop_fraction=0.875)
    with pytest.raises(ConfigError, match=f"belongs to fit='crop', but fit='{fit}'"):
        choose_fit(ExportOptions(crop_fraction=0.875), default=fit)


def test_unknown_fit():
    with pytest.raises(UnknownNameError, match="Did you mean 'squash'"):
        ExportOptions(fit="sqash")


def test_fit_is_the_users_or_the_backbones():
    assert choose_fit(ExportOptions()) == SquareFit("crop", 1.0)
    assert choose_fit(ExportOptions(), default="squash") == SQUASH
    assert choose_fit(ExportOptions(fit="crop", crop_fraction=0.5), default="squash") == SquareFit(
        "crop", 0.5
    )


def test_nearest_has_no_antialiasing():
    with pytest.raises(ConfigError, match="takes single ones"):
        choose_resize("nearest", antialias=True)


def test_pixel_steps_as_fields():
    """Whatever their order, the fields compute what the steps compute."""
    steps = (
        Step("order", "Gather", np.array([2, 1, 0])),
        Step("sub", "Sub", np.float32([128])),
        Step("mul", "Mul", np.float32([1 / 128])),
        Step("div", "Div", np.float32([2, 4, 8])),
        Step("add", "Add", np.float32([0.1, 0.2, 0.3])),
    )
    chain = SimpleNamespace(text="x", steps=steps)
    found = describe_preprocessing(SquareFit("pad"), (8, 8), BICUBIC, chain)
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 3))
    expected = ((pixels[:, ::-1] - 128) / 128) / [2, 4, 8] + [0.1, 0.2, 0.3]
    ours = (pixels[:, ::-1] * found.scale - found.mean) / found.std
    np.testing.assert_allclose(ours, expected, atol=1e-6)  # the fields have seven digits
    assert (found.channels, found.pad_colour) == ("BGR", (0, 0, 0))
    assert found.interpolation == "bicubic"


@pytest.mark.parametrize(
    ("preprocessing", "mean", "std"),
    [
        (Preprocessing("x"), (0, 0, 0), (1, 1, 1)),
        (
            Preprocessing(
                "torch",
                mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
                scale=(1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255)),
            ),
            (123.675, 116.28, 103.53),
            (58.395, 57.12, 57.375),
        ),
    ],
    ids=["nothing", "torchvision"],
)
def test_fields_are_the_numbers_that_people_know(preprocessing, mean, std):
    found = describe_preprocessing(SQUASH, (8, 8), BICUBIC, preprocessing)
    assert (found.mean, found.std) == (mean, std)


def test_a_preprocessing_that_hides_the_image():
    with pytest.raises(ExportError, match="multiplies a channel by 0"):
        describe_preprocessing(SQUASH, (8, 8), BICUBIC, Preprocessing("0", scale=(1, 0, 1)))
