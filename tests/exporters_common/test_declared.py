"""Declared preprocessing: options, and the files of Hugging Face and timm."""

import json
from dataclasses import replace

import numpy as np
import pytest

from exporters.common.declared import declare
from exporters.common.fit import SquareFit
from exporters.common.preprocess import DeclaredPixels, describe_preprocessing
from exporters.frozen.backbone import FROZEN, INCEPTIONV3_2015
from exporters.keras.table import RESNET50
from exporters.lite.backbone import LITE0
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
VIT = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": 224, "width": 224},
}
CLIP = IMAGENET | {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_normalize": True,
    "resample": 3,
    "size": {"shortest_edge": 256},
}
TIMM = {
    "architecture": "resnet50",
    "num_classes": 1000,
    "pretrained_cfg": {
        "tag": "a1_in1k",
        "input_size": [3, 224, 224],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "license": "apache-2.0",
    },
}


@pytest.fixture
def declared(tmp_path):
    """Declare by a file with this content, and by options."""

    def made(content, **options):
        path = tmp_path / "preprocess.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return declare("net", ExportOptions(preprocess=path, **options))

    return made


def test_options_alone():
    """One value stands for all three channels; the scale defaults to 1."""
    found = declare("net", ExportOptions(mean=(127.5,), std=(1.0, 2.0, 3.0), channels="bgr"))
    assert found.pixels == DeclaredPixels(mean=(127.5,) * 3, std=(1, 2, 3), channels="BGR")
    assert (found.size, found.fit, found.resize.antialias) == (None, SquareFit(), False)


def test_nothing_declared_is_an_error():
    """It is not guessed."""
    with pytest.raises(ConfigError, match=r"nothing says which pixel values .* preprocess=FILE"):
        declare("net", ExportOptions(input_size=224))


