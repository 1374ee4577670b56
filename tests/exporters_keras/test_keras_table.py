"""The table says of each network what Keras says of it."""

import subprocess
import sys

import numpy as np
import pytest

from exporters.common.session import keras_session
from exporters.keras import table
from exporters.keras.table import KerasBackbone
from tlbench.model import BACKBONES

KERAS_BACKBONES = [row for row in vars(table).values() if isinstance(row, KerasBackbone)]

rows = pytest.mark.parametrize("row", KERAS_BACKBONES, ids=lambda row: row.name)


def test_every_row_has_its_constant():
    """Each network is a constant of the module, under its name in capitals, and a backbone."""
    constants = {n: v for n, v in vars(table).items() if isinstance(v, KerasBackbone)}
    assert constants == {row.name.upper(): row for row in KERAS_BACKBONES}
    assert [BACKBONES.load(row.name) for row in KERAS_BACKBONES] == KERAS_BACKBONES
    assert len(KERAS_BACKBONES) == 33


def test_names_are_unique():
    """No two networks share a name."""
    assert len({row.name for row in KERAS_BACKBONES}) == len(KERAS_BACKBONES)


@rows
def test_row_is_a_backbone(row):
    """Each row offers what the registry's entries must offer, in one line."""
    assert row.name == row.name.lower()
    assert row.requires == ("tensorflow", "tf2onnx")
    assert str(row.n_features) in row.summary
    assert row.summary.count("(") == row.summary.count(")")  # no licence is cut in two
    assert row.summary.endswith((row.licence.partition(" (")[0], "licence not stated"))
    assert "\n" not in row.summary
    assert row.preprocessing.text
    assert row.min_size <= row.input_size


def _loaded(imports, names):
    """Return which of the libraries a fresh Python has loaded after these imports."""
    code = f"import sys\n{imports}\nprint([n for n in {names} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_loads_no_framework():
    """TensorFlow, Keras and tf2onnx are imported when an export runs, not before."""
    every = (
        "import importlib, pkgutil, exporters\n"
        "for module in pkgutil.walk_packages(exporters.__path__, 'exporters.'):\n"
        "    if not module.name.startswith('exporters.torch.'):\n"  # PyTorch may be absent
        "        importlib.import_module(module.name)"
    )
    assert _loaded(every, ("tensorflow", "keras", "tf2onnx", "onnxruntime")) == "[]"


def test_listing_the_rows_loads_nothing_heavy():
    """`tlbench list backbones` loads every row, and neither numpy nor onnx with it."""
    rows = "import exporters.keras.table, exporters.frozen.backbone"
    assert _loaded(rows, ("numpy", "onnx", "tensorflow", "keras")) == "[]"


@pytest.fixture(scope="module")
def applications(tensorflow):
    """The module keras.applications."""
    with keras_session() as frameworks:
        return frameworks.keras.applications


@pytest.mark.tensorflow
@rows
def test_keras_has_the_network(applications, row):
    """The constructor and the module of its preprocessing are public names of Keras."""
    assert callable(getattr(applications, row.constructor))
    assert callable(getattr(applications, row.module).preprocess_input)


@pytest.mark.tensorflow
@rows
def test_preprocessing_is_that_of_keras(applications, row):
    """The constants that go into the graph do what the module's preprocess_input does."""
    pixels = np.random.default_rng(3).uniform(0, 255, (2, 5, 7, 3)).astype(np.float32)
    module = getattr(applications, row.module)
    expected = np.asarray(module.preprocess_input(pixels.copy()))
    ours = pixels[..., ::-1] if row.preprocessing.channels == "BGR" else pixels
    ours = (ours - np.float32(row.preprocessing.mean)) * np.float32(row.preprocessing.scale)
    # float32, and (x - 127.5) / 127.5 rounds at other places than x / 127.5 - 1
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


# Of the families whose smallest member other tests export, another one.
BUILT = [
    "vgg19",
    "mobilenetv3large",
    "densenet169",
    "efficientnetb3",
    "efficientnetv2b3",
    "convnextbase",
    "inceptionresnetv2",
    "nasnetlarge",
]


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", BUILT)
def test_last_layer_is_the_feature_layer(tensorflow, name):
    """Built without its classifier, the network ends in the row's layer and number of features."""
    row = getattr(table, name.upper())
    size = row.min_size
    with keras_session() as frameworks:
        constructor = getattr(frameworks.keras.applications, row.constructor)
        frameworks.keras.backend.clear_session()
        model = constructor(weights=None, include_top=False, input_shape=(size, size, 3))
        assert model.layers[-1].name == row.layer
        assert model.output.shape[-1] == row.n_features
        with pytest.raises(ValueError, match=f"at least {size}"):
            constructor(weights=None, include_top=False, input_shape=(size - 1, size - 1, 3))
