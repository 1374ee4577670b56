"""What cannot be exported is refused with the reason, and nothing is written."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[torch]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'tlbench[torch]'")

from tlbench.core.errors import (
    ConfigError,
    ExportError,
    MissingDependencyError,
    UnknownNameError,
)

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("factory", "error", "match"),
    [
        ("fails", ExportError, r"torch_networks\.fails\(\) failed: RuntimeError: no such file: we"),
        ("exits", ExportError, r"exits\(\) failed: SystemExit: 3"),
        ("returns_nothing", ConfigError, r"returned None, not a torch\.nn\.Module"),
        ("returns_pair", ConfigError, "returned a tuple of 2.*returns the network alone"),
        ("NETWORK", ConfigError, "is a network, not a function that returns a network"),
        ("NUMBER", ConfigError, "is of type int, not a function"),
        ("trainde", ConfigError, "torch_networks has no 'trainde'. Did you mean trained"),
        ("Tiny.from_nam", ConfigError, r"torch_networks\.Tiny has no 'from_nam'.*from_name"),
        ("TwoInputs", ExportError, "missing 1 required positional argument: 'mask'"),
        ("RandomDropout", ExportError, "other features each time for the same images"),
        ("StatisticsOfTheBatch", ExportError, "depend on the other images of its batch"),
        ("AlwaysTraining", ExportError, "other features each time for the same images"),
        ("Squeezes", ExportError, r"does not run on.*shape \(1, 3, 32, 32\).*IndexError"),
        ("DependsOnPixels", ExportError, "cannot convert .*DependsOnPixels to ONNX"),
        ("FixedBatch", ExportError, r"features of shape \(2, 8\) for a single image"),
        ("NotANumber", ExportError, "not finite"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_factory_or_network_is_refused(export, tmp_path, factory, error, match):
    with pytest.raises(error, match=match):
        export(factory, weights="random")
    assert not list(tmp_path.rglob("*.onnx"))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_clases": 3}, "unexpected keyword argument 'num_clases'. Did you mean 'num_classes'"),
        ({"depth": 3}, r"argument 'depth'.*Its parameters: width, num_classes\."),
        ({"width": "wide"}, r"tiny\(width='wide'\) failed: TypeError"),
    ],
    ids=["misspelt", "unknown", "wrong type"],
)
def test_factory_args_that_do_not_fit_are_named(export, arguments, match):
    with pytest.raises((ConfigError, ExportError), match=match):
        export("tiny", weights="random", factory_args=arguments)


def test_a_missing_factory_argument_is_named(export):
    with pytest.raises(ConfigError, match=r"missing a required argument: 'name'.*parameters: name"):
        export("Tiny.from_name", weights="random")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"layer": "bodi"}, UnknownNameError, "no module 'bodi'.*Did you mean 'body'"),
        ({"layer": ""}, UnknownNameError, "no module ''"),
        ({"input_size": None}, ConfigError, "which size of images.*input_size"),
        ({"scale": None, "mean": None, "std": None}, ConfigError, "nothing says which pixel val"),
        ({"layout": "nhwc"}, ConfigError, "take .N, C, H, W.*leave out layout"),
        ({"top_output": "logits"}, ConfigError, "top_output"),
        ({"input_tensor": "x"}, ConfigError, "input_tensor"),
        ({"opset": 17}, ConfigError, "opset must be from 18"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_are_refused_with_the_reason(export, options, error, match):
    with pytest.raises(error, match=match):
        export("trained", **options)


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        ("idle", "layer=idle of .*takes no part"),
        ("pair", "gives a tuple of 2; features must be maps"),
        ("flat", r"gives a tensor of shape \(2, 6, 64\) for 2 images"),
    ],
)
def test_a_layer_without_features_is_refused(export, layer, match):
    with pytest.raises(ConfigError, match=match):
        export("Tokens", weights="random", layer=layer)


@pytest.mark.parametrize(
    ("factory", "match"),
    [
        ("returns_tuple", "returns a tuple of 2. Leave top out"),
        ("returns_other_dict", "returns a dict of out. Leave top out"),
        ("Blocks", "does not end in a linear layer.*Name it with layer=...; .* stem, norm, mlp"),
        ("LinearOnMaps", r"returns a tensor of shape \(2, 8, 8, 6\)"),
    ],
)
def test_top_needs_logits(export, factory, match):
    with pytest.raises(ConfigError, match=match):
        export(factory, weights="random", top=True)


def test_an_input_size_that_the_network_refuses(export):
    with pytest.raises(ExportError, match="expected 32 pixels, got 48.*another input_size"):
        export("OneSize", weights="random", input_size=48)


@pytest.mark.parametrize(
    ("argument", "error", "match"),
    [
        (
            "torch_netwrks:tiny",
            MissingDependencyError,
            "no module 'torch_netwrks'.*nor in",
        ),
        ("torch.nothing:tiny", MissingDependencyError, r"no module 'torch\.nothing'"),
        ("needs_more:make", MissingDependencyError, "needs the module 'absent_here'"),
        ("broken:make", ExportError, r"broken fails while it is imported: SyntaxError"),
        ("stops:make", ExportError, r"stops fails while it is imported: SystemExit: 2"),
        ("circular:make", ExportError, r"circular fails while it is imported: ImportError"),
    ],
)
def test_a_module_that_cannot_be_imported(export, tmp_path, monkeypatch, argument, error, match):
    for name, text in {
        "needs_more": "import absent_here",
        "broken": "def make(:",
        "stops": "raise SystemExit(2)",
        "circular": "from os import nothing_like_this",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error, match=match):
        export(argument)
