"""``onnx:FILE.onnx`` on the command line, and what is done with its export afterwards."""

import json
from pathlib import Path

import foreign_networks as nets
import onnx
import pytest

from tlbench.core.errors import ConfigError
from tlbench.core.progress import Silent
from tlbench.model import candidate_tensors, find_backbone, resolve_model

QUICK = ("--limit-train", "60", "--limit-test", "40", "--heads", "centroid")
SCALED = ("--scale", "1/255", "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")


@pytest.fixture
def foreign(tlbench, tmp_path):
    """A file in the folder in which commands run."""
    model = nets.classifier(batch=1, flatten="reshape", depth=2)
    onnx.save(model, tmp_path / "work" / "net.onnx")
    return tlbench


def test_the_name_carries_a_file():
    assert find_backbone("onnx:models/net.onnx").name == "onnx:net.onnx"


def test_a_run_does_not_export_it(tmp_path):
    """It would need options that the other commands lack."""
    with pytest.raises(ConfigError, match=r"tlbench export onnx:a/net\.onnx"):
        resolve_model("onnx:a/net.onnx", cache_dir=tmp_path, listener=Silent())


def test_a_file_without_a_card_says_how_it_gets_one(foreign):
    code, _, err = foreign("run", "net.onnx", *QUICK)
    assert code == 2
    assert "tlbench export onnx:net.onnx --scale S --mean M --std D" in " ".join(err.split())


def test_an_export_is_a_backbone_like_any_other(foreign):
    """Run, fuse, int8, fp16, drift: all of one foreign file."""
    assert foreign("export", "onnx:net.onnx", *SCALED, "--top", "-o", "w.onnx").code == 0
    assert foreign("run", "w.onnx", *QUICK[:4], "--heads", "softmax", "--no-latency").code == 0
    assert foreign("fuse", "last", "-o", "classifier.onnx").code == 0
    for precision in ("int8", "fp16"):
        found = foreign(
            *("export", "onnx:net.onnx", *SCALED, "--precision", precision),
            *("--calibrate-images", "8", "-o", f"{precision}.onnx"),
        )
        assert f"onnx:net.onnx, {precision}" in found.out
    drift = foreign("drift", "w.onnx", "fp16.onnx", *QUICK)
    assert drift.code == 0


def test_the_card_tells_what_was_declared(foreign):
    foreign("export", "onnx:net.onnx", *SCALED, "-o", "w.onnx")
    text = " ".join(foreign("inspect", "w.onnx").out.split())
    assert "(x / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)" in text
    card = json.loads(foreign("inspect", "w.onnx", "--format", "json").out)["card"]
    assert card["preprocess"]["scale"] == 1 / 255
    assert card["preprocess"]["mean"] == [0.485, 0.456, 0.406]


def test_tensors_are_listed_with_their_shapes(foreign):
    """Those that can be cut at, and no constants or shapes."""
    lines = foreign("inspect", "net.onnx", "--tensors").out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("map", "active_1", "map_1", "active", "pooled", "code", "scores", "probabilities"),
    ]
    assert lines[5].split(maxsplit=2) == ["code", "Reshape", "float32 (1, 8)"]
    rows = json.loads(foreign("inspect", "net.onnx", "--tensors", "--format", "json").out)
    assert rows[0] == {
        "operator": "Conv",
        "name": "map",
        "dtype": "float32",
        "shape": [1, 8, 12, 12],
    }


def test_tensors_of_an_exported_file(tlbench, tiny_path):
    """Also those of the preprocessing."""
    lines = tlbench("inspect", tiny_path, "--tensors").out.splitlines()
    assert lines[-1].split() == ["features", "Flatten", "float32", "(N,", "16)"]
    assert any(line.startswith("resized") for line in lines)


def test_tensors_of_a_file_whose_weights_are_elsewhere(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(nets.classifier(), path, save_as_external_data=True, location="w", size_threshold=0)
    (tmp_path / "w").unlink()
    assert [one.info.name for one in candidate_tensors(path)][:2] == ["map", "active"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Give --preprocess FILE, a preprocessor_config.json"),
        ((*SCALED, "--layer", "cod"), "--layer cod is not a tensor"),
        ((*SCALED, "--top-output", "cod"), "--top-output cod is not a tensor"),
        ((*SCALED, "--input-size", "32"), "Leave --input-size out"),
        ((*SCALED, "--layout", "nhwc"), "--layout nhwc contradicts"),
        ((*SCALED, "--weights", "x.pth"), "leave out --weights"),
        ((*SCALED, "--crop-fraction", "1.2"), "--crop-fraction must be"),
        (("--preprocess", "none.json"), "none.json cannot be read"),
    ],
)
def test_errors_speak_of_options(foreign, words, message):
    code, _, err = foreign("export", "onnx:net.onnx", *words, "-o", "w.onnx")
    assert code == 2
    assert message in " ".join(err.split())
    assert not Path("w.onnx").exists()


def test_the_default_name_does_not_overwrite_the_file(foreign):
    code, _, err = foreign("export", "onnx:net.onnx", *SCALED)
    assert code == 2
    assert "Give another path as --file" in " ".join(err.split())


def test_an_int8_file_is_not_converted_again(foreign, tmp_path):
    nets.quantised(tmp_path / "work" / "q.onnx")
    words = ("--precision", "int8", "--calibrate-images", "8", "-o", "w.onnx")
    code, _, err = foreign("export", "onnx:q.onnx", *SCALED, *words)
    assert code == 2
    assert "onnx:q.onnx is int8 already" in " ".join(err.split())
