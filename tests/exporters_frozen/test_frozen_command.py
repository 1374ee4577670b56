"""``frozen:FILE.pb`` on the command line: exported once, then a file like any other."""

from pathlib import Path

import pytest

from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.model import file_stem, find_backbone, is_file_name, resolve_model


def test_name_carries_its_argument():
    """The first colon parts them; folders may follow, and need not exist yet."""
    backbone = find_backbone("frozen:models/graph.pb")
    assert backbone.name == "frozen:graph.pb"
    assert backbone.path == Path("models/graph.pb")
    assert not is_file_name("frozen:models/graph.pb")
    assert file_stem("frozen:models/graph.pb") == "graph"
    assert file_stem("inceptionv3-2015") == "inceptionv3-2015"


def test_other_backbones_take_no_argument():
    with pytest.raises(ConfigError, match="efficientnet-lite0 takes nothing after a colon"):
        find_backbone("efficientnet-lite0:file")
    with pytest.raises(UnknownNameError, match="Did you mean 'frozen'"):
        find_backbone("frosen:file.pb")


def test_a_run_does_not_export_it(tmp_path):
    """It would need options that the other commands lack."""
    with pytest.raises(ConfigError, match=r"tlbench export frozen:a/g\.pb"):
        resolve_model("frozen:a/g.pb", cache_dir=tmp_path, listener=Silent())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "frozen:a/g.pb"], "Then measure g.onnx"),
        (["latency", "frozen"], "frozen needs a file"),
        (["export", "frozen:g.pb"], "needs --input NAME"),
        (["export", "efficientnet-lite0", "--output", "x.onnx"], "not the file to write"),
        (["export", "inceptionv3-2015", "--weights", "random"], "no random weights"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line(tlbench, arguments, expected):
    code, out, err = tlbench(*arguments)
    (line,) = err.splitlines()
    assert (code, out) == (2, "")
    assert expected in line
    assert list(Path().iterdir()) == []


@pytest.mark.tensorflow
def test_export_then_measure(tlbench, save):
    """The file is named after the graph, and the other commands take it."""
    path = save()
    code, out, err = tlbench(
        "export", f"frozen:{path}", "--input", "DecodeJpeg:0", "--output", "pool_3:0", "--quiet"
    )
    assert (code, err) == (0, "")
    assert "frozen:graph.pb, fp32" in out
    assert [entry.name for entry in Path().iterdir()] == ["graph.onnx"]
    assert tlbench("inspect", "graph.onnx")[1] == out
    code, out, err = tlbench(
        *("run", "graph.onnx", "--limit-train", "100", "--limit-test", "50"),
        *("--heads", "centroid", "--no-latency"),
    )
    assert code == 0, err
    assert out.startswith("frozen:graph.pb ·")


@pytest.mark.tensorflow
def test_int8_of_a_frozen_graph(tlbench, save):
    """A conversion finds the end of the preprocessing as in every other export."""
    code, out, err = tlbench(
        *("export", f"frozen:{save()}", "--input", "DecodeJpeg", "--output", "pool_3", "--quiet"),
        *("--precision", "int8", "--calibrate-images", "16", "--min-cosine", "0.5"),
    )
    assert (code, err) == (0, "")
    assert "frozen:graph.pb, int8" in out
    assert [entry.name for entry in Path().iterdir()] == ["graph-int8.onnx"]
