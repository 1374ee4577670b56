"""`tlbench sweep` and `tlbench pick`: options and files in, tables and exit codes out."""

import json
import shlex
from pathlib import Path

import pytest

from tlbench.cli.repeat import sweep_command
from tlbench.model import ExportOptions
from tlbench.workflows import RunConfig, SweepConfig, make_sweep_config, sweep_timing

FEW = ("--limit-train", "60", "--limit-test", "40", "--baselines", "none")
GRID = ("--heads", "centroid", "--rounds", "12", "--no-costs", *FEW, "--quiet")


@pytest.fixture(scope="module")
def swept(tiny_path, tmp_path_factory):
    """A sweep of two batch sizes, measured once for all tests that only read it."""
    from tlbench.workflows import run_sweep

    folder = tmp_path_factory.mktemp("swept") / "batches"
    base = RunConfig(
        limit_train=60,
        limit_test=40,
        baselines=(),
        cache_dir=folder.parent / "cache",
        timing=sweep_timing(costs=False),
    )
    config = SweepConfig(
        backbones=(str(tiny_path),), heads=("centroid",), batch_sizes=(1, 4), rounds=12, base=base
    )
    run_sweep(config, folder)
    return folder


def test_a_sweep_is_measured_and_printed(tlbench, tiny_path):
    done = tlbench("sweep", "--backbones", tiny_path, "--batch-sizes", "1,4", *GRID, "-o", "swept")
    assert done.code == 0, done.err
    assert done.out.startswith("2 cells · ")
    assert "Accuracy and time per image (n = 40 test images, 12 rounds)" in done.out
    assert Path("swept/sweep.json").is_file()


def test_the_repeat_line_goes_on_with_the_same_sweep(tlbench, tiny_path):
    first = tlbench("sweep", "--backbones", tiny_path, *GRID, "-o", "swept", "--format", "json")
    command = json.loads(first.out)["command"]
    again = tlbench(*shlex.split(command)[1:], "--quiet", "--format", "json")
    assert again.code == 0, again.err
    assert json.loads(again.out) == json.loads(first.out)


def test_cells_are_runs_for_every_other_command(tlbench, swept):
    """Report, compare, baseline, gate and fuse."""
    sweep = json.loads((swept / "sweep.json").read_text())
    one, two = (str(swept / "cells" / cell["id"]) for cell in sweep["cells"])
    for words in (
        ("report", one),
        ("compare", one, two, "--allow-unlike"),
        ("baseline", "save", one, "-o", "base.json"),
        ("gate", one, "--baseline", "base.json"),
    ):
        done = tlbench(*words)
        assert done.code == 0, (words, done.err)


def test_the_picked_cell_is_fused_and_gated_by_the_printed_commands(tlbench, tiny_path):
    grid = ("--backbones", tiny_path, "--heads", "softmax", "--rounds", "12", "--no-costs", *FEW)
    assert tlbench("sweep", *grid, "--quiet", "-o", "swept").code == 0
    done = tlbench("pick", "swept", "--format", "json")
    assert done.code == 0, done.out
    commands = json.loads(done.out)["commands"]
    fused = tlbench(*shlex.split(commands["fuse"])[1:])
    assert fused.code == 0, fused.err
    save, gate = (shlex.split(part)[1:] for part in commands["gate"].split(" && "))
    assert tlbench(*save).code == 0
    run = str(next(Path("swept/cells").iterdir()))
    assert tlbench(*[run if word == "RUN" else word for word in gate]).code == 0


def test_a_file_says_what_options_say(tlbench, tiny_path):
    Path("grid.toml").write_text(
        f"""
        backbones = ["{tiny_path}"]
        heads = ["centroid"]
        baselines = []
        batch_sizes = [1, 4]
        rounds = 12
        limit_train = 60
        limit_test = 40
        """
    )
    done = tlbench("sweep", "grid.toml", "--no-costs", "-q", "-o", "swept", "--format", "json")
    assert done.code == 0, done.err
    from_file = json.loads(done.out)
    words = ("--backbones", tiny_path, "--batch-sizes", "1,4", *GRID)
    done = tlbench("sweep", *words, "-o", "swept", "--format", "json")
    assert json.loads(done.out) == from_file


