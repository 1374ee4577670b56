"""The command line's side of precisions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tlbench.core.hashing import sha256_file


@pytest.mark.usefixtures("backbone")
@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_export_writes_and_describes_the_conversion(tlbench, precision):
    code, out, err = tlbench("export", "block", "--precision", precision, "--calibrate", "digits")
    assert (code, err) == (0, "")
    assert f"block, {precision}, opset 18" in out
    assert "split train, seed 0" in " ".join(out.split())
    said = " ".join(out.split())
    assert "from fp32" in said
    assert "other digits images of that split" in said
    _, again, _ = tlbench("inspect", f"block-{precision}.onnx")
    assert again == out
    _, document, _ = tlbench("inspect", f"block-{precision}.onnx", "--format", "json")
    conversion = json.loads(document)["card"]["conversion"]
    assert conversion["precision"] == precision
    assert conversion["images"]["n_held_out"] == 64


@pytest.mark.usefixtures("backbone")
def test_the_number_of_calibration_images_can_be_chosen(tlbench):
    tlbench("export", "block", "--precision", "int8", "--calibrate-images", 20, "-o", "m.onnx")
    _, document, _ = tlbench("inspect", "m.onnx", "--format", "json")
    assert json.loads(document)["card"]["conversion"]["images"]["n_calibration"] == 20


@pytest.mark.usefixtures("backbone")
def test_export_below_the_smallest_cosine_leaves_nothing(tlbench):
    code, out, err = tlbench("export", "block", "--precision", "int8", "--min-cosine", "1")
    assert (code, out) == (2, "")
    assert "Nothing was written" in err
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("backbone")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--calibrate", "digits"), "belong to a precision conversion, and fp32"),
        (("--min-cosine", "0.9"), "belong to a precision conversion, and fp32"),
        (("--calibrate-images", "5"), "belong to a precision conversion, and fp32"),
        (("--precision", "int9"), "Did you mean 'int8'"),
        (("--precision", "int8", "--calibrate", "digit"), "Did you mean 'digits'"),
        (("--precision", "int8", "--calibrate-images", "0"), "must be at least 1"),
        (("--precision", "int8", "--min-cosine", "7"), "between -1 and 1"),
    ],
    ids=" ".join,
)
def test_words_that_make_no_sense_are_exit_2(tlbench, words, message):
    code, _, err = tlbench("export", "block", *words)
    assert code == 2
    assert message in err
    assert not Path("block.onnx").exists()


LIMITS = ("--limit-train", "200", "--limit-test", "100")


@pytest.fixture
def block_file(block_path):
    """A file that tlbench wrote, in the working directory."""
    return Path(shutil.copy(block_path, "net.onnx"))


def test_a_file_is_exported_at_another_precision(tlbench, block_file):
    code, _, err = tlbench("export", block_file, "--precision", "int8", "--seed", "1")
    assert (code, err) == (0, "")
    _, document, _ = tlbench("inspect", "net-int8.onnx", "--format", "json")
    conversion = json.loads(document)["card"]["conversion"]
    assert conversion["source_sha256"] == sha256_file(block_file)
    assert conversion["images"]["seed"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "is a file, and an export starts from a backbone"),
        (("--precision", "int8", "--input-size", "32"), "--input-size 32 applies to the export"),
        (("--precision", "int8", "--calibrate", "digit"), "Did you mean 'digits'"),
    ],
    ids=" ".join,
)
def test_an_export_that_a_file_does_not_allow_is_exit_2(tlbench, block_file, words, message):
    code, out, err = tlbench("export", block_file, *words)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert [path.name for path in Path().iterdir()] == ["net.onnx"]


def test_a_file_at_another_precision_is_measured_like_a_backbone(tlbench, block_file):
    """With both heads, and the file itself as the source of the fp32 features."""
    words = ("evaluate", block_file, "--precision", "int8", "--heads", "centroid", *LIMITS)
    code, out, err = tlbench(*words, "--format", "json")
    assert code == 0, err
    run = json.loads(out)
    assert run["model"]["card"]["precision"] == "int8"
    fitted_on = [one["fitted_on"] for one in run["accuracy"] if not one["baseline"]]
    assert fitted_on == [None, "fp32"]


def test_a_file_drifts_from_itself_at_another_precision(tlbench, block_file):
    words = (block_file, f"{block_file}@precision=int8", "--heads", "centroid", *LIMITS)
    code, out, err = tlbench("drift", *words)
    assert code == 0, err
    assert "int8" in out


def test_a_sweep_of_a_file_over_precisions(tlbench, block_file):
    code, out, err = tlbench(
        *("sweep", "--backbones", block_file, "--precisions", "fp32,int8", "--heads", "centroid"),
        *("--rounds", "6", "--baselines", "none", "--no-costs", "-o", "swept", *LIMITS),
        *("--format", "json"),
    )
    assert code == 0, err
    cells = json.loads(out)["cells"]
    assert [cell["settings"]["precision"] for cell in cells] == ["fp32", "int8"]
    assert {cell["state"] for cell in cells} == {"measured"}


def test_an_int8_file_is_not_converted_again(tlbench, block_file):
    tlbench("export", block_file, "--precision", "int8")
    code, out, err = tlbench("latency", "net-int8.onnx", "--precision", "fp16")
    assert (code, out) == (2, "")
    assert "is int8 already" in err


@pytest.mark.usefixtures("backbone")
def test_extract_names_its_file_after_the_precision(tlbench):
    code, _, err = tlbench(
        "extract", "block", "--precision", "int8", "--split", "test", "--limit-test", "20"
    )
    assert code == 0, err
    assert np.load("block-int8-digits-test.npz")["features"].shape == (20, 24)


def test_precisions_are_listed(tlbench):
    code, out, _ = tlbench("list", "precisions")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == [
        "fp16",
        "int8",
    ]
