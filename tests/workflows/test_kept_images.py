"""What a run keeps of its test images, and the map that is drawn of them later."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

import tlbench
from tlbench.datasets import DatasetRequest, load_dataset
from tlbench.records import read_images, save_run
from tlbench.workflows import draw_map, run_benchmark
from tlbench.workflows.steps import thumbnails


def _document(config):
    return run_benchmark(config).images.document


def test_a_run_keeps_its_test_images(config):
    """One thumbnail, confidence and point for each."""
    outcome = run_benchmark(config)
    document = outcome.images.document
    assert document.rows == tuple(range(100))
    assert document.n_test == 100
    assert len(document.code_map.points) == 100
    assert document.code_map.method == "PCA"
    sheet = Image.open(io.BytesIO(outcome.images.sheet))
    assert sheet.size == (10 * document.tile_px, 10 * document.tile_px)


def test_confidences_are_those_of_the_predictions(config):
    """A head without probabilities has margins; both are the same from the store."""
    config = dataclasses.replace(config, heads=("softmax", "svm-linear"))
    first, again = _document(config), _document(config)
    assert first.confidence == again.confidence
    softmax, svm = first.confidence["backbone.softmax"], first.confidence["backbone.svm-linear"]
    assert (softmax.kind, svm.kind) == ("probability", "margin")
    assert all(1 / 10 <= value <= 1 for value in softmax.values)
    assert min(svm.values) >= 0


def test_thumbnails_are_made_of_the_images(config):
    """Digits are small enough to be kept as they are."""
    outcome = run_benchmark(config)
    sheet = np.asarray(Image.open(io.BytesIO(outcome.images.sheet)).convert("RGB"))
    digits = load_dataset(DatasetRequest(name="digits")).test.images
    row = int(outcome.predictions["index"][12])
    tile = sheet[8:16, 16:24]
    assert any(np.array_equal(tile, digits[i]) for i in range(len(digits))), row


def test_images_are_read_once_for_features_and_thumbnails(config, monkeypatch):
    """Of photographs, reading them twice would take twice the time."""
    read = []
    make = thumbnails.ThumbnailedImages.__getitem__
    monkeypatch.setattr(
        thumbnails.ThumbnailedImages,
        "__getitem__",
        lambda self, index: (read.append(index), make(self, index))[1],
    )
    outcome = run_benchmark(config)
    assert len(read) == 100
    assert run_benchmark(config).images == outcome.images
    assert len(read) == 100


def test_thumbnails_are_made_again_if_the_store_has_none(config, own_cache):
    """As after an extraction by an older tlbench."""
    before = run_benchmark(config).images
    for folder in (own_cache / "store" / "thumbnails").rglob("meta.json"):
        folder.unlink()
    assert run_benchmark(config).images == before


def test_of_very_many_images_a_sample_is_kept(config, monkeypatch):
    """With the classes in proportion; what the rows stand for is recorded."""
    monkeypatch.setattr(thumbnails, "MOST_IMAGES", 50)
    outcome = run_benchmark(config)
    document = outcome.images.document
    assert len(document.rows) == 50
    assert document.n_test == 100
    assert list(document.rows) == sorted(set(document.rows))
    labels = outcome.predictions["labels"][list(document.rows)]
    assert np.bincount(labels, minlength=10).min() >= 4


def test_names_of_files_are_kept(tiny_path, tmp_path):
    generator = np.random.default_rng(0)
    for kind, least in (("dark", 0), ("bright", 128)):
        folder = tmp_path / "photos" / kind
        folder.mkdir(parents=True)
        for i in range(12):
            pixels = generator.integers(least, least + 128, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    run = tlbench.evaluate(tiny_path, dataset=tmp_path / "photos", heads="softmax", baselines=())
    names = run.images.document.names
    assert len(names) == len(run.images.document.rows)
    assert all(name.endswith(".png") for name in names)


def test_without_enough_images_there_is_no_map(config):
    assert _document(dataclasses.replace(config, limit_test=30)).code_map is None


def test_a_run_without_accuracy_keeps_no_images(config):
    config = dataclasses.replace(config, accuracy=False, latency=True, heads=())
    config = dataclasses.replace(
        config, timing=dataclasses.replace(config.timing, scenarios=("single",), min_samples=5)
    )
    assert run_benchmark(config).images is None


@pytest.fixture
def tsne():
    """Skip where openTSNE is not installed."""
    pytest.importorskip("openTSNE", reason="needs openTSNE: pip install 'tlbench[report]'")


@pytest.mark.usefixtures("tsne")
def test_a_map_is_drawn_from_the_features_in_the_store(config, recorder):
    """Once: the next run finds it in the store."""
    outcome = run_benchmark(config)
    drawn = draw_map(outcome.result, outcome.images, recorder)
    assert drawn.document.code_map.method == "t-SNE"
    assert len(recorder.tasks) == 1
    assert draw_map(outcome.result, drawn, recorder) is drawn
    assert _document(config).code_map == drawn.document.code_map
    assert len(recorder.tasks) == 1


@pytest.mark.usefixtures("tsne")
def test_without_the_features_the_map_stays_as_it_was(config, recorder, own_cache):
    """A copied run folder, or a cache that was cleaned."""
    outcome = run_benchmark(config)
    own_cache.rename(own_cache.with_name("elsewhere"))
    assert draw_map(outcome.result, outcome.images, recorder) is outcome.images


def test_without_opentsne_the_map_stays_as_it_was(config, recorder, monkeypatch):
    outcome = run_benchmark(config)
    monkeypatch.setattr("tlbench.workflows.steps.images.has_tsne", lambda: False)
    assert draw_map(outcome.result, outcome.images, recorder) is outcome.images


@pytest.mark.usefixtures("tsne")
def test_a_drawn_map_is_kept_in_the_folder_of_the_run(config, tmp_path):
    outcome = run_benchmark(config)
    folder = save_run(outcome.result, outcome.predictions, tmp_path / "runs", outcome.images)
    run = tlbench.load_run(folder)
    assert run.draw_map()
    assert read_images(folder).document.code_map.method == "t-SNE"
    assert "t-SNE of the first" in run.report("html")
