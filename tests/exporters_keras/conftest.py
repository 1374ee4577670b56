"""Exports that many tests read, and short cuts to build, export and compare small networks."""

import numpy as np
import pytest

from exporters.common.parity import probe_batches
from exporters.common.session import keras_session
from exporters.keras.table import MOBILENET
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions


@pytest.fixture(scope="session")
def images():
    """Four small square images and two wide ones; their size is no network's."""
    return probe_batches(seed=7)


@pytest.fixture
def export(tensorflow, tmp_path):
    """Export a row with options; the file and its card. It squashes, as `images` are compared."""

    def do(row, name="model", **options):
        path = tmp_path / "exported" / f"{name}.onnx"
        card = row.export(
            ExportOptions(**{"weights": "random", "fit": "squash"} | options), path, Silent()
        )
        return path, card

    return do


@pytest.fixture(scope="session")
def mobilenet(tensorflow, tmp_path_factory):
    """MobileNet as users get it, but for the weights: the file and the card."""
    path = tmp_path_factory.mktemp("mobilenet") / "mobilenet.onnx"
    card = MOBILENET.export(ExportOptions(weights="random", fit="squash"), path, Silent())
    return path, card


@pytest.fixture(scope="session")
def build(tensorflow):
    """Build a Keras network, save it to each path, and return its feature map of images."""

    def do(row, size, images, *paths, **options):
        with keras_session() as frameworks:
            keras, tf = frameworks.keras, frameworks.tf
            model = getattr(keras.applications, row.constructor)(
                input_shape=(size, size, 3), **{"weights": None, "include_top": False} | options
            )
            for path in paths:
                whole = path.suffix == ".keras" or path.suffixes == [".h5"]
                (model.save if whole else model.save_weights)(path)
            if model.layers[-1].name != row.layer:
                model = keras.Model(model.input, model.get_layer(row.layer).output)
            preprocess = getattr(keras.applications, row.module).preprocess_input
            pixels = preprocess(tf.image.resize(images, (size, size)))
            return model(pixels, training=False).numpy()

    return do


@pytest.fixture
def assert_same():
    """Compare features as the parity check does: relative to an image's largest feature."""

    def check(actual, expected, tolerance=1e-4):
        assert actual.shape == expected.shape
        difference = np.abs(actual - expected).max(axis=1)
        assert (difference <= tolerance * np.abs(expected).max(axis=1)).all()

    return check
