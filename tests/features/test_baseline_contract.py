"""What every entry of tlbench.baselines must do, and the two built-in ones by their values."""

import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

from tlbench.core.errors import MissingDependencyError
from tlbench.features import BASELINES, FeatureBaseline

SIZES = [(32, 32), (8, 8), (1, 1), (64, 48), (33, 20), (300, 5)]


def make_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(params=BASELINES.names())
def baseline(request):
    loaded = BASELINES.load(request.param)
    for distribution in loaded.requires:
        try:
            importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{loaded.name} needs {distribution} (extra: baselines)")
    return loaded


def test_a_baseline_is_known_by_its_own_name(baseline):
    """The entry point has the name that the records will show, and a line for the list."""
    assert isinstance(baseline, FeatureBaseline)
    assert BASELINES.load(baseline.name) is baseline
    assert baseline.summary.endswith(".")


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_the_number_of_features_does_not_depend_on_the_image(baseline, size):
    """Every size gives the same number of finite float32 values as 32 x 32."""
    features = baseline.extract(make_image(*size))
    assert features.dtype == np.float32
    assert features.shape == baseline.extract(make_image(32, 32)).shape
    assert features.ndim == 1
    assert np.isfinite(features).all()


def test_different_images_have_different_features(baseline):
    """The features are of the image."""
    first, second = (baseline.extract(make_image(32, 32, seed)) for seed in (1, 2))
    assert not np.array_equal(first, second)


def test_a_read_only_image_is_left_as_it_is(baseline):
    """Images may come from a memory map: they are neither written nor need to be writable."""
    image = make_image(40, 40)
    before = image.copy()
    image.setflags(write=False)
    baseline.extract(image)
    np.testing.assert_array_equal(image, before)


def test_a_view_with_strides_gives_the_features_of_its_copy(baseline):
    """CIFAR images are transposed views of the file's rows."""
    image = make_image(36, 36).transpose(1, 0, 2)[::-1]
    np.testing.assert_array_equal(baseline.extract(image), baseline.extract(image.copy()))


def test_pixels_of_a_small_picture_are_the_picture():
    """A 32 x 32 image is not resampled: its features times 255 are its bytes."""
    image = make_image(32, 32)
    features = BASELINES.load("pixels").extract(image)
    # a float32 fraction of a byte, times 255, is within one part in ten million of the byte
    np.testing.assert_allclose(features * 255, image.ravel(), rtol=1e-6)


def test_pixels_average_when_they_make_an_image_smaller():
    """Stripes narrower than a target pixel become their mean, not one of the two colours."""
    image = np.zeros((256, 256, 3), dtype=np.uint8)
    image[:, ::2] = 200
    features = BASELINES.load("pixels").extract(image)
    # the filter's weights of even and odd columns differ by less than 5 % of the stripes' height
    np.testing.assert_allclose(features * 255, 100, atol=10)


def test_hog_names_the_extra_when_scikit_image_is_absent(monkeypatch):
    """Without scikit-image the error says what to install."""
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tlbench\[baselines\]'"):
        BASELINES.load("hog").extract(make_image(32, 32))


def test_hog_does_not_change_with_the_contrast():
    """The blocks are normalised: an image of half the contrast has nearly the same features."""
    pytest.importorskip("skimage", reason="the hog baseline needs scikit-image (extra: baselines)")
    image = make_image(32, 32) // 2 * 2
    hog = BASELINES.load("hog")
    # halving even bytes is exact; the normalisation's small constant (1e-5) is all that is left
    np.testing.assert_allclose(hog.extract(image // 2), hog.extract(image), atol=1e-4)


def test_importing_the_baselines_loads_nothing_heavy():
    """Listing them stays quick: Pillow and scikit-image are loaded by the first image."""
    code = (
        "import sys; from tlbench.features import BASELINES; list(BASELINES.items()); "
        "sys.exit(any(name in sys.modules for name in ('PIL', 'skimage', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
