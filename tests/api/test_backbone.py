"""`load_backbone`: images of every form in, features out."""

import copy
import pickle

import numpy as np
import pytest
from PIL import Image

import tlbench
from tlbench.core.errors import (
    ConfigError,
    DataError,
    ModelError,
    ProviderUnavailableError,
    UnknownNameError,
    UnreadableImageError,
)
from tlbench.model import BACKBONES


@pytest.fixture
def backbone(tiny_path):
    with tlbench.load_backbone(tiny_path, batch_size=3) as loaded:
        yield loaded


FORMS = {
    "array": lambda pictures, files: pictures[: len(files)],
    "list of arrays": lambda pictures, files: list(pictures[: len(files)]),
    "tuple of arrays": lambda pictures, files: tuple(pictures[: len(files)]),
    "paths": lambda pictures, files: files,
    "text paths": lambda pictures, files: [str(file) for file in files],
    "array of paths": lambda pictures, files: np.array([str(file) for file in files]),
    "object array": lambda pictures, files: np.array(files, dtype=object),
    "Pillow": lambda pictures, files: [Image.open(file) for file in files],
    "mixed": lambda pictures, files: [*files[:2], *pictures[2:5], *map(Image.open, files[5:])],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_images_has_the_same_features(backbone, pictures, files, form):
    """The rows are in the order of the images."""
    expected = backbone.features(pictures[: len(files)])
    found = backbone.features(FORMS[form](pictures, files))
    assert (found.dtype, found.shape) == (np.float32, (8, 16))
    np.testing.assert_array_equal(found, expected)


def test_grey_images_gain_their_channels(backbone, pictures):
    """(n, H, W) and (n, H, W, 1) mean grey."""
    grey = pictures[..., 0]
    expected = backbone.features(np.repeat(grey[..., np.newaxis], 3, axis=-1))
    for form in (grey, grey[..., np.newaxis], list(grey)):
        np.testing.assert_array_equal(backbone.features(form), expected)


def test_sizes_may_differ(backbone, pictures):
    """Each image keeps its row."""
    mixed = [pictures[0], pictures[1][:8], pictures[2], pictures[3][:8]]
    found = backbone.features(mixed)
    # float32 sums in another order when the kernel changes with the batch shape
    np.testing.assert_allclose(found[2], backbone.features(mixed[2:3])[0], rtol=1e-5, atol=1e-6)


def test_no_images_have_no_rows(backbone, pictures):
    """An empty selection is no error."""
    assert backbone.features(pictures[:0]).shape == (0, 16)
    assert backbone.features([]).shape == (0, 16)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("cat.jpg", r"single path 'cat.jpg'.*\[path\]"),
        (np.zeros((8, 8, 3), dtype=np.uint8), r"single image.*np.newaxis"),
        (np.zeros((2, 8, 8, 3)), r"uint8.*got float64.*np.rint"),
        (np.zeros((2, 8, 8, 3), dtype=np.int64), r"got int64.*astype"),
        (np.zeros((2, 3, 8, 8), dtype=np.uint8), r"channels come first.*moveaxis"),
        (np.zeros((2, 8, 8, 4), dtype=np.uint8), "alpha channel"),
        (np.zeros(5, dtype=np.uint8), r"got \(5,\)"),
        ([np.zeros((8, 8), dtype=bool)], r"images\[0\] must be uint8.*got bool"),
        ([np.zeros((8, 8, 3), dtype=np.uint8), 5], r"images\[1\].*got int"),
        (7, "got int"),
        (None, "got NoneType"),
        (iter([]), "got list_iterator"),
    ],
)
def test_what_is_no_image_is_refused(backbone, images, message):
    """The message says what was found, and what to pass."""
    with pytest.raises(DataError, match=message):
        backbone.features(images)