def test_options_replace_what_the_file_says(tlbench, tiny_path):
    Path("grid.toml").write_text(f'backbones = ["{tiny_path}"]\nbatch_sizes = [1, 4]\nseed = 3\n')
    words = ("grid.toml", "--batch-sizes", "2", *GRID, "-o", "swept", "--format", "json")
    document = json.loads(tlbench("sweep", *words).out)
    assert document["settings"]["batch_sizes"] == [2]
    assert document["settings"]["seed"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('backbone = ["a"]', "Unknown key in grid.toml 'backbone'. Did you mean 'backbones'?"),
        ("sizes = [1]", "Unknown key in grid.toml 'sizes'"),
        ('backbones = "a"', "grid.toml: 'backbones' must be a list of text, got 'a'"),
        ("input_sizes = [96.5]", "'input_sizes' must be a list of whole numbers"),
        ("input_sizes = [true]", "'input_sizes' must be a list of whole numbers"),
        ("batch_sizes = 8", "'batch_sizes' must be a list of whole numbers, got 8"),
        ('seed = "1"', "'seed' must be a whole number, got '1'"),
        ("strict = 1", "'strict' must be true or false, got 1"),
        ("crop_fraction = 'x'", "'crop_fraction' must be a number"),
        ("heads = []", "--heads is empty"),
        ("input_sizes = [96, 96]", "--input-sizes has 96 twice"),
        ("batch_sizes = [0]", "--batch-sizes must be at least 1, got 0"),
        ("rounds = 0", "--rounds must be at least 1"),
        ("limit_test = 0", "--limit-test must be at least 1"),
        ("heads = [", "is not a TOML file"),
        ("[grid]\nheads = ['softmax']", "Unknown key in grid.toml 'grid'"),
    ],
)
def test_a_wrong_file_is_refused(tlbench, text, message):
    Path("grid.toml").write_text(text)
    done = tlbench("sweep", "grid.toml", "-o", "swept")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("swept").exists()


def test_a_file_that_is_no_text_or_not_there_is_refused(tlbench):
    Path("grid.toml").write_bytes(b"\xff\xfe")
    assert "is not a TOML file" in tlbench("sweep", "grid.toml", "-o", "swept").err
    assert "cannot be read" in tlbench("sweep", "missing.toml", "-o", "swept").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--backbones", "resnet5"), "Did you mean 'resnet50'"),
        (("--backbones", ""), "--backbones is empty"),
        (("--input-sizes", "96,big"), "--input-sizes takes whole numbers, got 'big'"),
        (("--batch-sizes", "8,8"), "--batch-sizes has 8 twice"),
        (("--heads", "softmax,softmax"), "--heads has 'softmax' twice"),
        (("--providers", "gpu"), "Unknown provider 'gpu'"),
        (("--fits", "stretch"), "Unknown fit 'stretch'"),
        (("--precisions", "int4"), "Unknown precision 'int4'"),
        (("--rounds", "0"), "--rounds must be at least 1, got 0"),
        (("--against", "vgg16"), "Unknown cell or backbone of the sweep 'vgg16'"),
        (("--dataset", "cifar"), "Did you mean 'cifar10'"),
    ],
)
def test_wrong_options_are_refused(tlbench, words, message):
    done = tlbench("sweep", *words, "-o", "swept")
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_folder_is_needed(tlbench):
    done = tlbench("sweep")
    assert done.code == 2
    assert "-o" in done.err


def test_a_sweep_in_which_everything_fails_is_an_error(tlbench, tiny_path):
    words = ("--backbones", tiny_path, "--providers", "coreml", *GRID, "-o", "swept")
    done = tlbench("sweep", *words)
    assert (done.code, done.out) == (2, "")
    assert "None of the 1 cells could be measured" in done.err


