"""Weights of a network of PyTorch: a file, the factory's own, or random ones."""

import json
import struct

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[torch]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'tlbench[torch]'")

import torch_networks as networks

from exporters.torch.weights import digest_of, load_weights
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.hashing import sha256_file

pytestmark = pytest.mark.torch


def save_safetensors(state, path):
    """Write a file of safetensors by its specification."""
    header, data = {}, b""
    for key, tensor in state.items():
        if tensor.is_floating_point():
            content = tensor.numpy().tobytes()
            places = [len(data), len(data) + len(content)]
            header[key] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": places}
            data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def save_old(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ("save", "wrap"),
    [
        (torch.save, lambda state: state),
        (save_old, lambda state: state),
        (save_safetensors, lambda state: state),
        (torch.save, lambda state: {"epoch": 3, "state_dict": state}),
        (save_old, lambda state: {"model": state, "optimizer": {"moments": torch.ones(2)}}),
        (torch.save, lambda state: {f"module.{key}": value for key, value in state.items()}),
        (save_safetensors, lambda state: {f"model.{key}": value for key, value in state.items()}),
        (torch.save, lambda state: {f"_orig_mod.module.{key}": v for key, v in state.items()}),
    ],
    ids=["zip", "old", "safetensors", "state_dict", "model", "module.", "model.", "two prefixes"],
)
def test_weights_come_from_every_kind_of_file(tmp_path, save, wrap):
    source, target = networks.trained(), networks.tiny()
    path = tmp_path / "weights"
    save(wrap(source.state_dict()), path)
    assert digest_of(source) != digest_of(target)
    assert load_weights(target, "tiny", path) == sha256_file(path)
    assert digest_of(source) == digest_of(target)


def test_an_export_has_the_weights_of_the_file(export, images, run_file, tmp_path):
    """With them the network is another than with random ones; the card says whose they are."""
    path = tmp_path / "weights.pth"
    torch.save(networks.trained().state_dict(), path)
    file, card = export("tiny", weights=str(path), name="file")
    (found,) = run_file(file, images[0])
    (expected,) = run_file(export("trained", name="own")[0], images[0])
    np.testing.assert_array_equal(found, expected)
    assert (card.weights.kind, card.weights.origin) == ("file", "weights.pth")
    assert card.weights.sha256 == sha256_file(path)
    assert card.weights.licence == "unknown"


def test_a_factory_may_load_weights_itself(export):
    _, card = export("trained")
    assert card.weights.kind == "file"
    assert card.weights.origin == "loaded by torch_networks.trained()"
    assert card.weights.sha256 == digest_of(networks.trained())


@pytest.mark.parametrize(
    ("factory", "top", "what"), [("tiny", False, "features"), ("fresh_head", True, "logits")]
)
def test_random_weights_are_not_taken_for_trained_ones(export, factory, top, what):
    """A network that is another each time it is made has not been trained."""
    with pytest.raises(ConfigError, match=f"other {what} each time.*weights=FILE"):
        export(factory, top=top)


def test_a_new_classifier_does_not_matter_for_features(export):
    assert export("fresh_head")[1].feature_shape == (8,)


def _without(state, *keys):
    return {key: value for key, value in state.items() if key not in keys}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: _without(s, "body.bias"), r"1 tensor is missing \(body\.bias\)\."),
        (lambda s: s | {"extra": torch.ones(1)}, r"1 tensor is unexpected \(extra\)\."),
        (
            lambda s: s | {"classify.weight": torch.ones(3, 8)},
            r"1 tensor is of another shape \(classify\.weight, \(3, 8\) instead of \(10, 8\)\)",
        ),
        (
            lambda _: {f"layer{i}.weight": torch.ones(1) for i in range(5)},
            r"10 tensors are missing .*, \.\.\.\); 5 tensors are unexpected \(layer0\.weight, lay",
        ),
        (lambda s: {f"module.{k}": v for k, v in s.items()} | {"x": torch.ones(1)}, "missing"),
    ],
    ids=["missing", "unexpected", "shape", "another network", "prefix of some"],
)
def test_weights_of_another_network_are_refused(tmp_path, change, match):
    """The error says which tensors; the network keeps its own."""
    network, path = networks.tiny(), tmp_path / "weights.pth"
    torch.save(change(networks.trained().state_dict()), path)
    before = digest_of(network)
    with pytest.raises(ExportError, match=match):
        load_weights(network, "tiny", path)
    assert digest_of(network) == before


def test_a_missing_file_is_named(export, tmp_path):
    with pytest.raises(ExportError, match=r"No weights file at .*absent\.pth"):
        export("tiny", weights=str(tmp_path / "absent.pth"))


def test_a_file_that_asks_for_code_is_refused(export, tmp_path):
    """A whole module, as `torch.save(network)` writes it, is code."""
    path = tmp_path / "whole.pth"
    torch.save(networks.trained(), path)
    with pytest.raises(ExportError, match=r"torch_networks\.Tiny.*is refused"):
        export("tiny", weights=str(path))
