"""Where weights come from, and what happens when they do not come."""

import hashlib
import socket

import pytest

from exporters.keras import weights as keras_weights
from exporters.keras.table import EFFICIENTNETB0, MOBILENET, VGG16
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.hashing import sha256_file
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions

pytestmark = pytest.mark.tensorflow

SIZE = 32


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A machine without network, whose Keras has an empty home."""

    def unreachable(*_, **__):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras-home"))
    return tmp_path / "keras-home"


@pytest.fixture(scope="module")
def saved(build, images, tmp_path_factory):
    """MobileNets in each of Keras's formats: by classifier or not, the folder and the features."""

    def save(top):
        folder = tmp_path_factory.mktemp("saved")
        suffixes = (".weights.h5", ".h5", ".keras") if top else (".weights.h5", ".h5")
        paths = [folder / f"mine{suffix}" for suffix in suffixes]
        maps = build(MOBILENET, SIZE, images[0], *paths, include_top=top)
        return folder, maps.mean(axis=(1, 2))

    return {top: save(top) for top in (False, True)}


@pytest.mark.parametrize(
    ("suffix", "top"),
    [
        (".weights.h5", False),
        (".weights.h5", True),
        (".h5", False),
        (".h5", True),
        (".keras", True),
    ],
)
def test_file_gives_its_weights(export, saved, run_onnx, images, assert_same, suffix, top):
    """A file of either extent in each of Keras's formats gives the features of its network."""
    folder, expected = saved[top]
    file = folder / f"mine{suffix}"
    path, card = export(MOBILENET, weights=str(file), input_size=SIZE)
    assert_same(run_onnx(path, images[0])["features"], expected)
    assert card.weights.kind == "file"
    assert card.weights.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card.weights.origin == file.name


def test_file_of_the_imagenet_architecture(
    build, export, run_onnx, images, tmp_path, assert_same, monkeypatch
):
    """EfficientNet built for ImageNet's weights has a layer more; its file gets it back."""
    plain, rescaled = tmp_path / "plain.weights.h5", tmp_path / "rescaled.weights.h5"
    without = build(EFFICIENTNETB0, SIZE, images[0], plain).mean(axis=(1, 2))
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(plain))
    maps = build(EFFICIENTNETB0, SIZE, images[0], rescaled, weights="imagenet")
    monkeypatch.undo()
    expected = maps.mean(axis=(1, 2))
    path, _ = export(EFFICIENTNETB0, weights=str(rescaled), input_size=SIZE)
    assert_same(run_onnx(path, images[0])["features"], expected)
    with pytest.raises(AssertionError):
        assert_same(without, expected)


class Recorder:
    """A listener that remembers what it is told."""

    def __init__(self):
        self.heard = []

    def start(self, task, total=None, unit=""):
        self.heard.append(task)

    def finish(self):
        self.heard.append("finished")


def test_imagenet_weights_are_identified(saved, tmp_path, monkeypatch):
    """The card of an ImageNet export has the digest, the URL and the licence of Keras's file."""
    file = saved[False][0] / "mine.weights.h5"
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(file))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    options, listener = ExportOptions(weights="imagenet", input_size=SIZE), Recorder()
    card = MOBILENET.export(options, tmp_path / "model.onnx", listener)
    assert card.weights.kind == "imagenet"
    assert card.weights.sha256 == sha256_file(file)
    assert card.weights.origin.startswith("https://")
    assert card.weights.origin.endswith("/mobilenet_1_0_224_tf_no_top.h5")
    assert card.weights.licence == MOBILENET.licence
    # one task at a time, and the download is one
    assert listener.heard[0::2] == [
        "build mobilenet in Keras",
        "download mobilenet_1_0_224_tf_no_top.h5",
        "convert mobilenet with tf2onnx",
        f"verify against {card.parity.reference}",
    ]
    assert listener.heard[1::2] == ["finished"] * 4


@pytest.mark.parametrize(
    ("top", "file"),
    [(False, "mobilenet_1_0_224_tf_no_top.h5"), (True, "mobilenet_1_0_224_tf.h5")],
    ids=["notop", "top"],
)
def test_no_network(export, offline, tmp_path, capfd, top, file):
    """Without network the error names the file, the place to put it, and the other way."""
    with pytest.raises(ExportError) as caught:
        export(MOBILENET, weights="imagenet", top=top)
    message = str(caught.value)
    assert str(offline / "models" / file) in message
    assert "https://" in message
    assert "weights=PATH" in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "exported").exists()


def test_damaged_download_is_not_used(export, offline):
    """A file at Keras's place that is not Keras's is fetched again, never loaded."""
    place = offline / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(ExportError, match="cannot be downloaded"):
        export(VGG16, weights="imagenet")


def test_imagenet_classifier_has_one_size(export, offline):
    """The trained classifier at another input size is refused before any download."""
    with pytest.raises(ConfigError, match="takes 224 pixels, not 128"):
        export(VGG16, weights="imagenet", top=True, input_size=128)


def test_missing_file(export, tmp_path):
    """A path that is not there is named, with the other choices."""
    with pytest.raises(
        ExportError, match=r"weights=.*absent\.h5 does not exist.*'imagenet', 'random'"
    ):
        export(MOBILENET, weights=str(tmp_path / "absent.h5"))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("weights.txt", b"", "the name must end in .weights.h5, .h5, .hdf5 or .keras"),
        ("text.h5", b"<html>not found", r"is not an HDF5 file: it begins with b'<html>no'"),
        ("text.keras", b"<html>", "is not a Keras archive"),
        ("cut.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "does not fit mobilenet"),
        ("empty.h5", b"", "is not an HDF5 file: it begins with b''"),
    ],
    ids=["suffix", "html", "archive", "truncated", "empty"],
)
def test_bad_file(export, tmp_path, name, content, reason):
    """What is no file of weights is refused with what was found, and nothing is written."""
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ExportError, match=reason) as caught:
        export(MOBILENET, weights=str(file), input_size=SIZE)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_of_another_network(saved, export, suffix):
    """Weights that do not fit are refused, by each of Keras's formats, with Keras's reason."""
    file = saved[False][0] / f"mine{suffix}"
    with pytest.raises(ExportError, match=r"does not fit vgg16 at 32 .*without classifier: \w+"):
        export(VGG16, weights=str(file), input_size=SIZE)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    """Its digest, on the card, would be that of other weights."""
    path = tmp_path / "w.weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n first")

    def read(*_, **__):
        path.write_bytes(b"\x89HDF\r\n\x1a\n second")

    monkeypatch.setattr(keras_weights, "_from_file", read)
    options = ExportOptions(weights=str(path))
    with pytest.raises(ExportError, match=r"w\.weights\.h5 changed while they were read"):
        keras_weights.build_network(None, MOBILENET, options, top=False, listener=Silent())
