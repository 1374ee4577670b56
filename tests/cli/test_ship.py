"""`tlbench fuse` and `tlbench predict`: a run in, a classifier out, images in, classes out."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits


@pytest.fixture
def classifier(tlbench, quick, tiny_path):
    """Run the tiny backbone with two heads, fuse softmax."""
    options = ["softmax,knn" if option == "centroid" else option for option in quick]
    assert tlbench("run", tiny_path, *options, "--baselines", "none").code == 0
    return tlbench("fuse", "last", "--head", "softmax", "-o", "c.onnx")


@pytest.fixture
def photos(tlbench):
    """Five digits as PNG files."""
    Path("photos").mkdir()
    for number, grey in enumerate(load_digits().images[:5]):
        pixels = np.rint(grey * 255 / 16).astype(np.uint8)
        Image.fromarray(np.stack([pixels] * 3, axis=2)).save(f"photos/{number}.png")
    return Path("photos")


def test_fuse_says_what_it_wrote(tlbench, classifier):
    assert classifier.code == 0, classifier.err
    text = " ".join(classifier.out.split())
    assert "Output label: int64 (N)" in text
    assert "Head softmax (C=0.005" in text
    assert "Classes 10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in text
    assert "on all 100 test images" in text
    assert max(map(len, classifier.out.splitlines())) <= 80
    assert tlbench("inspect", "c.onnx").out == classifier.out


def test_inspect_as_json_lists_the_classes(tlbench, classifier):
    """What a program in another language needs besides the file."""
    document = json.loads(tlbench("inspect", "c.onnx", "--format", "json").out)
    assert document["classifier"]["classes"] == list("0123456789")
    assert document["classifier"]["head"] == "softmax"


def test_a_head_without_a_form_is_exit_code_2(tlbench, classifier):
    done = tlbench("fuse", "last", "--head", "knn", "-o", "knn.onnx")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "cannot be fused" in done.err
    assert not Path("knn.onnx").exists()


def test_a_classifier_has_a_latency_and_no_accuracy(tlbench, brief, classifier):
    done = tlbench("latency", "c.onnx", "--batch-size", "4", *brief, "--format", "json")
    assert done.code == 0, done.err
    assert {one["scenario"] for one in json.loads(done.out)["latency"]} == {"single", "offline"}
    done = tlbench("evaluate", "c.onnx", "--limit-train", "50", "--limit-test", "20")
    assert done.code == 2
    assert "is a classifier" in done.err


def test_predict_prints_a_line_for_each_image(tlbench, classifier, photos):
    done = tlbench("predict", "c.onnx", photos)
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()] == [
        f"photos/{i}.png" for i in range(5)
    ]


def test_predict_as_json_and_csv_agree(tlbench, classifier, photos):
    document = json.loads(tlbench("predict", "c.onnx", photos, "--format", "json").out)
    rows = list(
        csv.DictReader(io.StringIO(tlbench("predict", "c.onnx", photos, "--format", "csv").out))
    )
    assert [row["class"] for row in rows] == [one["class"] for one in document["images"]]
    assert [int(row["label"]) for row in rows] == [one["label"] for one in document["images"]]


def test_predict_takes_a_list_on_standard_input(tlbench, classifier, photos, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("photos/3.png\nphotos/1.png\n"))
    done = tlbench("predict", "c.onnx", "-", "--format", "json", "--top-k", "2")
    images = json.loads(done.out)["images"]
    assert [one["image"] for one in images] == ["photos/3.png", "photos/1.png"]
    assert all(len(one["ranked"]) == 2 for one in images)


def test_an_unreadable_image_is_a_warning_or_with_strict_exit_code_2(tlbench, classifier, photos):
    (photos / "2.png").write_bytes(b"no image")
    done = tlbench("predict", "c.onnx", photos)
    assert done.code == 0
    assert len(done.out.splitlines()) == 4
    assert "warning: skipped: Cannot decode photos/2.png" in done.err
    strict = tlbench("predict", "c.onnx", photos, "--strict")
    assert (strict.code, strict.out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("absent.onnx", "photos"), "No model at absent.onnx"),
        (("c.onnx", "absent"), "no file or folder absent"),
        (("c.onnx", "photos", "--provider", "cudaa"), "Did you mean 'cuda'"),
        (("c.onnx", "photos", "--top-k", "0"), "--top-k must be at least 1"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    tlbench, classifier, photos, arguments, said
):
    done = tlbench("predict", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
