"""What the tests of the Python API share: images in memory, and as files."""

import numpy as np
import pytest
from PIL import Image

import tlbench


@pytest.fixture(scope="session")
def pictures():
    """60 images of two classes, dark and bright."""
    generator = np.random.default_rng(0)
    dark = generator.integers(0, 120, (30, 12, 10, 3), dtype=np.uint8)
    bright = generator.integers(100, 256, (30, 12, 10, 3), dtype=np.uint8)
    return np.stack([dark, bright], axis=1).reshape(60, 12, 10, 3)


@pytest.fixture(scope="session")
def kinds():
    """Their classes."""
    return np.array(["dark", "bright"] * 30)


@pytest.fixture(scope="session")
def dataset(pictures, kinds):
    """The first 40 images to train on, the others to test on."""
    return tlbench.Dataset.from_arrays(
        pictures[:40], kinds[:40], pictures[40:], kinds[40:], name="shades"
    )


@pytest.fixture(scope="session")
def files(pictures, tmp_path_factory):
    """The first eight images as PNG files."""
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / f"{i}.png" for i in range(8)]
    for path, pixels in zip(paths, pictures, strict=False):
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def evaluate(tiny_path, dataset):
    """Evaluate the tiny backbone on the images in memory."""

    def run(**settings):
        given = {"dataset": dataset, "baselines": ()} | settings
        return tlbench.evaluate(tiny_path, **given)

    return run
