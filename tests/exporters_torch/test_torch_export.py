"""Networks of PyTorch as ONNX files: their features are PyTorch's, for any images."""

import logging
import sys

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[torch]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'tlbench[torch]'")

import torch_networks as networks

from tlbench.model import OnnxModel

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One export that many tests read: the file and its card."""
    from exporters.torch.backbone import TORCH
    from tlbench.core.progress import Silent
    from tlbench.model import ExportOptions

    path = tmp_path_factory.mktemp("torch") / "trained.onnx"
    options = ExportOptions(
        scale=1 / 255,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.3),
        input_size=32,
        fit="squash",
        top=True,
    )
    return path, TORCH.with_argument("torch_networks:trained").export(options, path, Silent())


@torch.no_grad()
def test_features_and_logits_are_those_of_pytorch(exported, images, pixels, run_file, assert_same):
    """On images that the export was not verified on: the input of the classifier, its output."""
    network = networks.trained().eval()
    for batch in images:
        features, logits = run_file(exported[0], batch)
        maps = network.maps(pixels(batch))
        assert_same(features, maps.relu().mean((2, 3)))
        assert_same(logits, network(pixels(batch)))


@pytest.mark.parametrize("n_images", [1, 3, 17])
def test_a_batch_has_any_size(exported, images, run_file, n_images):
    batch = images[0][np.arange(n_images) % len(images[0])]
    features, _ = run_file(exported[0], batch)
    alone, _ = run_file(exported[0], batch[:1])
    # float32 sums in another order when the kernel changes with the batch
    np.testing.assert_allclose(features[:1], alone, rtol=1e-5, atol=1e-6)


def test_the_card_says_what_was_exported(exported):
    _, card = exported
    assert card.backbone == "torch:torch_networks:trained"
    assert card.source.startswith("torch_networks.trained(), torch ")
    assert card.layer == "input of classify"
    assert (card.pooling, card.feature_shape, card.n_classes) == ("none", (8,), 10)
    assert card.preprocessing == "(x / 255 - (0.5, 0.4, 0.3)) / (0.2, 0.25, 0.3)"
    assert (card.preprocess.mean, card.preprocess.std) == ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    assert card.parity.reference == f"torch {torch.__version__}"
    assert card.parity.max_rel < 1e-5
    assert card.weights.kind == "file"  # the function has weights of its own


def test_the_file_is_plain_onnx(exported):
    """No operators of PyTorch, no paths of this machine; inputs and outputs as of every file."""
    path, _ = exported
    model = OnnxModel(path)
    assert [(t.name, t.dtype, tuple(t.shape)) for t in model.inputs] == [
        ("images", "uint8", ("N", "H", "W", 3))
    ]
    assert [(t.name, tuple(t.shape)) for t in model.outputs] == [
        ("features", ("N", 8)),
        ("logits", ("N", 10)),
    ]
    proto = onnx.load(path)
    names = [node.name for node in proto.graph.node if node.op_type == "Conv"]
    assert names == ["stem.output", "body.output"]
    assert {entry.domain for entry in proto.opset_import} == {""}
    assert str(networks.__file__).encode() not in path.read_bytes()
    assert b"stack_trace" not in path.read_bytes()


def test_two_exports_are_the_same_bytes(export):
    first, _ = export("tiny", weights="random", name="first")
    second, _ = export("tiny", weights="random", name="second")
    other, card = export("tiny", weights="random", seed=1, name="other")
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    assert card.weights.origin == "as the network initialises itself, seed 1"
    assert (card.weights.kind, card.weights.sha256) == ("random", None)


def test_a_method_gets_its_arguments(export):
    _, card = export("Tiny.from_name", weights="random", factory_args={"name": "large"})
    assert card.feature_shape == (16,)
    assert card.backbone == "torch:torch_networks:Tiny.from_name(name='large')"


def test_a_class_is_a_function_that_returns_a_network(export):
    _, card = export("Tiny", weights="random", factory_args={"width": 5})
    assert card.feature_shape == (5,)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["avg", "max", "none"])
def test_a_module_is_pooled(export, images, pixels, run_file, assert_same, pooling):
    """Unpooled, its maps are flattened in the order (H, W, C)."""
    path, card = export("trained", layer="body", pooling=pooling)
    maps = networks.trained().eval().maps(pixels(images[0]))
    expected = {
        "avg": maps.mean((2, 3)),
        "max": maps.amax((2, 3)),
        "none": maps.permute(0, 2, 3, 1).flatten(1),
    }[pooling]
    (features,) = run_file(path, images[0])
    assert_same(features, expected)
    assert card.layer == "body"
    assert card.feature_shape == ((16, 16, 8) if pooling == "none" else (8,))


@torch.no_grad()
@pytest.mark.parametrize(
    ("factory", "layer"), [("Blocks", "norm"), ("LinearOnMaps", None)], ids=["module", "input"]
)
def test_channels_may_be_last(export, images, pixels, run_file, assert_same, factory, layer):
    path, card = export(factory, weights="random", layer=layer)
    (features,) = run_file(path, images[0])
    torch.manual_seed(0)
    network = getattr(networks, factory)().eval()
    maps = network.norm(network.stem(pixels(images[0])).permute(0, 2, 3, 1))
    assert_same(features, maps.mean((1, 2)))
    assert card.feature_shape == (6,)


@pytest.mark.parametrize("factory", ["Blocks", "headless"])
def test_a_network_without_a_classifier_gives_its_output(export, warned, factory):
    """A linear layer inside a block is not a classifier; the warning says what was taken."""
    arguments = {} if factory == "Blocks" else {"num_classes": 0}
    name = "tiny" if factory == "headless" else factory
    _, card = export(name, weights="random", factory_args=arguments, listener=warned)
    assert card.layer == "output of the network"
    assert card.feature_shape == ((8,) if arguments else (6,))
    (warning,) = warned.texts
    assert "does not end in a linear layer: its output becomes the features" in warning


@pytest.mark.parametrize("factory", ["returns_dict", "returns_tuple"])
def test_what_the_network_returns_does_not_matter_for_features(export, factory):
    _, card = export(factory)
    assert card.layer == "input of inner.classify"


@torch.no_grad()
def test_a_module_that_runs_twice(export, images, pixels, run_file, assert_same):
    """Its last output is taken, and both outputs are tensors of their own."""
    path, _ = export("RunsTwice", weights="random", layer="again")
    torch.manual_seed(0)
    network = networks.RunsTwice().eval()
    first = network.again(network.stem(pixels(images[0])))
    assert_same(run_file(path, images[0])[0], network.again(first.relu()).mean((2, 3)))


def test_logits_may_be_in_a_dictionary(export, images, run_file, exported):
    path, card = export("returns_dict", top=True)
    assert card.n_classes == 10
    _, logits = run_file(path, images[0])
    _, expected = run_file(exported[0], images[0])
    # the same weights, converted twice
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"resize": "bicubic"},
        {"resize": "bicubic", "antialias": True},
        {"resize": "bilinear", "antialias": True},
        {"resize": "nearest"},
        {"fit": "crop", "crop_fraction": 0.75},
        {"fit": "pad", "channels": "bgr"},
        {"mean": (127.5,), "std": (127.5,), "scale": 1.0},
    ],
    ids=str,
)
def test_every_preprocessing_is_verified(export, settings):
    _, card = export("trained", **settings)
    assert card.parity.max_rel < 1e-5


def test_timm_states_the_preprocessing(export):
    """Also its licence; what the options say explicitly wins."""
    nothing = dict.fromkeys(("fit", "scale", "mean", "std", "input_size"))
    _, card = export("known_to_timm", **nothing)
    found = card.preprocess
    assert (found.fit, found.crop_fraction, card.input_size) == ("crop", 0.75, (24, 24))
    assert (found.interpolation, found.antialias) == ("bicubic", True)
    assert found.mean == (0.485, 0.456, 0.406)
    assert found.scale == 1 / 255
    assert card.weights.licence == "cc-by-nc-4.0"
    _, card = export("known_to_timm", **nothing | {"input_size": 32, "resize": "bilinear"})
    assert (card.input_size, card.preprocess.interpolation) == ((32, 32), "bilinear")


def test_a_file_states_the_preprocessing(export, tmp_path):
    """In place of the network's own library."""
    path = tmp_path / "preprocessor_config.json"
    path.write_text(
        '{"do_resize": true, "size": {"height": 28, "width": 28}, "resample": 2,'
        ' "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true,'
        ' "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    nothing = dict.fromkeys(("fit", "scale", "mean", "std", "input_size"))
    _, card = export("known_to_timm", preprocess=path, **nothing)
    assert (card.input_size, card.preprocess.fit) == ((28, 28), "squash")
    assert card.preprocess.mean == (0.5, 0.5, 0.5)


def test_the_callers_process_is_left_as_it_was(export, capsys):
    """Random numbers, the default type, loggers, import path and stdout."""
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    torch.set_default_dtype(torch.float64)
    before = list(sys.path), logging.getLogger("torch.onnx").level, torch.is_grad_enabled()
    try:
        export("prints")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.rand(3), expected)
    after = list(sys.path), logging.getLogger("torch.onnx").level, torch.is_grad_enabled()
    assert before == after
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "printed by the factory" in captured.err
