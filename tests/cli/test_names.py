"""The library speaks of parameters, the command line of options."""

import pytest
import typer

from tlbench.cli.app import app
from tlbench.cli.names import _parameters, option_names, option_words, speak_of_options
from tlbench.core.errors import ConfigError


@pytest.mark.parametrize(
    ("message", "translated"),
    [
        # A parameter and its value, wherever it stands.
        ("Install it, or pass provider='cpu'.", "Install it, or pass --provider cpu."),
        ('Or pass provider="cpu".', "Or pass --provider cpu."),
        ("Or pass provider=cpu, which works.", "Or pass --provider cpu, which works."),
        ("Take batch_size=8.", "Take --batch-size 8."),
        ("Take latency_bound_s=0.5: it is enough", "Take --latency-bound 0.5: it is enough"),
        ("Pass strict=True.", "Pass --strict."),
        ("Pass strict=False.", "Pass no --strict."),
        ("Pass latency=False (or fewer heads).", "Pass --no-latency (or fewer heads)."),
        ("Set cache=False or spin=False.", "Set --no-cache or --no-spin."),
        ("Pass limit_train=None.", "Pass no --limit-train."),
        ("Choose with data_dir=... or cache_dir=...", "Choose with --data-dir or --cache-dir"),
        ("Pass heads=['softmax', 'knn'].", "Pass --heads softmax,knn."),
        ("Pass heads=('softmax', 'knn').", "Pass --heads softmax,knn."),
        ("Pass baselines=().", "Pass --baselines none."),
        ("Pass scenarios=('single',).", "Pass --scenario single."),
        ("Pass curve=[1, 5].", "Pass --learning-curve 1,5."),
        ("Pass head_params=['C=1', 'k=2'].", "Pass --head-param C=1 --head-param k=2."),
        ("Pass provider_options={'a': 1}.", "Pass --provider-option a=1."),
        ("Pass weights='my file.h5'.", "Pass --weights 'my file.h5'."),
        ("Run it (with threads=1).", "Run it (with --threads 1)."),
        ("Run it with `threads=1`.", "Run it with `--threads 1`."),
        # A name with an underscore, wherever it stands.
        ("The value of limit_train is 3.", "The value of --limit-train is 3."),
        ("Raise limit_test, or limit_train.", "Raise --limit-test, or --limit-train."),
        ("min_duration_s must be less.", "--min-duration must be less."),
        ("top_k must be at least 1.", "--top-k must be at least 1."),
        ("The input_tensor is missing.", "The --input is missing."),
        ("Leave head_params out.", "Leave --head-param out."),
        ("n_calibration must be at least 1.", "--calibrate-images must be at least 1."),
        # A single word, at the start only.
        ("threads must be at least 1.", "--threads must be at least 1."),
        ("heads names an entry twice: a,a.", "--heads names an entry twice: a,a."),
        ("curve takes whole numbers.", "--learning-curve takes whole numbers."),
        ("calibrate, calibrate_images are", "--calibrate, --calibrate-images are"),
    ],
)
def test_parameters_become_options(message, translated):
    assert speak_of_options(message) == translated


@pytest.mark.parametrize(
    "message",
    [
        "Two heads need more threads and a provider.",
        "Run run-1 has no head.",
        "Heads cannot be fitted.",
        "extend_until_steady is not an option.",
        "The head has no parameter max_iter=5.",
        "model_path.onnx is not an ONNX model.",
        "batch_size.onnx is not an ONNX model.",
        "No model at runs/batch_size/limit_train.onnx.",
        "No model at batch_size/limit_train.",
        r"No model at C:\batch_size\x.",
        "threads/x is missing.",
        "threads.txt is missing.",
        "output cannot be written: no space left on device.",
        "The folder ./limit_train is empty.",
        "Unknown dataset 'limit_train'.",
        "No run 'my limit_train'.",
        'No run "the run\'s limit_train run".',
        "No run 'the run's limit_train run'.",
        "Candidate a.onnx@threads=1,provider=cuda is named twice.",
        "Use folder:limit_train instead.",
        "Call RunConfig(batch_size=8) or batch_size().",
        "The my_batch_size and batch_sized.",
        "Pass --batch-size 8 or --no-cache.",
        "latency is measured alone.",
    ],
)
def test_everything_else_is_left_alone(message):
    assert speak_of_options(message) == message


def test_an_apostrophe_does_not_begin_a_quotation():
    message = "The run's batch_size and the processors' limit_train."
    assert speak_of_options(message) == "The run's --batch-size and the processors' --limit-train."


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("seed", 3, ["--seed", "3"]),
        ("top", True, ["--top"]),
        ("latency", True, []),
        ("latency", False, ["--no-latency"]),
        ("baselines", (), ["--baselines", "none"]),
        ("boundaries", ("numpy->numpy",), ["--boundary", "numpy->numpy"]),
        ("head_params", ("C=1",), ["--head-param", "C=1"]),
        ("provider_options", {"a": "b"}, ["--provider-option", "a=b"]),
        ("data_dir", None, []),
    ],
)
def test_a_value_becomes_words(name, value, words):
    assert option_words(name, value) == words


def test_a_parameter_has_one_option():
    """A message does not say which command it is for."""
    options = [
        (parameter.name, parameter.opts[0])
        for parameter in _parameters(typer.main.get_command(app))
        if parameter.param_type_name == "option"
    ]
    names = {name for name, _ in set(options)}
    assert len(names) == len(set(options))
    assert names <= set(option_names())


def test_an_error_is_printed_with_its_options(tlbench, monkeypatch):
    """In one line, whatever the library wrote."""

    def fail(*args, **kwargs):
        raise ConfigError("batch_size is wrong;\n  pass provider='cpu'")

    monkeypatch.setattr("tlbench.workflows.run_benchmark", fail)
    done = tlbench("run")
    assert (done.code, done.out) == (2, "")
    assert done.err == "tlbench: error: --batch-size is wrong; pass --provider cpu\n"
