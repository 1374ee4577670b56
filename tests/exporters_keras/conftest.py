"""One export of InceptionV3 for many tests, and short cuts to export and run small networks."""

import numpy as np
import pytest

from exporters.common.parity import probe_batches
from exporters.keras.table import INCEPTIONV3
from tlbench.core.progress import Silent
from tlbench.model import ExportOptions


@pytest.fixture(scope="session")
def images():
    """Four small square images and two wide ones; their size is no network's."""
    return probe_batches(seed=7)


@pytest.fixture
def export(tensorflow, tmp_path):
    """Export a row with options; the file and its card."""

    def do(row, name="model", **options):
        path = tmp_path / "exported" / f"{name}.onnx"
        card = row.export(ExportOptions(**{"weights": "random"} | options), path, Silent())
        return path, card

    return do


@pytest.fixture(scope="session")
def inception(tensorflow, tmp_path_factory):
    """InceptionV3 as users get it, but for the weights: the file and the card."""
    path = tmp_path_factory.mktemp("inception") / "inceptionv3.onnx"
    card = INCEPTIONV3.export(ExportOptions(weights="random"), path, Silent())
    return path, card


@pytest.fixture
def assert_same():
    """Compare features as the parity check does: relative to an image's largest feature."""

    def check(actual, expected, tolerance=1e-4):
        assert actual.shape == expected.shape
        difference = np.abs(actual - expected).max(axis=1)
        assert (difference <= tolerance * np.abs(expected).max(axis=1)).all()

    return check
