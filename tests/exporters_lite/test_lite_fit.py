"""EfficientNet-Lite0 on photographs of any proportions, and on square images as before."""

import numpy as np
import pytest

from exporters.common.fit import SquareFit
from exporters.lite.backbone import LITE0
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.progress import Silent
from tlbench.datasets import DatasetRequest, load_dataset
from tlbench.model import ExportOptions, OnnxModel

FITS = {"crop": {}, "crop 0.875": {"crop_fraction": 0.875}, "pad": {"fit": "pad"}}


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Export Lite0 with options, once for the same ones; return the file's path."""
    known = {}

    def made(**options):
        key = repr(options)
        if key not in known:
            known[key] = tmp_path_factory.mktemp("fit") / "lite0.onnx"
            card = LITE0.export(ExportOptions(**options), known[key], Silent())
            assert card.parity.max_rel <= 1e-4
        return known[key]

    return made


@pytest.mark.parametrize("options", FITS.values(), ids=FITS)
def test_features_are_those_of_images_cropped_or_padded_outside(export, run_onnx, options):
    """Wide and tall, one pixel, one row, odd remainders: within 1e-4 of the largest feature."""
    fit = SquareFit(options.get("fit", "crop"), options.get("crop_fraction", 1.0))
    for height, width in ((1, 1), (1, 90), (61, 2), (120, 161), (161, 120), (97, 96)):
        generator = np.random.default_rng([height, width])
        images = generator.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        found = run_onnx(export(**options), images)["features"]
        expected = run_onnx(export(fit="squash"), fit.apply(images))["features"]
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("dataset", ["digits", "cifar10"])
def test_square_images_have_the_features_that_they_had(
    export, run_onnx, request, tmp_path, dataset
):
    """Bit for bit, on real rows: the default changes no prediction."""
    data = request.getfixturevalue("real_data") if dataset == "cifar10" else None
    wanted = DatasetRequest(
        name=dataset, data_dir=data, download_dir=tmp_path, seed=0, listener=Silent()
    )
    found = load_dataset(wanted)
    images = np.stack([found.test.images[i] for i in range(100)])
    assert images.shape[1] == images.shape[2]
    before, now = (run_onnx(export(**one), images)["features"] for one in ({"fit": "squash"}, {}))
    np.testing.assert_array_equal(now, before)


def test_the_card_states_each_step(export):
    """As fields, besides the text."""
    found = OnnxModel(export(crop_fraction=0.875)).card.preprocess
    assert (found.fit, found.crop_fraction, found.pad_colour) == ("crop", 0.875, None)
    assert (found.size, found.interpolation, found.antialias) == ((224, 224), "bilinear", False)
    assert (found.scale, found.mean, found.std) == (1.0, (127,) * 3, (128,) * 3)
    assert (found.channels, found.layout) == ("RGB", "NCHW")


def test_antialiasing_is_verified_and_named(tmp_path):
    card = LITE0.export(
        ExportOptions(input_size=32, layer="stem", antialias=True), tmp_path / "m.onnx", Silent()
    )
    assert card.resize == "bilinear, half-pixel centres, antialiasing"
    assert card.preprocess.antialias
    assert card.parity.max_rel <= 1e-4


def test_antialiased_nearest_writes_nothing(tmp_path):
    with pytest.raises(ConfigError, match="resize='nearest' takes single ones"):
        LITE0.export(ExportOptions(resize="nearest", antialias=True), tmp_path / "m.onnx", Silent())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_the_verification_sees_another_fit(tmp_path, monkeypatch, fit):
    """A reference that cuts or pads at another place fails the export."""
    apply = SquareFit.apply
    monkeypatch.setattr(SquareFit, "apply", lambda self, images: apply(self, images)[:, ::-1])
    with pytest.raises(ExportError, match="Nothing was written"):
        LITE0.export(ExportOptions(input_size=32, fit=fit), tmp_path / "m.onnx", Silent())
