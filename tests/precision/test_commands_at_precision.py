"""The command line's side of precisions."""

import json
from pathlib import Path

import numpy as np
import pytest


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


def test_a_files_precision_cannot_be_changed(tlbench, block_path):
    code, _, err = tlbench("latency", block_path, "--precision", "int8")
    assert code == 2
    assert "is a file, which keeps its precision" in err


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