@pytest.mark.parametrize("content", [b"", b"no image"], ids=["empty", "text"])
def test_a_file_that_cannot_be_decoded_is_an_error(backbone, files, tmp_path, content):
    """A row without an image would shift the others."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"broken\.jpg"):
        backbone.features([*files, broken])


def test_a_missing_file_is_an_error(backbone, tmp_path):
    """It is named."""
    with pytest.raises(UnreadableImageError, match=r"missing\.jpg"):
        backbone.features([tmp_path / "missing.jpg"])


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_opens_a_session_of_its_own(backbone, pictures, duplicate):
    """A session cannot be sent to another process."""
    expected = backbone.features(pictures)
    twin = duplicate(backbone)
    backbone.close()
    np.testing.assert_array_equal(twin.features(pictures), expected)
    twin.close()


def test_a_closed_backbone_opens_again(backbone, pictures):
    """Closing frees memory and threads, and forbids nothing."""
    expected = backbone.features(pictures)
    backbone.close()
    np.testing.assert_array_equal(backbone.features(pictures), expected)


def test_it_says_what_it_is(backbone, tiny_path):
    """Name, precision, provider and file."""
    assert repr(backbone) == f"LoadedBackbone('tiny', fp32, cpu: {str(tiny_path)!r})"
    assert (backbone.name, backbone.n_features, backbone.path) == ("tiny", 16, tiny_path)


def test_a_foreign_file_has_as_many_features_as_it_gives(tiny_path, tmp_path, foreign):
    """Without a card the network itself is asked."""
    with tlbench.load_backbone(foreign) as backbone:
        assert (backbone.name, backbone.n_features, backbone.card) == ("foreign", 16, None)


@pytest.fixture
def foreign(tiny_path, tmp_path):
    """The tiny backbone without its card."""
    import onnx

    model = onnx.load(tiny_path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    return tmp_path / "foreign.onnx"


def test_a_network_of_unknown_preprocessing_has_no_features(tmp_path, pictures):
    """Nobody knows how its input is scaled."""
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 8, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    save(made, tmp_path / "float.onnx")
    with pytest.raises(ModelError, match="preprocessing is unknown"):
        tlbench.load_backbone(tmp_path / "float.onnx").features(pictures)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "resnet5"}, UnknownNameError, "Did you mean 'resnet50'"),
        ({"batch_size": 0}, ConfigError, "batch_size must be at least 1"),
        ({"model": BACKBONES}, ConfigError, r"tlbench\.export"),
    ],
)
def test_a_wrong_argument_is_refused(tiny_path, settings, error, message):
    """Before anything is exported."""
    with pytest.raises(error, match=message):
        tlbench.load_backbone(**{"model": tiny_path} | settings)


def test_no_other_provider_takes_the_place_of_an_absent_one(tiny_path, pictures):
    """The same promise as on the command line."""
    with pytest.raises(ProviderUnavailableError):
        tlbench.load_backbone(tiny_path, provider="coreml").features(pictures)


def test_export_returns_the_file_ready_to_use(tmp_path, pictures):
    """With its card, and without a file anywhere else."""
    written = tlbench.export("efficientnet-lite0", tmp_path / "lite0.onnx", input_size=32)
    assert written.path == tmp_path / "lite0.onnx"
    assert written.card.input_size == (32, 32)
    assert written.features(pictures[:2]).shape == (2, 1280)


def test_extract_gives_rows_labels_and_positions(dataset, tiny_path, tmp_path):
    """The same arrays that its file has."""
    found = tlbench.extract(tiny_path, dataset, "test")
    assert found.features.shape == (20, 16)
    with np.load(found.save(tmp_path / "codes.npz")) as saved:
        assert sorted(saved.files) == ["features", "index", "labels"]
        np.testing.assert_array_equal(saved["labels"], dataset.test.labels)


def test_extract_limits_and_checks_its_split(dataset, tiny_path):
    """A limit belongs to the split that is extracted."""
    assert tlbench.extract(tiny_path, dataset, limit=10).features.shape == (10, 16)
    with pytest.raises(ConfigError, match="'validation'"):
        tlbench.extract(tiny_path, dataset, "validation")
