"""Commands and functions that take a PyTorch network by its name, and keep its export."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[torch]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'tlbench[torch]'")

import torch_networks as networks

import exporters.torch.export  # noqa: F401 - not for the first time while a test replaces parts
import tlbench as api
from exporters.torch import backbone
from tlbench.core.errors import TlbenchError
from tlbench.records import read_run

pytestmark = pytest.mark.torch
NAME = "torch:torch_networks:tiny"


@pytest.fixture
def preprocess(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(
        '{"input_size": [3, 24, 24], "interpolation": "bilinear", "crop_pct": 1.0,'
        ' "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}'
    )
    return path


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "trained.pth"
    torch.save(networks.trained().state_dict(), path)
    return path


@pytest.fixture
def installed(monkeypatch):
    """As if torch_networks came from an installed package."""
    monkeypatch.setattr(
        "exporters.torch.factory.distributions_of",
        lambda module: ["numpy"] if module == "torch_networks" else [],
    )


def files(cache):
    return sorted(path.name for path in (cache / "models").glob("*.onnx"))


def test_an_export_is_used_again_for_the_same_settings(
    installed, own_cache, preprocess, weights, monkeypatch
):
    """Other weights and other factory arguments are other files."""
    settings = {"preprocess": preprocess, "weights": weights}
    images = np.zeros((2, 30, 40, 3), np.uint8)
    first = api.load_backbone(NAME, **settings)
    assert first.features(images).shape == (2, 8)
    (name,) = files(own_cache)
    assert name.startswith("torch-tiny-")

    def exported(*_):
        raise AssertionError("exported again")

    monkeypatch.setattr(backbone.TorchBackbone, "export", exported)
    assert api.load_backbone(NAME, **settings).path == first.path
    for other in ({"weights": "random"}, {"factory_args": {"num_classes": 4}}):
        with pytest.raises(AssertionError, match="exported again"):
            api.load_backbone(NAME, **settings | other)
    torch.save(networks.tiny().state_dict(), weights)
    with pytest.raises(AssertionError, match="exported again"):
        api.load_backbone(NAME, **settings)


def test_code_that_can_be_edited_is_exported_again(own_cache, tlbench, tmp_path, preprocess):
    """A module of the working directory, which no version identifies; in one file."""
    (tmp_path / "work" / "my_net.py").write_text("from torch_networks import trained as make\n")
    for _ in range(2):
        api.load_backbone("torch:my_net:make", preprocess=preprocess)
        (name,) = files(own_cache)
        (own_cache / "models" / name).write_bytes(b"an old export")
    found = api.load_backbone("torch:my_net:make", preprocess=preprocess)
    assert found.card.layer == "input of classify"


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_a_run_by_name_can_be_repeated(installed, tlbench, tmp_path, preprocess, weights):
    done = tlbench(
        *("run", NAME, "--weights", weights, "--preprocess", preprocess, "--factory-arg"),
        *("num_classes=10", "--heads", "softmax", "--baselines", "none", "--limit-train", 60),
        *("--limit-test", 40, "--no-latency"),
    )
    assert done.code == 0, done.err
    run = read_run("last", tmp_path / "work" / "runs")
    assert run.model.card.weights.origin == "trained.pth"
    assert f"--weights {weights}" in run.config.command
    assert "--factory-arg num_classes=10" in run.config.command
    assert f"--preprocess {preprocess}" in run.config.command


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_latency_needs_no_weights(installed, tlbench, preprocess):
    done = tlbench(
        *("latency", NAME, "--weights", "random", "--preprocess", preprocess, "--scenario"),
        *("single", "--min-samples", 8, "--min-duration", 0, "--max-duration", 1, "--no-costs"),
    )
    assert done.code == 0, done.err
    assert "torch:torch_networks:tiny" in done.out


def test_export_writes_a_file_in_the_working_directory(tlbench, tmp_path, weights):
    done = tlbench(
        *("export", NAME, "--weights", weights, "--scale", "1/255", "--mean", 0.5, "--std", 0.5),
        *("--input-size", 32, "--top", "--factory-arg", "num_classes=10"),
    )
    assert done.code == 0, done.err
    assert (tmp_path / "work" / "tiny.onnx").is_file()
    assert "torch:torch_networks:tiny(num_classes=10)" in done.out


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["run", "torch:torch_networks:fails"], "error: torch_networks.fails() failed"),
        (["export", "torch:torch_networks:tiny", "--factory-arg", "wide=3"], "--factory-arg"),
        (["export", "torch:torch_networks:trained"], "--preprocess"),
        (["export", "torch:torch_networks:trained", "--layer", "bodi", "--scale", 1], "input-size"),
        (["latency", "efficientnet-lite0", "--factory-arg", "a=1"], "--factory-arg"),
        (["export", "timm:resnet18", "--weights", "random"], "pip install 'tlbench[timm]'"),
    ],
    ids=["raises", "unknown argument", "no preprocessing", "no size", "other", "no timm"],
)
def test_errors_name_options_and_exit_2(tlbench, tmp_path, words, match, request):
    if "timm:resnet18" in words:
        import importlib.util

        if importlib.util.find_spec("timm") is not None:
            pytest.skip("timm is installed here")
    done = tlbench(*words)
    assert done.code == 2
    assert match in done.err
    assert done.out == ""
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_name_with_an_unknown_kind_is_refused():
    with pytest.raises(TlbenchError, match="Did you mean 'torch'"):
        api.load_backbone("torsh:torch_networks:tiny")
