"""Errors: exit 2, one line that says what to do, nothing half-written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from tlbench.engine.providers import provider_status


@pytest.fixture
def fails(tlbench):
    """Run a command that must fail as a user error, and leave nothing behind."""

    def run(*arguments):
        before = sorted(Path().rglob("*"))
        done = tlbench(*arguments)
        assert done.code == 2
        assert done.out == ""
        assert "Traceback" not in done.err
        assert sorted(Path().rglob("*")) == before
        (line,) = done.err.splitlines()
        return line

    return run


@pytest.mark.skipif(
    provider_status("cuda").loadable
    or "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="needs ONNX Runtime's GPU build on a machine without CUDA's libraries",
)
def test_cuda_without_its_libraries(tiny_path, tmp_path):
    """A process of its own, so that ONNX Runtime's native log would be seen."""
    command = [sys.executable, "-m", "tlbench", "run", str(tiny_path), "--provider", "cuda"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("tlbench: error: Provider 'cuda' cannot run here: library lib")
    assert "pip install 'tlbench[cuda]'" in line or "Install NVIDIA's driver" in line
    assert list(tmp_path.iterdir()) == []


def test_columns_that_are_not_there_are_named_by_their_options(fails):
    Path("a.csv").write_text("x,y,path\n1,2,3\n")
    line = fails("run", "--dataset", "csv:a.csv")
    assert "its columns: 'x', 'y', 'path'. Name one with --label-column" in line
    line = fails("run", "--dataset", "csv:a.csv", "--label-column", "yy")
    assert "Unknown label column 'yy'. Did you mean 'y'? Known: x, y, path." in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "efficientnet-lite"], "Did you mean 'efficientnet-lite"),
        (["run", "--dataset", "cifar-10"], "Did you mean 'cifar10'"),
        (["run", "--label-column", "x"], "--label-column x does not apply to the dataset 'digits'"),
        (["run", "--dataset", "csv"], "Dataset 'csv' needs a file: write csv:FILE.csv"),
        (["run", "--dataset", "csv:absent.csv"], "The file absent.csv does not exist"),
        (["run", "--dataset", "parquet:*.pq"], "No file matches *.pq"),
        (
            ["run", "--path-column", "a", "--split-column", "a"],
            "--path-column, --label-column and --split-column must differ, got 'a' twice",
        ),
        (["run", "--heads", "svm"], "Did you mean 'svm-linear'"),
        (["run", "--provider", "cudda"], "Did you mean 'cuda'"),
        (["run", "--head-param", "c=1"], "Did you mean 'C'"),
        (["run", "--head-param", "C"], "NAME=VALUE"),
        (["run", "--head-param", "C=much"], "finite number"),
        (["run", "--provider-option", "x"], "NAME=VALUE"),
        (["run", "--batch-size", "0"], "--batch-size must be at least 1, got 0"),
        (["run", "--batch-size", "-3"], "--batch-size must be at least 1, got -3"),
        (["latency", "m.onnx", "--batch-size=--5"], "--batch-size takes whole numbers, got '--5'"),
        (["latency", "m.onnx", "--batch-size", "8,x"], "--batch-size takes whole numbers, got 'x'"),
        (["latency", "m.onnx", "--batch-size", "²"], "--batch-size takes whole numbers, got '²'"),
        (["latency", "m.onnx", "--batch-size", "-3"], "--batch-size must be at least 1, got -3"),
        (["latency", "m.onnx", "--scenario", "x"], "Unknown scenario 'x'"),
        (["latency", "m.onnx", "--scenario", "none"], "--scenario takes one or more"),
        (["latency", "m.onnx", "--scenario", "server"], "pass --qps, or --find-peak to search"),
        (["latency", "m.onnx", "--min-duration", "-1"], "--min-duration must be between 0 and"),
        (["run", "--threads", "0"], "--threads must be at least 1, got 0"),
        (["run", "--limit-train", "0"], "--limit-train must be at least 1"),
        (["run", "--folds", "1"], "--folds must be at least 2, got 1"),
        (["run", "--learning-curve", "0,1"], "--learning-curve takes different numbers"),
        (["run", "--learning-curve", "1,two"], "--learning-curve takes whole numbers"),
        (["run", "--search", "--heads", "knn"], "--search finds no parameter"),
        (["run", "--seed", "-1"], "--seed must be at least 0"),
        (["run", "--heads", ""], "No heads are given"),
        (["run", "--heads", "knn,knn"], "twice"),
        (["run", "missing.onnx"], "No model at missing.onnx"),
        (["run", "--dataset", "folder:missing"], "missing"),
        (["run", "--dataset", "folder"], "folder:PATH"),
        (["extract", "efficientnet-lite0", "-o", "a.csv"], "npz"),
        (["export", "inceptionv4"], "Unknown backbone 'inceptionv4'"),
        (["export", "efficientnet-lite0", "--layer", "stm"], "Did you mean 'stem'"),
        (["run", "--batch-size", "many"], "Invalid value for '--batch-size'"),
        (["run", "--output-format", "json"], "See tlbench run --help."),
        (["nothing"], "See tlbench --help."),
        (["gate"], "Missing option '--baseline'"),
        (["report", "nothing"], "No run 'nothing'"),
        (["report"], "There is no run in runs"),
        (["doctor", "--provider", "coreml"], "coreml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(tlbench, arguments, expected):
    done = tlbench(*arguments)
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith("tlbench: error: ")
    assert expected in line
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no model", b"\x00" * 100], ids=["empty", "text", "zero"]
)
def test_an_onnx_file_that_is_none(tlbench, content):
    Path("bad.onnx").write_bytes(content)
    done = tlbench("run", "bad.onnx")
    assert done.code == 2
    assert "bad.onnx is no" in done.err
    assert not Path("runs").exists()


def test_missing_cifar_says_where_it_was_looked_for(tlbench, tiny_path, tmp_path, monkeypatch):
    """Without data and without a network."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    done = tlbench("run", tiny_path, "--dataset", "cifar10", "--data-dir", tmp_path)
    assert done.code == 2
    line = done.err.splitlines()[-1]
    assert line.startswith("tlbench: error: ")
    assert str(tmp_path) in line
    assert "--data-dir" in line


def test_an_unwritable_cache(fails, quick, tiny_path, own_cache):
    """A file stands in its place (root may write anywhere, so permissions would not do)."""
    own_cache.write_text("in the way")
    line = fails("run", tiny_path, *quick)
    assert "--cache-dir" in line
    assert "--no-cache" in line


def test_an_unwritable_output(tlbench, quick, tiny_path):
    Path("runs").write_text("in the way")
    done = tlbench("run", tiny_path, *quick)
    assert done.code == 2
    assert "--output" in done.err


def test_a_class_with_one_image(fails, tiny_path, tmp_path):
    for name, n_images in (("cat", 5), ("dog", 1)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for i in range(n_images):
            Image.fromarray(np.full((9, 9, 3), 9 * i, np.uint8)).save(folder / f"{i}.png")
    line = fails("run", tiny_path, "--dataset", f"folder:{tmp_path / 'photos'}")
    assert "dog" in line


def test_an_empty_dataset(fails, tiny_path, tmp_path):
    (tmp_path / "photos").mkdir()
    line = fails("run", tiny_path, "--dataset", f"folder:{tmp_path / 'photos'}")
    assert "photos" in line


def test_interrupted_is_neither_0_nor_1(tlbench, tiny_path, quick, monkeypatch):
    """Exit 1 means that a gate failed, and nothing else."""

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("tlbench.workflows.run_benchmark", interrupt)
    assert tlbench("run", tiny_path, *quick).code == 130
