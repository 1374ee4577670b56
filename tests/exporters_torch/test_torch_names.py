"""``torch:MODULE:FACTORY`` and ``timm:NAME`` as names: what needs no PyTorch."""

import importlib.util

import pytest

from exporters.torch.backbone import TIMM, TORCH
from exporters.torch.factory import Factory, distributions_of, parse_factory
from tlbench.cli.names import option_words
from tlbench.cli.options import factory_arguments
from tlbench.core.errors import ConfigError
from tlbench.core.progress import Silent
from tlbench.model import BACKBONES, ExportOptions, file_stem, find_backbone, is_file_name


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("torch:torchvision.models:resnet50", "resnet50"),
        ("torch:efficientnet_lite_pytorch:EfficientNet.from_name", "EfficientNet.from_name"),
        ("timm:resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("timm:hf-hub:someone/their-net", "their-net"),
        ("frozen:models/graph.pb", "graph"),
    ],
)
def test_a_file_is_named_after_the_network(name, stem):
    assert find_backbone(name).name == name or name.startswith("frozen")
    assert not is_file_name(name)
    assert file_stem(name) == stem


@pytest.mark.parametrize(
    ("argument", "match"),
    [
        ("", "torch: needs MODULE:FACTORY after the colon"),
        ("torchvision.models", "needs MODULE:FACTORY"),
        ("torchvision.models:", "needs MODULE:FACTORY"),
        (":resnet50", "needs MODULE:FACTORY"),
        ("./net.py:make", r"'./net.py' is not the name of a module.*the module is net"),
        ("my-net:make", "'my-net' is not the name of a module"),
        ("net:make()", r"'make\(\)' is not the name of a function"),
        ("net:make:again", "'make:again' is not the name of a function"),
        ("net..models:make", "is not the name of a module"),
    ],
)
def test_a_name_that_python_cannot_read_is_refused(argument, match):
    with pytest.raises(ConfigError, match=match):
        parse_factory(f"torch:{argument}", argument, {})


@pytest.mark.parametrize("name", ["torch", "timm", "torch:", "timm:"])
def test_a_network_has_to_be_named(name, tmp_path):
    with pytest.raises(ConfigError, match="needs"):
        find_backbone(name).export(ExportOptions(), tmp_path / "x.onnx", Silent())


def test_timm_names_the_network_once(tmp_path):
    backbone = TIMM.with_argument("resnet18")
    with pytest.raises(ConfigError, match="names the network already"):
        backbone.export(
            ExportOptions(factory_args={"model_name": "vgg11"}), tmp_path / "x.onnx", Silent()
        )


def test_options_of_other_backbones_are_refused(tmp_path):
    options = ExportOptions(factory_args={"width": 2})
    with pytest.raises(ConfigError, match="factory_args are for a function that makes a network"):
        BACKBONES.load("efficientnet-lite0").export(options, tmp_path / "x.onnx", Silent())


def test_installed_code_is_known_by_its_version():
    """Code that can be edited in place is not: an export of it is never used again."""
    assert distributions_of("sklearn.svm") == ["scikit-learn"]
    assert distributions_of("torch_networks") == []
    assert distributions_of("absent_here") == []
    assert distributions_of("json") == []
    assert TORCH.with_argument("sklearn.svm:SVC").identity().startswith("scikit-learn 1")
    assert TORCH.with_argument("torch_networks:tiny").identity() is None


def test_the_text_of_a_factory_is_a_call():
    factory = Factory("net", "Net.make", {"depth": 2, "name": "a"})
    assert str(factory) == "net.Net.make(depth=2, name='a')"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=True", True),
        ("a=None", None),
        ("a=[1, 2.5]", [1, 2.5]),
        ("a=resnet18", "resnet18"),
        ("a='1'", "1"),
        ("a=x=y", "x=y"),
        ("a=", ""),
        ("a=(", "("),
    ],
)
def test_factory_args_are_read_as_python_or_else_as_text(text, value):
    """And written so that they are read again as what they were."""
    found = factory_arguments([text])
    assert found == {"a": value}
    assert type(found["a"]) is type(value)
    flag, written = option_words("factory_args", found)
    assert flag == "--factory-arg"
    assert factory_arguments([written]) == found


@pytest.mark.parametrize("text", ["a", "=1", "a b=1", "1=2"])
def test_a_factory_arg_without_a_name_or_value_is_refused(text):
    with pytest.raises(ConfigError, match="--factory-arg takes NAME=VALUE, got"):
        factory_arguments([text])


def test_a_factory_arg_is_given_once():
    with pytest.raises(ConfigError, match="'a' twice"):
        factory_arguments(["a=1", "a=2"])


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", [object()], {"a": object()}])
def test_factory_args_are_plain_values(value):
    """Their text identifies an export in the cache."""
    with pytest.raises(ConfigError, match=r"factory_args takes .* got width="):
        ExportOptions(factory_args={"width": value})


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="PyTorch is installed here"
)
def test_without_pytorch_the_error_says_how_to_install_it(tmp_path):
    with pytest.raises(Exception, match=r"pip install 'tlbench\[torch\]'"):
        TORCH.with_argument("a:b").export(ExportOptions(), tmp_path / "x.onnx", Silent())