def test_the_steps_are_the_formula():
    """(x * scale - mean) / std, on channels in the network's order."""
    pixels = DeclaredPixels(scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    x = np.arange(256, dtype=np.float32)[:, None]
    value = x
    for _, operator, by in pixels.steps:
        value = value - by if operator == "Sub" else value * by
    np.testing.assert_allclose(value, (x / 255 - pixels.mean) / pixels.std, atol=1e-6)
    assert pixels.text == "(x / 255 - (0.4, 0.5, 0.6)) / (0.2, 0.3, 0.4)"
    assert replace(pixels, channels="BGR").steps[0].operator == "Gather"
    assert DeclaredPixels().steps == ()


def test_the_card_has_the_declared_numbers():
    """Not what is left of them after the constants were folded."""
    pixels = DeclaredPixels(scale=1 / 255, mean=(0.485,) * 3, std=(0.229,) * 3, channels="BGR")
    found = describe_preprocessing(
        SquareFit(), (8, 8), declare("net", ExportOptions(scale=1)).resize, pixels
    )
    assert (found.scale, found.mean, found.std) == (1 / 255, (0.485,) * 3, (0.229,) * 3)
    assert found.channels == "BGR"


@pytest.mark.parametrize(
    ("document", "size", "fit", "interpolation"),
    [
        pytest.param(VIT, (224, 224), "squash", "bilinear", id="height and width"),
        pytest.param(VIT | {"size": 192}, (192, 192), "squash", "bilinear", id="a number"),
        pytest.param(
            VIT | {"size": {"height": 96, "width": 64}}, (96, 64), "squash", "bilinear", id="oblong"
        ),
        pytest.param(CLIP, (224, 224), 224 / 256, "bicubic", id="shortest edge and crop"),
        pytest.param(
            CLIP | {"size": 256, "crop_size": 224}, (224, 224), 0.875, "bicubic", id="numbers"
        ),
        pytest.param(
            CLIP | {"do_center_crop": False}, (256, 256), 1.0, "bicubic", id="shortest edge alone"
        ),
        pytest.param(
            IMAGENET
            | {
                "feature_extractor_type": "ConvNextFeatureExtractor",
                "crop_pct": 0.875,
                "size": 224,
            },
            (224, 224),
            0.875,
            "bilinear",
            id="ConvNext",
        ),
        pytest.param(
            IMAGENET | {"crop_pct": 0.875, "size": {"shortest_edge": 384}},
            (384, 384),
            "squash",
            "bilinear",
            id="ConvNext from 384",
        ),
        pytest.param(TIMM, (224, 224), 0.95, "bicubic", id="timm"),
        pytest.param(TIMM["pretrained_cfg"], (224, 224), 0.95, "bicubic", id="pretrained_cfg"),
        pytest.param(
            TIMM["pretrained_cfg"] | {"crop_mode": "squash", "crop_pct": 1.0},
            (224, 224),
            "squash",
            "bicubic",
            id="timm squashes",
        ),
    ],
)
def test_size_fit_and_filter_of_a_file(declared, document, size, fit, interpolation):
    """As its library would do it, to a crop that comes before the resize."""
    found = declared(document)
    assert found.size == size
    expected = SquareFit("squash") if fit == "squash" else SquareFit("crop", fit)
    assert found.fit == expected
    assert found.resize.interpolation == interpolation


@pytest.mark.parametrize(
    ("document", "pixels"),
    [
        (VIT, DeclaredPixels(scale=1 / 255, mean=(0.5,) * 3, std=(0.5,) * 3)),
        (VIT | {"rescale_factor": 1 / 127.5}, (1 / 127.5, 0.5, 0.5)),
        (VIT | {"do_normalize": False}, (1 / 255, 0, 1)),
        (VIT | {"do_rescale": False}, (1, 0.5, 0.5)),
        (VIT | {"image_mean": 0.25, "image_std": [2]}, (1 / 255, 0.25, 2)),
    ],
)
def test_pixels_of_hugging_face(declared, document, pixels):
    """Rescaled, then normalised, each if it is asked for."""
    if isinstance(pixels, tuple):
        scale, mean, std = pixels
        pixels = DeclaredPixels(scale=scale, mean=(mean,) * 3, std=(std,) * 3)
    assert declared(document).pixels == pixels


def test_a_flipped_order_of_channels_is_bgr(declared):
    """As in MobileViT, which does not normalise."""
    document = {"do_flip_channel_order": True, "do_rescale": True, "size": 256}
    assert declared(document).pixels == DeclaredPixels(scale=1 / 255, channels="BGR")


def test_files_are_resized_as_pillow_does(declared):
    """Both libraries resize Pillow's images, which averages over merged pixels."""
    assert declared(VIT).resize.antialias
    assert declared(TIMM).resize.antialias
    assert not declared(VIT | {"resample": 0}).resize.antialias


def test_explicit_options_win_over_the_file(declared):
    """Each replaces its part, and the rest is the file's."""
    found = declared(
        CLIP, input_size=64, fit="crop", resize="bilinear", scale=1.0, std=(3.0,), channels="bgr"
    )
    assert (found.size, found.fit) == ((64, 64), SquareFit())
    assert (found.resize.interpolation, found.resize.antialias) == ("bilinear", False)
    expected = DeclaredPixels(scale=1, mean=(0.485, 0.456, 0.406), std=(3,) * 3, channels="BGR")
    assert found.pixels == expected


def test_options_may_replace_what_the_file_lacks_or_the_graph_cannot_do(declared):
    """An error that they answer is not raised."""
    squashed_and_cropped = CLIP | {"size": {"height": 256, "width": 256}}
    assert declared(squashed_and_cropped, fit="crop").size == (224, 224)
    assert declared({**VIT, "size": None}, input_size=32).size == (32, 32)
    assert declared(VIT | {"resample": 1}, resize="bicubic").resize.interpolation == "bicubic"
    assert declared({**VIT, "image_mean": None}, mean=(0.0,)).pixels.mean == (0, 0, 0)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is not JSON"),
        ("\x00\xff", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ([1, 2], r"must hold a JSON object, found \[1, 2\]"),
        ({}, "is not a preprocessing file.*Found keys: none"),
        ({"hidden_size": 768, "model_type": "vit"}, "not a preprocessing file.*'hidden_size'"),
        ({"pretrained_cfg": [1]}, "'pretrained_cfg' must be an object"),
        ({**VIT, "size": None}, r"'size' is missing.*Give input_size"),
        (VIT | {"do_resize": False}, "'do_resize' is false.*Give input_size"),
        ({"pretrained_cfg": {"mean": [0, 0, 0]}}, "'input_size' is missing.*Give input_size"),
        ({"size": 224}, "does not say which pixel values"),
        (VIT | {"gamma": 2.2, "do_pad": True}, r"unknown: 'gamma' \(2.2\), 'do_pad' \(True\)"),
        (VIT | {"image_means": 0.5}, "'image_means'"),
        ({"pretrained_cfg": TIMM["pretrained_cfg"] | {"fill": 3}}, "'fill'"),
        (VIT | {"size": {"longest_edge": 224}}, "'size' must be"),
        (VIT | {"size": {"height": 224}}, "'size' must be"),
        (VIT | {"size": 0}, "'size' must be"),
        (VIT | {"size": 224.5}, "'size' must be"),
        (VIT | {"size": "224"}, "'size' must be"),
        (VIT | {"size": True}, "'size' must be"),
        (VIT | {"image_mean": [0.5, 0.5]}, "'image_mean' must be one number, or three"),
        (VIT | {"image_mean": [0.5, 0.5, "0.5"]}, "'image_mean' must be one number, or three"),
        (VIT | {"image_std": [0.5, 0, 0.5]}, "'image_std' must be greater than 0"),
        ({**VIT, "image_std": None}, "'image_std' must be .* but it is missing"),
        (VIT | {"rescale_factor": 0}, "'rescale_factor' must be a number greater than 0"),
        (VIT | {"do_normalize": "yes"}, "'do_normalize' must be true or false, found 'yes'"),
        (VIT | {"resample": 1}, "filter lanczos"),
        (VIT | {"resample": 9}, "'resample' must be a filter"),
        (CLIP | {"crop_size": 300}, "a crop of 300 pixels is padded"),
        (CLIP | {"crop_size": {"height": 224, "width": 200}}, "a rectangle of 224x200"),
        ({**CLIP, "crop_size": None}, "'crop_size' must be .* but it is missing"),
        (CLIP | {"size": {"height": 256, "width": 256}}, "squashed to 256x256 and then cropped"),
        ({**TIMM["pretrained_cfg"], "crop_mode": "border"}, "'crop_mode' is 'border'"),
        ({**TIMM["pretrained_cfg"], "crop_pct": 1.1}, "crop_pct' of 1.1"),
        ({**TIMM["pretrained_cfg"], "interpolation": "random"}, "'interpolation' must be"),
        ({**TIMM["pretrained_cfg"], "input_size": [1, 28, 28]}, "'input_size' must be three"),
        ({**TIMM["pretrained_cfg"], "mean": None}, "'mean' must be"),
        (
            VIT | {"do_flip_channel_order": True, "image_mean": [0.1, 0.2, 0.3]},
            "'do_flip_channel_order' with values for each channel",
        ),
    ],
)
def test_bad_files_are_refused(declared, document, message):
    """With the key, what was found and what to do."""
    with pytest.raises(ConfigError, match=message) as caught:
        declared(document)
    assert "preprocess.json" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    """And so is a folder."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ConfigError, match=r"cannot be read: .* Give a preprocessor_config"):
            declare("net", ExportOptions(preprocess=path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, "scale must be greater than 0"),
        ({"scale": float("nan")}, "scale must be greater than 0"),
        ({"mean": (1.0, 2.0)}, "mean must be one number, or three.*got 1, 2"),
        ({"mean": ()}, "mean must be one number, or three"),
        ({"mean": (float("inf"),)}, "mean must be one number, or three"),
        ({"std": (1.0, 0.0, 1.0)}, "std must be greater than 0"),
        ({"channels": "rbg"}, "channels"),
        ({"layout": "NHWC"}, "layout"),
    ],
)
def test_impossible_values_are_refused(options, message):
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        ExportOptions(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 1.0},
        {"mean": (0.0,)},
        {"std": (1.0,)},
        {"channels": "rgb"},
        {"layout": "nchw"},
        {"preprocess": "file.json"},
        {"top_output": "logits"},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize(
    "backbone", [LITE0, RESNET50, FROZEN, INCEPTIONV3_2015], ids=lambda backbone: backbone.name
)
def test_backbones_with_a_known_preprocessing_refuse_another(backbone, options, tmp_path):
    """None is ignored in silence, and each has its reason."""
    if backbone is FROZEN:
        backbone = FROZEN.with_argument("graph.pb")
        options = options | {"input_tensor": "a", "output_tensor": "b"}
    with pytest.raises(ConfigError, match=rf"{backbone.name}: .*{next(iter(options))}"):
        backbone.export(ExportOptions(**options), tmp_path / "m.onnx", Silent())
    assert not any(tmp_path.iterdir())
