"""``inceptionv3-2015``: the graph is downloaded, found in its archive, checked and exported."""

import base64
import gzip
import hashlib
import io
import os
import stat
import sys
import tarfile
from dataclasses import replace
from importlib.machinery import ModuleSpec
from types import ModuleType

import graphs
import numpy as np
import pytest

from exporters.frozen.backbone import (
    INCEPTIONV3_2015,
    MEMBER,
    fetch_archive,
    read_member,
)
from tlbench.core.errors import (
    ConfigError,
    ExportError,
    MissingDependencyError,
    StorageError,
    UnknownNameError,
)
from tlbench.core.progress import Silent
from tlbench.model import BACKBONES, ExportOptions, OnnxModel

OTHERS = {
    "cropped_panda.jpg": b"jpeg",
    "imagenet_2012_challenge_label_map_proto.pbtxt": b"entry {}",
    "LICENSE": b"Apache License",
}


def pack(files, *extra):
    """Make a .tgz of files, and of further entries (name, type)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, kind in extra:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    return buffer.getvalue()


@pytest.fixture
def publish(serve, tmp_path):
    """Serve an archive as its bucket does; a function from its content to its address."""
    folder = tmp_path / "site"
    folder.mkdir()

    def do(content, **options):
        (folder / "inception.tgz").write_bytes(content)
        digest = base64.b64encode(hashlib.md5(content).digest()).decode()
        address = serve(folder, headers={"x-goog-hash": f"md5={digest}"}, **options)
        return f"{address}/inception.tgz"

    return do


def test_download_is_kept_and_used_again(publish, tmp_path):
    """The second call makes no request."""
    requested = []
    url = publish(b"\x1f\x8b archive", requested=requested)
    for _ in range(2):
        got = fetch_archive(tmp_path / "kept", Silent(), url=url, size_bytes=10)
        assert got == b"\x1f\x8b archive"
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["inception.tgz"]
    assert requested == ["/inception.tgz"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002], ids="umask={:03o}".format)
def test_a_kept_file_is_as_private_as_the_user_wants(publish, tmp_path, umask):
    """Neither pooch's 0600, which locks others out of a shared cache, nor more than is wanted."""
    url = publish(b"archive")
    before = os.umask(umask)
    try:
        fetch_archive(tmp_path / "kept", Silent(), url=url, size_bytes=7)
    finally:
        os.umask(before)
    mode = (tmp_path / "kept" / "inception.tgz").stat().st_mode
    assert stat.S_IMODE(mode) == 0o666 & ~umask


@pytest.mark.parametrize("name", ["keras", "tensorflow", "tf2onnx"])
def test_nothing_is_downloaded_for_an_export_that_cannot_follow(
    publish, tmp_path, monkeypatch, name
):
    for framework in ("keras", "tensorflow", "tf2onnx"):
        module = ModuleType(framework)
        module.__spec__ = ModuleSpec(framework, loader=None)
        # None: as where it is not installed. The others are found, wherever this test runs.
        monkeypatch.setitem(sys.modules, framework, None if framework == name else module)
    requested = []
    backbone = replace(INCEPTIONV3_2015, url=publish(b"archive", requested=requested))
    with pytest.raises(MissingDependencyError, match=f"'{name}'.*tlbench\\[export\\]"):
        backbone.export(ExportOptions(), tmp_path / "model.onnx", Silent())
    assert requested == []


def test_without_a_folder_nothing_is_kept(publish, tmp_path):
    url = publish(b"archive")
    assert fetch_archive(None, Silent(), url=url, size_bytes=7) == b"archive"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_another_size_is_another_file(publish, tmp_path):
    """A page of a portal, or half of the file, is neither used nor kept."""
    url = publish(b"<html>log in</html>")
    with pytest.raises(ExportError, match="has 19 bytes, not 88,931,400.*weights=PATH"):
        fetch_archive(tmp_path / "kept", Silent(), url=url)
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_kept_file_of_another_size_is_downloaded_again(publish, tmp_path):
    url = publish(b"archive")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "inception.tgz").write_bytes(b"half")
    assert fetch_archive(tmp_path / "kept", Silent(), url=url, size_bytes=7) == b"archive"


def test_failed_download_says_what_to_do(publish, tmp_path):
    url = publish(b"")
    with pytest.raises(ExportError, match="404.*classify_image_graph_def.pb.*weights=PATH"):
        fetch_archive(tmp_path / "kept", Silent(), url=f"{url}.old", size_bytes=1)
    assert list((tmp_path / "kept").iterdir()) == []


def test_folder_that_cannot_be_written(publish, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="another cache_dir"):
        fetch_archive(tmp_path / "file" / "kept", Silent(), url=publish(b"x"), size_bytes=1)


@pytest.mark.parametrize("prefix", ["", "./"])
def test_member_is_found_among_the_others(prefix):
    content = pack([(f"{prefix}{name}", data) for name, data in {**OTHERS, MEMBER: b"pb"}.items()])
    assert read_member(content, "a.tgz") == b"pb"


