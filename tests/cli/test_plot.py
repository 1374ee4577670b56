"""``tlbench plot``, and a saved sweep in every format."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

import tlbench as api

pytest.importorskip("matplotlib", reason="needs matplotlib (extra 'report')")
FEW = ("--limit-train", "60", "--limit-test", "50", "--heads", "centroid", "--baselines", "none")


@pytest.fixture(scope="module")
def run(tiny_path, tmp_path_factory):
    """A saved run that has everything that a plot of one run shows."""
    folder = tmp_path_factory.mktemp("plotted")
    found = api.run(
        tiny_path,
        heads="centroid",
        limit_train=60,
        limit_test=50,
        baselines=(),
        folds=2,
        cache_dir=folder / "cache",
    )
    return found.save(folder, html=False)


@pytest.fixture(scope="module")
def other(run, tmp_path_factory):
    """The same under another name, elsewhere."""
    found = api.load_run(run)
    record = dataclasses.replace(found.record, id="20260101-000000-0001")
    again = api.Run(record, found.predictions.arrays, images=found.images)
    return again.save(tmp_path_factory.mktemp("other"), html=False)


@pytest.fixture(scope="module")
def swept(tiny_path, tmp_path_factory):
    """The folder of a sweep of two batch sizes."""
    folder = tmp_path_factory.mktemp("swept") / "batches"
    api.sweep(
        tiny_path,
        folder,
        heads="centroid",
        batch_sizes=(1, 4),
        rounds=12,
        costs=False,
        limit_train=60,
        limit_test=40,
        baselines=(),
        cache_dir=folder.parent / "cache",
    )
    return folder


@pytest.mark.parametrize("kind", ["embedding", "confusion", "misclassified", "latency", "curve"])
def test_every_plot_of_a_run_is_written(tlbench, run, kind):
    done = tlbench("plot", kind, run, "-o", f"{kind}.png", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert Path(f"{kind}.png").read_bytes().startswith(b"\x89PNG")


def test_the_default_is_the_last_run(tlbench, run):
    done = tlbench("plot", "confusion", "-o", "a.svg", "--output", run.parent)
    assert done.code == 0, done.err
    assert tlbench("plot", "confusion", run, "-o", "b.svg").code == 0
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()


def test_python_draws_the_same(tlbench, run, swept):
    assert tlbench("plot", "curve", run, "-o", "a.svg").code == 0
    assert api.load_run(run).plot("curve", "b.svg") == Path("b.svg")
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
    assert tlbench("plot", "pareto", swept, "-o", "a.pdf").code == 0
    api.load_sweep(swept).plot("pareto", "b.pdf")
    assert Path("a.pdf").read_bytes() == Path("b.pdf").read_bytes()


def test_thumbnails_are_an_option_of_the_embedding(tlbench, run):
    done = tlbench("plot", "embedding", run, "--thumbnails", "--quiet", "-o", "a.svg")
    assert done.code == 0, done.err
    assert "<image" in Path("a.svg").read_text(encoding="utf-8")
    done = tlbench("plot", "curve", run, "--thumbnails", "-o", "b.svg")
    assert done.code == 2
    assert "--thumbnails is for the plot embedding, got the plot curve" in done.err


def test_a_pareto_plot_takes_runs_or_a_sweep(tlbench, swept, run, other):
    cells = sorted((swept / "cells").iterdir())
    done = tlbench("plot", "pareto", swept / "sweep.json", "-o", "sweep.svg")
    assert done.code == 0, done.err
    assert "12 rounds" in Path("sweep.svg").read_text(encoding="utf-8")
    done = tlbench("plot", "pareto", *cells, "-o", "runs.svg")
    assert done.code == 2  # one of the cells is timed in batches alone
    assert "fewer than two points" in done.err
    assert not Path("runs.svg").exists()
    done = tlbench("plot", "pareto", run, other, "-o", "runs.svg")
    assert done.code == 0, done.err
    assert ">A   tiny" in Path("runs.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pareto", "RUN", "-o", "a.svg"], "needs several runs, or a sweep"),
        (["curve", "RUN", "OTHER", "-o", "a.svg"], "shows one run, but there are several"),
        (["curve", "SWEEP", "-o", "a.svg"], "shows one run, but there are several"),
        (["pareto", "SWEEP", "RUN", "-o", "a.svg"], "is a sweep, which stands alone"),
        (["curve", "RUN", "-o", "a.jpg"], "must end with .svg, .png or .pdf"),
        (["curve", "RUN", "-o", "no/a.svg"], "there is no folder no"),
        (["piechart", "RUN", "-o", "a.svg"], "piechart"),
        (["curve", "RUN"], "-o"),
        (["curve", "nothing", "-o", "a.svg"], "nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_drawn_is_one_line_and_no_file(tlbench, run, other, swept, words, message):
    places = {"RUN": run, "OTHER": other, "SWEEP": swept}
    done = tlbench("plot", *(places.get(word, word) for word in words))
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not list(Path().glob("a.*"))


def test_options_are_named_for_what_a_run_lacks(tlbench, swept):
    cell = next((swept / "cells").iterdir())
    done = tlbench("plot", "curve", cell, "-o", "a.svg")
    assert done.code == 2
    assert "--learning-curve 1,5,10, --folds 5, or --heads dense" in done.err


def test_without_matplotlib_the_extra_is_named(tlbench, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = tlbench("plot", "confusion", run, "-o", "a.svg")
    assert done.code == 2
    assert "pip install 'tlbench[report]'" in done.err


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("console", "  Accuracy and time per image (n = 40 test images, 12 rounds)\n"),
        ("html", '<h2 id="cells-title">Each cell</h2>'),
        ("json", '"schema_version"'),
        ("markdown", "### Accuracy and time per image"),
    ],
)
def test_a_saved_sweep_is_reported(tlbench, swept, style, text):
    done = tlbench("report", swept, "--format", style)
    assert (done.code, done.err) == (0, "")
    assert text in done.out
    if style == "json":
        assert json.loads(done.out) == json.loads((swept / "sweep.json").read_bytes())


def test_a_format_of_runs_is_refused_for_a_sweep(tlbench, swept):
    done = tlbench("report", swept, "--format", "bencher")
    assert done.code == 2
    assert "Known: console, html, json, markdown" in done.err


def test_a_sweep_has_a_page_beside_it(tlbench, tiny_path, swept):
    """Unless it is not wanted; the details of each cell are in it."""
    page = (swept / "report.html").read_text(encoding="utf-8")
    for cell in json.loads((swept / "sweep.json").read_text(encoding="utf-8"))["cells"]:
        assert f'href="#cell-{cell["id"]}"' in page
        assert f'id="cell-{cell["id"]}"' in page
    assert page.count("Distribution of") >= 2
    grid = ("--backbones", tiny_path, "--rounds", "12", "--no-costs", *FEW, "--quiet")
    done = tlbench("sweep", *grid, "-o", "plain", "--no-html", "--format", "markdown")
    assert done.code == 0, done.err
    assert done.out.startswith("## 1 cell\n")
    assert not Path("plain/report.html").exists()


@pytest.mark.parametrize("style", ["markdown", "html"])
def test_a_comparison_is_written_in_every_format(tlbench, run, other, style):
    done = tlbench("compare", run, other, "--format", style)
    assert done.code == 0, done.err
    assert done.out == tlbench("report", run, other, "--format", style).out
    heading = {"markdown": "### Difference from A on the same images", "html": '<h2 id="runs-title'}
    assert heading[style] in done.out


def test_bars_are_plain_where_the_output_has_no_others(tlbench, run, monkeypatch):
    assert "▁" in tlbench("report", run).out
    monkeypatch.setattr("tlbench.core.units._BARS", "\udc80" * 8)  # nothing encodes it
    assert "▁" not in tlbench("report", run).out
