"""Each command does what its help says."""

import json
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tlbench.cli.app import app
from tlbench.machine.processors import Processors
from tlbench.records import decode_run
from tlbench.records.run import SCHEMA_VERSION

COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands)


def test_without_arguments_the_help_is_shown(tlbench):
    done = tlbench()
    assert "Usage: tlbench" in done.out + done.err
    help_text = " ".join((done.out + done.err).split())
    assert "run Measure accuracy and latency, and save the run." in help_text


def test_the_help_says_all_of_each_command(tlbench):
    """A summary that is cut off with dots helps nobody."""
    done = tlbench("--help")
    assert "..." not in done.out.partition("Commands:")[2]
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_version_is_the_packages(tlbench):
    assert tlbench("--version").out == "tlbench 0.1.0\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(tlbench, command):
    """A sentence for the command, and one for each option."""
    done = tlbench(command, "--help")
    assert done.code == 0
    assert f"tlbench {command}" in done.out
    info = next(c for c in app.registered_commands if (c.name or c.callback.__name__) == command)
    assert info.callback.__doc__


def test_run_prints_the_answer_first_and_saves_it(tlbench, quick, tiny_path):
    done = tlbench("run", tiny_path, *quick)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("tiny ·")
    assert "centroid on backbone" in done.out
    assert " on raw pixels" in done.out
    (saved,) = Path("runs").glob("*/run.json")
    assert str(saved.parent) in done.out
    assert (saved.parent / "predictions.npz").is_file()
    assert max(map(len, lines)) <= 80


def test_run_as_json_is_the_saved_file_and_nothing_else(tlbench, quick, tiny_path):
    done = tlbench("run", tiny_path, *quick, "--format", "json")
    (saved,) = Path("runs").glob("*/run.json")
    assert done.out == saved.read_text()
    assert done.err == ""
    run = decode_run(done.out.encode(), "stdout")
    assert run.accuracy[0].n_test == 100


def test_a_run_can_be_reported_again(tlbench, quick, tiny_path):
    first = tlbench("run", tiny_path, *quick)
    assert tlbench("report").out == first.out
    assert tlbench("report", "last", "--format", "console").out == first.out
    (saved,) = Path("runs").iterdir()
    for name in (saved.name, saved, saved / "run.json"):
        assert tlbench("report", name).out == first.out


def test_a_report_can_go_to_a_file(tlbench, quick, tiny_path):
    tlbench("run", tiny_path, *quick)
    done = tlbench("report", "--format", "json", "-o", "run.json")
    assert (done.code, done.out) == (0, "")
    assert json.loads(Path("run.json").read_text())["schema_version"] == SCHEMA_VERSION


def test_evaluate_measures_no_latency(tlbench, quick, tiny_path):
    options = [option for option in quick if option != "--no-latency"]
    done = tlbench("evaluate", tiny_path, *options, "--format", "json")
    document = json.loads(done.out)
    assert document["latency"] == []
    assert len(document["accuracy"]) == 2


def test_latency_needs_no_dataset(tlbench, brief, tiny_random_path):
    done = tlbench("latency", tiny_random_path, "--batch-size", "4", *brief, "--format", "json")
    document = json.loads(done.out)
    assert [one["batch_size"] for one in document["latency"]] == [1, 4]
    assert document["dataset"] is None


def test_latency_on_the_console_has_its_table(tlbench, brief, tiny_random_path):
    done = tlbench("latency", tiny_random_path, "--batch-size", "4", *brief)
    assert "single" in done.out
    assert "offline" in done.out
    assert "random weights" in done.out


def test_extract_writes_arrays(tlbench, tiny_path):
    done = tlbench("extract", tiny_path, "--split", "test", "--limit-test", "50", "-o", "a.npz")
    assert done.code == 0, done.err
    arrays = np.load("a.npz")
    assert arrays["features"].shape == (50, 16)
    assert arrays["features"].dtype == np.float32
    assert arrays["labels"].shape == arrays["index"].shape == (50,)


def test_extract_names_its_file_by_itself(tlbench, tiny_path):
    tlbench("extract", tiny_path, "--split", "test", "--limit-test", "50")
    assert Path("tiny-digits-test.npz").is_file()


def test_export_and_inspect_agree(tlbench):
    done = tlbench(
        "export", "efficientnet-lite0", "--weights", "random", "--input-size", "64", "-o", "m.onnx"
    )
    assert done.code == 0, done.err
    assert "images: uint8 (N, H, W, 3)" in done.out
    assert tlbench("inspect", "m.onnx").out == done.out
    document = json.loads(tlbench("inspect", "m.onnx", "--format", "json").out)
    assert document["card"]["weights"]["kind"] == "random"
    assert document["macs"] > 1e7