def test_ctrl_c_says_how_to_go_on(tlbench, tiny_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tlbench.workflows.steps.rounds.time_block", interrupt)
        done = tlbench("sweep", "--backbones", tiny_path, *GRID, "-o", "swept")
    assert (done.code, done.out) == (130, "")
    assert done.err.endswith("interrupted; the same command goes on with what is missing.\n")
    assert len(list(Path("swept").glob("cells/*/run.json"))) == 1


def test_an_unfinished_sweep_has_nothing_to_pick(tlbench, tiny_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tlbench.workflows.steps.rounds.time_block", interrupt)
    tlbench("sweep", "--backbones", tiny_path, *GRID, "-o", "swept")
    done = tlbench("pick", "swept")
    assert (done.code, done.out) == (2, "")
    assert "is not finished. Run the same `tlbench sweep` again" in done.err


def test_a_pick_passes_or_not(tlbench, swept):
    """Exit code 1 is the verdict that no cell keeps to the budget."""
    done = tlbench("pick", swept, "--min-accuracy", "1%")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("PICKED batch ")
    done = tlbench("pick", swept / "sweep.json", "--min-accuracy", "99.9%")
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith("NO CELL PASSES")
    assert "points under the limit" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        (("--max-latency", "20ms"), {"max_latency_s": 0.02}),
        (("--max-latency", "1.5 s"), {"max_latency_s": 1.5}),
        (("--max-latency", "900us"), {"max_latency_s": 9e-4}),
        (("--max-latency", "900µs"), {"max_latency_s": 9e-4}),
        (("--min-accuracy", "1%"), {"min_accuracy_fraction": 0.01}),
        (("--min-accuracy", "0.01"), {"min_accuracy_fraction": 0.01}),
        (("--max-size", "20MB"), {"max_size_bytes": 2e7}),
        (("--max-memory", "1 GiB"), {"max_memory_bytes": 2**30}),
        (("--licence", "MIT,none"), {"licences": ["MIT", "none"]}),
    ],
)
def test_limits_have_units(tlbench, swept, words, limit):
    budgets = json.loads(tlbench("pick", swept, *words, "--format", "json").out)["budgets"]
    assert {name: budgets[name] for name in limit} == {
        name: value if isinstance(value, list) else pytest.approx(value)
        for name, value in limit.items()
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--max-latency", "20"), "--max-latency takes a number with a unit, got '20'"),
        (("--max-latency", "fast"), "--max-latency takes a number with a unit, got 'fast'"),
        (("--max-latency", "20MB"), "--max-latency takes a number with a unit, got '20MB'"),
        (("--max-latency", "0ms"), "--max-latency must be greater than 0"),
        (("--max-latency", "-1ms"), "--max-latency takes a number with a unit"),
        (("--min-accuracy", "85"), "Did you mean 85%?"),
        (("--min-accuracy", "120%"), "--min-accuracy is a share of all images, got 120%"),
        (("--min-accuracy", "100%"), "--min-accuracy must be at least 0 and below 1"),
        (("--max-size", "20"), "--max-size takes a number with a unit"),
        (("--max-memory", "20ms"), "--max-memory takes a number with a unit"),
        (("--licence", ""), "--licence is empty"),
        (("--objective", "speed"), "speed"),
    ],
)
def test_wrong_limits_are_refused(tlbench, swept, words, message):
    done = tlbench("pick", swept, *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_pick_needs_a_sweep(tlbench, swept):
    done = tlbench("pick", "nowhere")
    assert done.code == 2
    assert "No sweep in nowhere: there is no such folder" in done.err
    assert "it has no sweep.json" in tlbench("pick", swept / "cells").err


def test_a_pick_of_a_damaged_cell_is_an_error(tlbench, tiny_path):
    assert tlbench("sweep", "--backbones", tiny_path, *GRID, "-o", "swept").code == 0
    (path,) = Path("swept").glob("cells/*/predictions.npz")
    path.write_bytes(b"PK")
    done = tlbench("pick", "swept")
    assert (done.code, done.out) == (2, "")
    assert "predictions.npz" in done.err


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"input_sizes": (96, 128), "fits": ("pad",), "precisions": ("fp32", "int8")},
        {"backbones": ("a.onnx", "b c.onnx"), "providers": ("cuda",), "batch_sizes": (1, 8)},
        {"heads": ("knn", "softmax"), "rounds": 5},
        {
            "base": {
                "dataset": "folder:my photos",
                "limit_test": 5,
                "seed": 3,
                "threads": 1,
                "strict": True,
                "head_params": ("C=1", "knn.n_neighbors=3"),
                "baselines": (),
                "export": ExportOptions(crop_fraction=0.875),
                "timing": sweep_timing(spin=False, costs=False),
            }
        },
    ],
    ids=" ".join,
)
def test_the_command_means_the_same_sweep(config, monkeypatch, tmp_path):
    """What it says, parsed, is the configuration."""
    from typer.testing import CliRunner

    from tlbench.cli.app import app

    base = RunConfig(**({"cache_dir": tmp_path / "c"} | config.get("base", {})))
    expected = SweepConfig(**({k: v for k, v in config.items() if k != "base"} | {"base": base}))
    received = []

    def measure(config, folder, **more):
        received.append((config, folder))
        raise KeyboardInterrupt

    monkeypatch.setattr("tlbench.api.measure_sweep", measure)
    words = shlex.split(sweep_command(expected, Path("swept")))
    CliRunner().invoke(app, words[1:])
    assert received == [(expected, Path("swept"))]


def test_the_settings_of_a_file_are_the_defaults_of_the_library():
    assert make_sweep_config({}) == SweepConfig()