@pytest.mark.parametrize(
    ("files", "extra", "match"),
    [
        (OTHERS.items(), (), "must hold classify_image_graph_def.pb once, but holds it 0 times"),
        ([(MEMBER, b"1"), (MEMBER, b"2")], (), "2 times"),
        ([(MEMBER, b"1"), ("../evil", b"x")], (), "'../evil', which does not belong in it"),
        ([(MEMBER, b"1"), ("/tmp/evil", b"x")], (), "'/tmp/evil', which does not belong in it"),
        ([(f"folder/{MEMBER}", b"1")], (), "which does not belong in it"),
        ([], [(MEMBER, tarfile.SYMTYPE)], "which does not belong in it"),
        ([], [(MEMBER, tarfile.LNKTYPE)], "which does not belong in it"),
        ([(MEMBER, b"1")], [("other", tarfile.FIFOTYPE)], "which does not belong in it"),
    ],
    ids=["missing", "twice", "parent", "absolute", "folder", "symlink", "hardlink", "fifo"],
)
def test_odd_archive_is_refused(files, extra, match):
    with pytest.raises(ExportError, match=match):
        read_member(pack(files, *extra), "a.tgz")


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b no gzip", gzip.compress(b"no tar" * 200)], ids=["gzip", "tar"]
)
def test_damaged_archive_is_refused(content):
    with pytest.raises(ExportError, match=r"a\.tgz is damaged"):
        read_member(content, "a.tgz")


def test_truncated_archive_is_refused():
    noise = np.random.default_rng(0).bytes(50_000)
    with pytest.raises(ExportError, match=r"a\.tgz is damaged"):
        read_member(pack([(MEMBER, noise)])[:20_000], "a.tgz")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"weights": "random"}, "no random weights: its architecture is in the same file"),
        ({"input_size": 139}, "leave out input_size"),
        ({"resize": "bilinear"}, "leave out resize=..."),
        ({"antialias": True}, "leave out antialias=..."),
        ({"output_tensor": "pool_3"}, "not the file to write"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_here(tmp_path, options, match):
    """Refused before anything is downloaded or imported."""
    with pytest.raises(ConfigError, match=match):
        INCEPTIONV3_2015.export(ExportOptions(**options), tmp_path / "m.onnx", Silent())


def test_entry_is_registered():
    assert BACKBONES.load("inceptionv3-2015") is INCEPTIONV3_2015
    assert "2048 features" in INCEPTIONV3_2015.summary


@pytest.fixture
def graph(frameworks):
    """A small graph of the operations and the names of the original, with its 2,048 features."""
    return graphs.inception(frameworks.tf, n_features=2048).serialised()


@pytest.fixture
def run_export(tmp_path):
    """Export; the model and its card."""

    def do(backbone=INCEPTIONV3_2015, **options):
        path = tmp_path / "exported" / "m.onnx"
        card = backbone.export(ExportOptions(**options), path, Silent())
        assert OnnxModel(path).card == card
        return OnnxModel(path), card

    return do


@pytest.mark.tensorflow
def test_downloaded_graph(publish, graph, run_export, tmp_path):
    """From the archive on the network to features; the digests of both files are on the card."""
    content = pack([*OTHERS.items(), (MEMBER, graph)])
    url = publish(content)
    backbone = replace(INCEPTIONV3_2015, url=url, archive_bytes=len(content))
    model, card = run_export(backbone, download_dir=tmp_path / "downloads")
    assert card.backbone == "inceptionv3-2015"
    assert card.weights.kind == "imagenet"
    assert card.weights.sha256 == hashlib.sha256(graph).hexdigest()
    assert card.weights.origin == f"{MEMBER} in {url}, sha256 {hashlib.sha256(content).hexdigest()}"
    assert (card.layer, card.feature_shape) == ("pool_3", (2048,))
    assert card.resize.startswith("bilinear, asymmetric")
    assert model.outputs[0].shape == ("N", 2048)
    assert (tmp_path / "downloads" / "inception.tgz").is_file()


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["classify.pb", "inception.tgz", "odd-name"])
def test_weights_path_takes_graph_or_archive(graph, run_export, tmp_path, name):
    """What the file is is read from its content, not from its name."""
    packed = name == "inception.tgz"
    (tmp_path / name).write_bytes(pack([(MEMBER, graph)]) if packed else graph)
    _, card = run_export(weights=str(tmp_path / name))
    assert card.weights.kind == "file"
    assert card.weights.sha256 == hashlib.sha256(graph).hexdigest()
    assert name in card.weights.origin


@pytest.mark.tensorflow
def test_top_and_layer(graph, run_export, run_onnx, run_original, images, tmp_path):
    """The logits are what goes into the softmax; a layer is a tensor of the graph."""
    path = tmp_path / "graph.pb"
    path.write_bytes(graph)
    model, card = run_export(weights=str(path), top=True, layer="mixed/join", pooling="max")
    assert card.n_classes == graphs.N_CLASSES
    assert (card.layer, card.pooling) == ("mixed/join", "max")
    logits = run_onnx(model.path, images[0])["logits"]
    expected = run_original(path, images[0], "softmax/logits:0")
    # float32 sums in another order, of 2,048 products
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.tensorflow
def test_another_graph_is_refused(frameworks, run_export, tmp_path):
    """By its nodes, or by the number of its features."""
    path = tmp_path / "graph.pb"
    path.write_bytes(graphs.inception(frameworks.tf).serialised())
    with pytest.raises(ExportError, match=r"shape \(20,\), not 2048: it is another graph"):
        run_export(weights=str(path))
    build = graphs.GraphBuilder(frameworks.tf)
    build.preprocessing()
    path.write_bytes(build.serialised())
    with pytest.raises(ExportError, match="its node 'pool_3' is missing, expected AvgPool"):
        run_export(weights=str(path))


@pytest.mark.tensorflow
def test_unknown_layer(graph, run_export, tmp_path):
    (tmp_path / "g.pb").write_bytes(graph)
    with pytest.raises(
        UnknownNameError, match="layer=mixed/joint is not.*Did you mean 'mixed/join'"
    ):
        run_export(weights=str(tmp_path / "g.pb"), layer="mixed/joint")
