"""The drift, and what is refused because of it."""

import numpy as np
import pytest

import exporters.precision.network as module
from exporters.precision.int8 import INT8
from exporters.precision.network import measure_drift
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.progress import Silent
from tlbench.model import ConversionOptions, Drift, OnnxModel


def test_drift_of_known_vectors():
    """Equal, at 45 degrees, opposite: cosines 1, 0.71 and -1."""
    reference = np.array([[1, 0], [1, 0], [0, 2]], np.float32)
    features = np.array([[1, 0], [1, 1], [0, -2]], np.float32)
    drift = measure_drift(features, reference)
    assert drift.n_images == 3
    assert drift.min_cosine == pytest.approx(-1)
    assert drift.mean_cosine == pytest.approx(np.sqrt(0.5) / 3)
    assert drift.median_rel == pytest.approx(1)


def test_features_that_vanish_have_no_cosine():
    """All zero is as far as can be, not undefined."""
    drift = measure_drift(np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32))
    assert drift.min_cosine == 0


def test_an_image_without_any_feature_is_compared_by_the_scale_of_the_others():
    """A small image may leave a deep network without any."""
    reference = np.array([[0, 0], [3, 4], [3, 4]], np.float32)
    same = measure_drift(reference, reference)
    assert (same.min_cosine, same.median_rel) == (1, 0)
    other = measure_drift(reference + np.array([[0, 1]], np.float32), reference)
    assert other.min_cosine == 0
    assert other.median_rel == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("features", "reference", "match"),
    [
        ([[np.nan, 1]], [[1, 1]], "not finite"),
        ([[1, 1]], [[np.inf, 1]], "not finite"),
        ([[1, 1], [0, 0]], [[0, 0], [0, 0]], "of every image are all zero"),
    ],
    ids=["nan", "infinite", "zero"],
)
def test_features_that_mean_nothing_are_refused(features, reference, match):
    with pytest.raises(ExportError, match=match):
        measure_drift(np.array(features, np.float32), np.array(reference, np.float32))


@pytest.mark.parametrize(("kind", "is_refused"), [("file", True), ("random", False)])
def test_the_default_limit_is_for_trained_weights(
    monkeypatch, options, save_block_at, tmp_path, kind, is_refused
):
    """Random weights have a latency and no accuracy: their drift matters to nobody."""
    far = Drift(n_images=8, min_cosine=0.1, mean_cosine=0.2, median_rel=1.0)
    monkeypatch.setattr(module, "measure_drift", lambda *_: far)
    save_block_at(tmp_path / "source.onnx", kind=kind)
    destination = tmp_path / "m.onnx"
    if is_refused:
        with pytest.raises(ExportError, match=r"0\.100000 \(mean 0\.200000.*the limit is 0\.85"):
            INT8.convert(OnnxModel(tmp_path / "source.onnx"), destination, options, Silent())
    else:
        INT8.convert(OnnxModel(tmp_path / "source.onnx"), destination, options, Silent())
    assert destination.exists() is not is_refused


@pytest.mark.parametrize("value", [-1.1, 1.5, float("nan")])
def test_an_impossible_cosine_is_refused(options, value):
    with pytest.raises(ConfigError, match="min_cosine must be between -1 and 1, got"):
        ConversionOptions(sample=options.sample, calibration=(), held_out=(), min_cosine=value)
