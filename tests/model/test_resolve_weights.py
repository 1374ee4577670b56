"""A weights file is a part of an export's key: its content, whatever path names it."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from tlbench.core.errors import ModelError
from tlbench.core.progress import Silent
from tlbench.model import BACKBONES, ExportOptions, decode_card, encode_card, resolve_model


class Stub:
    """Exports the tiny backbone; its card holds the content of the weights file."""

    name, summary, requires = "stub", "stub", ()

    def __init__(self, tiny_path):
        self.tiny_path, self.n_exports, self.before_reading = tiny_path, 0, lambda _: None

    def export(self, options, destination, listener):
        """Write the file."""
        self.n_exports += 1
        path = Path(options.weights).expanduser()
        self.before_reading(path)
        model = onnx.load(self.tiny_path)
        card = decode_card(model.metadata_props[0].value)
        card = replace(card, weights=replace(card.weights, origin=path.read_text()))
        model.metadata_props[0].value = encode_card(card)
        destination.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, destination)
        return card


@pytest.fixture
def stub(tiny_path, monkeypatch):
    """A backbone of this name in the registry."""
    backbone = Stub(tiny_path)
    names, load = BACKBONES.names(), BACKBONES.load
    kind = type(BACKBONES)
    monkeypatch.setattr(kind, "names", lambda self: [*names, "stub"])
    monkeypatch.setattr(kind, "load", lambda self, name: backbone if name == "stub" else load(name))
    return backbone


@pytest.fixture
def resolve(tmp_path):
    def do(weights):
        options = ExportOptions(weights=str(weights))
        return resolve_model("stub", cache_dir=tmp_path, listener=Silent(), options=options)

    return do


@pytest.mark.parametrize("home", [False, True], ids=["path", "~"])
def test_another_content_is_another_export(stub, resolve, tmp_path, monkeypatch, home):
    """The file is replaced under its name; a path that begins with ~ is read, too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "w.pth"
    origins = []
    for content in ("first", "first", "second"):
        path.write_text(content)
        origins.append(resolve("~/w.pth" if home else path).card.weights.origin)
    assert origins == ["first", "first", "second"]
    assert stub.n_exports == 2


def test_weights_that_change_during_the_export_are_not_kept(stub, resolve, tmp_path):
    """The file would be served for the content that it was not made from."""
    path = tmp_path / "w.pth"
    path.write_text("first")
    stub.before_reading = lambda path: path.write_text("second")
    with pytest.raises(ModelError, match=r"w\.pth changed while stub was exported"):
        resolve(path)
    stub.before_reading = lambda _: None
    path.write_text("first")
    assert resolve(path).card.weights.origin == "first"


def test_the_declared_preprocessing_is_a_part_of_the_key(stub, tmp_path):
    """Each option, and the content of its file."""
    weights, stated = tmp_path / "w.pth", tmp_path / "preprocess.json"
    weights.write_text("weights")

    def resolve(**options):
        options = ExportOptions(weights=str(weights), **options)
        return resolve_model("stub", cache_dir=tmp_path, listener=Silent(), options=options).path

    paths = [resolve(), resolve(scale=1.0), resolve(mean=(0.5,)), resolve(channels="bgr")]
    for content in ("{}", "[]"):
        stated.write_text(content)
        paths += [resolve(preprocess=stated), resolve(preprocess=stated)]
    assert paths[4] == paths[5]
    assert paths[6] == paths[7]
    assert len(set(paths)) == 6
    assert stub.n_exports == 6