@pytest.mark.parametrize(
    ("operator", "compute", "macs"),
    [
        ("MatMul", "35 MACs per image", 35),
        ("Relu", "0 MACs per image", 0),
        ("LSTM", "unknown. The arithmetic of LSTM in m.onnx is not counted.", None),
    ],
)
def test_inspect_tells_few_from_none_and_from_unknown(tlbench, operator, compute, macs):
    """A foreign model: no zero where nothing was counted, and no empty brackets for a shape."""
    value = helper.make_tensor_value_info
    names = ["x", "w", "w"][: {"MatMul": 2, "LSTM": 3}.get(operator, 1)]
    graph = helper.make_graph(
        [
            helper.make_node(operator, names, ["y"]),
            helper.make_node("SequenceConstruct", ["y"], ["s"]),
        ],
        "g",
        [value("x", TensorProto.FLOAT, [-1, 5])],
        [
            value("y", TensorProto.FLOAT, None),
            helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(np.zeros((5, 7), np.float32), "w")],
    )
    onnx.save(helper.make_model(graph), "m.onnx")
    out = " ".join(tlbench("inspect", "m.onnx").out.split())
    assert f"Compute {compute}" in out
    assert "Input x: float32 (?, 5)" in out
    assert "Output y: float32 of unknown shape Output s: sequence(float32)" in out
    document = json.loads(tlbench("inspect", "m.onnx", "--format", "json").out)
    assert document["macs"] == macs
    assert [tensor["shape"] for tensor in document["outputs"]] == [None, None]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("backbones", "efficientnet-lite0"),
        ("datasets", "cifar10"),
        ("heads", "svm-linear"),
        ("baselines", "pixels"),
        ("providers", "cpu"),
        ("recipes", "lazybones-2016"),
        ("renderers", "console"),
        ("renderers", "pytest-benchmark"),
    ],
)
def test_list_names_the_entries(tlbench, kind, expected):
    """One kind alone, and the same among all; within 80 columns."""
    lines = tlbench("list", kind).out.splitlines()
    assert any(line.startswith(f"{expected} ") for line in lines)
    described = [line for line in lines if not line.startswith(" ")]
    assert all(len(line.split(maxsplit=1)) == 2 for line in described)
    assert max(map(len, lines)) <= 80
    assert f"\n  {expected}" in tlbench("list").out


def test_the_list_has_what_cannot_be_used_last(tlbench, monkeypatch):
    """Under what to install; whoever has the base install alone sees first what works."""

    def version(name):
        if name in {"tensorflow", "tf2onnx", "torch", "onnxscript", "timm"}:
            raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("tlbench.cli.describe.metadata.version", version)
    lines = tlbench("list", "backbones").out.splitlines()
    heading = lines.index("After pip install 'tlbench[export]':")
    assert [line.split()[0] for line in lines[:heading]] == [
        "efficientnet-lite0",
        "efficientnet-lite1",
        "efficientnet-lite2",
        "onnx",
    ]
    assert any(line.startswith("resnet50 ") for line in lines[heading:])
    names = [line.split()[0] for line in lines[heading + 1 :]]
    names = names[: names.index("After")]
    assert sorted(names) == names  # one line for each, none wrapped
    torch = lines.index("After pip install 'tlbench[torch]':")
    assert lines[torch + 1].startswith("torch ")
    assert max(map(len, lines)) <= 80


def test_the_list_of_everything_tries_no_provider(tlbench, monkeypatch):
    """Importing ONNX Runtime takes longer than everything else."""
    monkeypatch.setattr("tlbench.engine.provider_statuses", None)
    assert "cpu, cuda, tensorrt" in tlbench("list").out


def test_doctor_says_what_works(tlbench, tmp_path):
    done = tlbench("doctor", "--data-dir", tmp_path)
    assert done.code == 0
    assert "cpu: works" in done.out
    assert "(writable)" in done.out
    assert "contains neither" in done.out


def test_doctor_tells_kinds_of_processors_apart(tlbench, monkeypatch):
    """Where there are several: which of them a thread meets decides its speed."""
    kinds = [
        Processors(
            kind=kind, n_usable=n, capacity=None, governor=None, max_hz=None, current_hz=None
        )
        for kind, n in (("performance", 4), ("efficient", 8))
    ]
    monkeypatch.setattr("tlbench.machine.environment.processor_kinds", lambda _: tuple(kinds))
    assert "usable (4 performance, 8 efficient)" in " ".join(tlbench("doctor").out.split())


@pytest.mark.parametrize(("quota", "is_shown"), [(1.5, True), (None, False)])
def test_doctor_shows_the_quota_of_a_container(tlbench, monkeypatch, quota, is_shown):
    monkeypatch.setattr("tlbench.machine.environment.cpu_quota", lambda: quota)
    assert (
        "usable, CPU quota of 1.5 processors" in " ".join(tlbench("doctor").out.split())
    ) is is_shown


def test_warnings_are_on_stderr(tlbench, quick, tiny_path, own_cache):
    """A damaged cache entry is said, and JSON on stdout stays JSON."""
    tlbench("run", tiny_path, *quick)
    for path in own_cache.rglob("features.npy"):
        path.write_bytes(b"damage")
    done = tlbench("run", tiny_path, *quick, "--format", "json")
    assert done.err.count("tlbench: warning: Cache entry") == 2
    json.loads(done.out)


@pytest.mark.parametrize(
    ("protocol", "title"),
    [
        (["--folds", "3"], "Cross-validation"),
        (["--learning-curve", "1,5", "--curve-seeds", "2"], "Learning curve"),
        (["--search", "--heads", "softmax"], "Parameter search"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_evaluate_measures_protocols_on_demand(tlbench, quick, tiny_path, protocol, title):
    """Each adds a table, and the command to repeat has the option."""
    options = [option for option in quick if option != "--no-latency"]
    done = tlbench("evaluate", tiny_path, *options, *protocol)
    assert done.code == 0, done.err
    assert f"\n  {title}\n" in done.out
    shown = [word for word in protocol if word not in {"--heads", "softmax"}]
    assert " ".join(shown) in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80
