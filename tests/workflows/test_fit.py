"""Images that are not square: how a backbone given by its name sees them, and who says so."""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

import tlbench as toolkit
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.sklearn import FeatureExtractor

SMALL = {"input_size": 32}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for all tests: each export is made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def photos(tmp_path):
    """A folder of images twice as wide as high, of two classes."""

    def made(width=40, height=20):
        generator = np.random.default_rng(width)
        for split in ("train", "test"):
            for name, low in (("bright", 120), ("dark", 0)):
                folder = tmp_path / f"{width}x{height}" / split / name
                folder.mkdir(parents=True)
                for i in range(6):
                    pixels = generator.integers(low, low + 120, (height, width, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / f"{i}.png")
        return tmp_path / f"{width}x{height}"

    return made


def evaluate(folder, cache, **options):
    run = toolkit.evaluate(
        dataset=folder, heads="softmax", baselines=(), cache_dir=cache, **SMALL | options
    )
    return run.record


def about_crops(record):
    return [text for text in record.warnings if "crops" in text]


def test_a_large_crop_is_a_warning_again_from_the_store(photos, cache):
    """Half of each image: said when the features are computed, and when they are stored."""
    folder = photos()
    for from_store in (False, True):
        record = evaluate(folder, cache)
        assert {one.from_store for one in record.extraction} == {from_store}
        assert {one.cropped_fraction for one in record.extraction} == {0.5}
        (warning,) = about_crops(record)
        assert "does not see 50.0 % of the images' area on average" in warning


@pytest.mark.parametrize(
    ("size", "options", "cropped"),
    [
        ((40, 20), {"fit": "squash"}, 0.0),
        ((40, 20), {"fit": "pad"}, 0.0),
        ((20, 20), {}, 0.0),
        ((21, 20), {}, 1 - 20 / 21),
    ],
)
def test_no_warning_where_nearly_all_is_seen(photos, cache, size, options, cropped):
    record = evaluate(photos(*size), cache, **options)
    assert about_crops(record) == []
    assert record.extraction[0].cropped_fraction == pytest.approx(cropped)


def test_a_crop_fraction_counts_for_square_images(photos, cache):
    """0.875 of the side is 0.766 of the area; of 20 pixels it is 18, half a pixel up."""
    (warning,) = about_crops(evaluate(photos(20, 20), cache, crop_fraction=0.875))
    assert "19.0 %" in warning


def test_a_file_whose_fit_is_unknown_gives_no_warning(photos, cache, tiny_path):
    """Files of earlier versions squash, and their cards do not say it."""
    record = toolkit.evaluate(
        tiny_path, dataset=photos(), heads="softmax", baselines=(), cache_dir=cache
    ).record
    assert about_crops(record) == []
    assert record.extraction[0].cropped_fraction is None


def test_each_fit_has_its_own_file(cache):
    """With its own features; the same options find the same file."""
    image = np.random.default_rng(0).integers(0, 256, (1, 20, 40, 3), dtype=np.uint8)
    options = ({}, {"fit": "squash"}, {"fit": "pad"}, {"crop_fraction": 0.5})
    loaded = [toolkit.load_backbone(cache_dir=cache, **SMALL, **one) for one in options]
    assert len({one.path for one in loaded}) == 4
    features = [one.features(image) for one in loaded]
    for i, one in enumerate(features):
        assert all(np.abs(one - other).max() > 1e-3 for other in features[:i])
    again = toolkit.load_backbone(cache_dir=cache, **SMALL, fit="pad")
    assert again.path == loaded[2].path


def test_every_function_takes_the_fit(photos, cache):
    """The features of one image by three ways are the same."""
    folder, options = photos(), {"cache_dir": cache, "fit": "pad", **SMALL}
    found = toolkit.extract("efficientnet-lite0", folder, "test", **options)
    files = sorted((folder / "test").rglob("*.png"))
    backbone = toolkit.load_backbone("efficientnet-lite0", **options)
    np.testing.assert_allclose(backbone.features(files), found.features, rtol=1e-5, atol=1e-5)
    extractor = clone(FeatureExtractor(image_fit="pad", cache_dir=cache, **SMALL))
    np.testing.assert_allclose(
        extractor.fit(files).transform(files), found.features, rtol=1e-5, atol=1e-5
    )
    timed = toolkit.measure_latency(
        scenarios="single",
        min_samples=5,
        min_duration_s=0.01,
        max_duration_s=0.1,
        costs=False,
        **options,
    )
    assert timed.record.model.sha256 == backbone.model.sha256


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fit": "pad"}, "fit='pad'"),
        ({"crop_fraction": 0.5}, "crop_fraction=0.5"),
        ({"input_size": 64}, "input_size=64"),
    ],
)
def test_a_file_refuses_them(tiny_path, tmp_path, options, text):
    """It is exported already, and they would be ignored."""
    with pytest.raises(ConfigError, match=f"{text} applies to the export of a backbone"):
        toolkit.load_backbone(tiny_path, **options)
    with pytest.raises(ConfigError, match=f"{text} applies to the export of a backbone"):
        toolkit.evaluate(tiny_path, cache_dir=tmp_path, **options)
    with pytest.raises(ConfigError, match=f"{text} applies to the export of a backbone"):
        toolkit.evaluate(toolkit.load_backbone(tiny_path), cache_dir=tmp_path, **options)


@pytest.mark.parametrize("fraction", [0, 1.2, float("nan")])
def test_impossible_fractions_cost_no_work(cache, fraction):
    for function in (toolkit.run, toolkit.load_backbone, toolkit.extract, toolkit.measure_latency):
        with pytest.raises(ConfigError, match="crop_fraction must be greater than 0"):
            function(crop_fraction=fraction, cache_dir=cache)


def test_a_wrong_fit_is_named(cache):
    with pytest.raises(UnknownNameError, match="'sqash'"):
        toolkit.run(fit="sqash", cache_dir=cache)


def test_the_command_line_speaks_of_its_options(tlbench, tiny_path):
    """Errors of the library, in the words of the command line."""
    done = tlbench("run", "--crop-fraction", "1.2")
    assert done.code == 2
    assert "--crop-fraction must be greater than 0 and at most 1" in done.err
    done = tlbench("evaluate", "efficientnet-lite0", "--fit", "pad", "--crop-fraction", "0.5")
    assert done.code == 2
    assert "--crop-fraction 0.5 belongs to --fit crop, but --fit pad keeps" in done.err
    done = tlbench("latency", tiny_path, "--fit", "pad")
    assert done.code == 2
    assert "--fit pad applies to the export of a backbone" in done.err
    done = tlbench("export", "efficientnet-lite0", "--resize", "nearest", "--antialias")
    assert done.code == 2
    assert "--antialias averages over pixels, and --resize nearest takes single ones" in done.err


def test_inspect_shows_the_fit(tlbench, tiny_path):
    """Of a new file, and that an older one squashes."""
    done = tlbench(
        *("export", "efficientnet-lite0", "--input-size", "32", "--layer", "stem", "--fit", "pad"),
        *("--antialias", "-o", "m.onnx"),
    )
    assert done.code == 0
    text = " ".join(tlbench("inspect", "m.onnx").out.split())
    assert "Preprocessing pad to a square with the colour (0, 0, 0), resize to 32x32" in text
    assert "half-pixel centres, antialiasing" in text
    text = " ".join(tlbench("inspect", tiny_path).out.split())
    assert "squash to a square (the card is older than the choice of a fit)" in text
