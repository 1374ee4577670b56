"""The page on the Python API: its examples run, and it leaves nothing out."""

import re

import numpy as np
import pytest
from documents import REPOSITORY, blocks_of
from PIL import Image

import tlbench
from tlbench.core.progress import Silent
from tlbench.model import resolve_model

PAGE = REPOSITORY / "docs" / "api.md"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """The folder in which the examples run."""
    generator = np.random.default_rng(0)
    for name, low in (("bright", 120), ("dark", 0)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for i in range(4):
            pixels = generator.integers(low, low + 120, (24, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_the_examples_run_in_order(photos):
    """As in a notebook, cell by cell."""
    names = {}
    for block in blocks_of(PAGE, "python"):
        exec(block.text, names)
    assert names["codes"].shape == (8, 1280)
    assert (photos / "report.txt").is_file()
    assert names["search"].best_score_ > 0.5
    assert "<table>" in names["run"]._repr_html_()


def test_the_readme_example_runs(photos, capsys):
    """The first screen: a time in seconds, and the report."""
    (block,) = blocks_of(REPOSITORY / "README.md", "python")
    exec(block.text, {})
    seconds, report = capsys.readouterr().out.split(maxsplit=1)
    assert 0 < float(seconds) < 60
    assert "LogisticRegression" in report


def test_every_public_name_is_on_the_page():
    """What a user may call is written down."""
    text = PAGE.read_text(encoding="utf-8")
    names = [name for name in tlbench.__all__ if name != "__version__"]
    assert [name for name in names if not re.search(rf"\btlbench\.{name}\b", text)] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_the_example_of_the_design(real_data, photos, shared_cache, monkeypatch):
    """The calls that the API was designed by, on real images."""
    monkeypatch.setenv("TLBENCH_DATA", str(real_data))
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from tlbench.sklearn import FeatureExtractor

    heads = ["softmax", LogisticRegression(C=0.1, max_iter=1000)]
    run = tlbench.run(
        "efficientnet-lite0", dataset="cifar10", heads=heads, limit_train=200, limit_test=200
    )
    low, high = run.accuracy["softmax"].interval
    assert low < run.accuracy["softmax"].accuracy_fraction < high
    assert run.latency["single"].median_s > 0
    folder = run.save("runs")
    assert tlbench.load_run("last").id == folder.name
    assert "softmax" in run._repr_html_()

    cifar = tlbench.extract("efficientnet-lite0", "cifar10", "test", limit=50)
    images = np.stack([np.asarray(Image.open(p)) for p in sorted(photos.rglob("*.jpg"))])
    labels = [p.parent.name for p in sorted(photos.rglob("*.jpg"))]
    data = tlbench.Dataset.from_arrays(images[::2], labels[::2], images[1::2], labels[1::2])
    file = resolve_model("efficientnet-lite0", cache_dir=shared_cache, listener=Silent()).path
    assert tlbench.evaluate(str(file), dataset=data).accuracy["softmax"].n_test == 4
    backbone = tlbench.load_backbone("efficientnet-lite0")
    assert backbone.features(images).shape == (8, cifar.features.shape[1])
    fitted = make_pipeline(FeatureExtractor("efficientnet-lite0"), LogisticRegression())
    assert fitted.fit(images, labels).score(images, labels) == 1.0
