"""Figures as files: complete, the same every time, and clear about what a run lacks."""

import dataclasses
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pictured_runs import HOSTILE, pictured
from swept_cells import cell, predictions, rounds, swept

from tlbench.core.errors import (
    ConfigError,
    MissingDependencyError,
    ResultError,
    UnknownNameError,
    printable,
)
from tlbench.records import decode_run
from tlbench.reports import (
    PLOTS,
    check_plot_file,
    pareto_figure,
    pareto_plot,
    run_plot,
    sweep_pareto_figure,
)
from tlbench.reports.image_figures import confusion_of, misclassified_figure, shown_images
from tlbench.reports.page import images as page_images

matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib (extra 'report')")

GOLDEN = Path(__file__).parents[1] / "golden"
CLASSES = tuple(f"class {i}" for i in range(10))
OF_ONE_RUN = [kind for kind in PLOTS if kind != "pareto"]
STARTS = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}


@pytest.fixture(scope="module")
def shown(golden_run):
    """A run that has everything: the arguments of a plot."""
    return pictured(golden_run, CLASSES)


def _texts(svg):
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iterfind(".//{*}text")]


def _whole(svg):
    return " ".join(" ".join(_texts(svg)).split())


@pytest.mark.parametrize("suffix", STARTS)
@pytest.mark.parametrize("kind", OF_ONE_RUN)
def test_every_plot_is_written_in_every_format(shown, kind, suffix):
    content = run_plot(kind, suffix, *shown)
    assert content.startswith(STARTS[suffix])
    assert len(content) > 5000


@pytest.mark.parametrize("kind", OF_ONE_RUN)
def test_every_plot_says_what_it_rests_on(shown, kind):
    """Number, unit and interval, or that there is none; as text, which can be found and copied."""
    text = _whole(run_plot(kind, ".svg", *shown))
    assert "n = " in text
    words = ("interval", "standard deviation", "no unit", "the probability of the predicted class")
    assert any(word in text for word in words)


@pytest.mark.parametrize("suffix", STARTS)
def test_the_same_run_gives_the_same_bytes(shown, suffix):
    """Whatever the user's own settings of matplotlib are."""
    first = run_plot("embedding", suffix, *shown)
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": None, "text.usetex": False}):
        assert run_plot("embedding", suffix, *shown) == first
    assert not re.search(rb"CreationDate|<dc:date", first)


def test_a_plot_leaves_no_setting_behind(shown):
    before = dict(matplotlib.rcParams)
    run_plot("confusion", ".png", *shown)
    assert dict(matplotlib.rcParams) == before


def test_an_embedding_says_how_it_was_made_and_how_faithful_it_is(shown):
    text = _whole(run_plot("embedding", ".svg", *shown))
    assert "t-SNE of the first 16 principal components of 16 features, seed 0" in text
    assert "15-neighbour recall 50.0 %, trustworthiness 0.900" in text
    assert set(CLASSES) <= set(_texts(run_plot("embedding", ".svg", *shown)))


def test_thumbnails_stand_on_an_embedding_that_wants_them(shown):
    """None covers another, so there are fewer than images."""
    plain, pictures = (
        run_plot("embedding", ".svg", *shown, thumbnails=wanted).count(b"<image")
        for wanted in (False, True)
    )
    assert plain == 0
    assert 3 < pictures < len(shown[2].document.rows)


def test_a_confusion_matrix_has_the_counts(shown):
    """Every number of the matrix of the page is in the plot."""
    figure = confusion_of(shown_images(*shown), "backbone.softmax")
    counts = sorted(str(count) for line in figure.counts for count in line if count)
    texts = _texts(run_plot("confusion", ".svg", *shown))
    assert sorted(text for text in texts if text.isdigit()) == counts


def test_a_matrix_of_many_classes_has_no_numbers(golden_run):
    """There is no room for them."""
    many = pictured(golden_run, [f"class {i}" for i in range(60)], n_images=600)
    texts = _texts(run_plot("confusion", ".svg", *many))
    assert not [text for text in texts if text.isdigit()]
    assert texts.count("class 58") == 2


def test_a_misclassified_image_has_true_and_predicted_class(shown):
    svg = run_plot("misclassified", ".svg", *shown)
    texts = _texts(svg)
    assert svg.count(b"<image") == texts.count("→") > 20
    assert any(re.fullmatch(r"\d+ %", text) for text in texts)


def test_a_perfect_head_has_an_empty_sheet(shown):
    """An answer, and no error."""
    run, found, images = shown
    right = dataclasses.replace(found, entries=dict.fromkeys(found.entries, found.labels))
    text = _whole(run_plot("misclassified", ".svg", run, right, images))
    assert "No image is misclassified." in text
    assert "0 of n = 240" in text


def test_an_invalid_timing_is_called_so(golden_run):
    for verdict, is_said in (("VALID", False), ("INVALID", True)):
        latency = tuple(dataclasses.replace(one, verdict=verdict) for one in golden_run.latency)
        run = dataclasses.replace(golden_run, latency=latency)
        assert ("(INVALID)" in _whole(run_plot("latency", ".svg", run))) == is_said


@pytest.fixture(scope="module")
def sweep():
    labels, found = predictions([0.85, 0.75, 0.6], n_images=500, seed=3)
    times = (0.010, 0.002, 0.02)
    names = ("a" * 12, "b" * 12, "c" * 12)
    cells = {
        name: cell(name, labels, one, rounds(median, seed=i))
        for i, (name, one, median) in enumerate(zip(names, found, times, strict=True))
    }
    return swept(cells)


def test_a_pareto_plot_of_a_sweep_names_every_cell(sweep):
    svg = pareto_plot(sweep_pareto_figure(sweep), ".svg")
    text = _whole(svg)
    for one in sweep.cells:
        assert one.name in text
    assert "n = 500 test images, 30 rounds" in text
    assert pareto_plot(sweep_pareto_figure(sweep), ".svg") == svg


def test_points_of_a_sweep_are_its_figures(sweep):
    """The fastest first; the front is that of the record."""
    figure = sweep_pareto_figure(sweep)
    measured = sorted((one.figures for one in sweep.cells), key=lambda one: one.image_s)
    assert [one.seconds for one in figure.points] == [one.image_s for one in measured]
    assert [one.fraction for one in figure.points] == [one.accuracy_fraction for one in measured]
    assert [one.on_front for one in figure.points] == [one.on_front for one in measured]


def test_one_point_is_no_front(sweep):
    alone = dataclasses.replace(sweep, cells=sweep.cells[:1])
    with pytest.raises(ResultError, match="fewer than two points"):
        pareto_plot(sweep_pareto_figure(alone), ".svg")
    with pytest.raises(ConfigError, match="several runs, or a sweep"):
        run_plot("pareto", ".svg", decode_run((GOLDEN / "run-simple.json").read_bytes(), "run"))


def test_runs_have_a_front(golden_run):
    run = decode_run((GOLDEN / "run-simple.json").read_bytes(), "run-simple")
    slower = tuple(
        dataclasses.replace(one, samples_s=tuple(2 * s for s in one.samples_s))
        for one in run.latency
    )
    runs = [("A", run), ("B", dataclasses.replace(run, latency=slower))]
    assert "B" in _texts(pareto_plot(pareto_figure(runs), ".svg"))


@pytest.mark.parametrize(
    ("kind", "lacking", "advice"),
    [
        ("embedding", {"predictions": None, "images": None}, "without predictions.npz"),
        ("embedding", {"images": None}, "without images.json and thumbnails.webp"),
        ("misclassified", {"images": None}, "Copy the whole folder of the run"),
        ("confusion", {"accuracy": ()}, "tlbench evaluate"),
        ("latency", {"latency": (), "breakdown": None}, "tlbench latency"),
        ("curve", {"learning_curves": (), "cross_validation": ()}, "curve=(1, 5, 10), folds=5"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_what_a_run_lacks_is_named_with_a_way_to_get_it(shown, kind, lacking, advice):
    run, found, images = shown
    found = lacking.get("predictions", found)
    images = lacking.get("images", images)
    changed = {name: value for name, value in lacking.items() if hasattr(run, name)}
    run = dataclasses.replace(run, **changed)
    if kind == "curve":  # no head was trained in epochs
        heads = tuple(dataclasses.replace(one, curve=()) for one in run.accuracy)
        run = dataclasses.replace(run, accuracy=heads)
    with pytest.raises(ResultError, match=re.escape(advice)):
        run_plot(kind, ".svg", run, found, images)


def test_a_run_without_a_map_says_so(golden_run):
    with pytest.raises(ResultError, match="no map of its test images"):
        run_plot("embedding", ".svg", *pictured(golden_run, CLASSES, with_map=False))


def test_without_matplotlib_the_extra_is_named(shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tlbench\[report\]'"):
        run_plot("confusion", ".svg", *shown)


def test_names_and_suffixes_are_checked(shown):
    with pytest.raises(UnknownNameError, match="embeding"):
        run_plot("embeding", ".svg", *shown)
    with pytest.raises(ConfigError, match="thumbnails=True is for the plot embedding"):
        run_plot("latency", ".svg", *shown, thumbnails=True)
    for name, found in (("a.jpg", "ends with .jpg"), ("svg", "has no suffix")):
        with pytest.raises(ConfigError, match=found):
            check_plot_file(name)
    assert check_plot_file("A.SVG") == ".svg"


def test_classes_have_the_colours_of_the_page():
    """A reader who knows one knows the other."""
    from tlbench.reports.plots.pictures import CLASS_COLOURS

    script = Path(page_images.__file__).with_name("script.js").read_text(encoding="utf-8")
    light = re.search(r"const LIGHT = \[(.*?)\]", script)[1]
    assert re.findall(r"#\w{6}", light) == list(CLASS_COLOURS)


@pytest.mark.parametrize("kind", ["embedding", "confusion", "misclassified"])
def test_hostile_classes_are_text(golden_run, kind):
    """Formulas, tags, control characters, letters that no font has, and 300 of them."""
    names = (*HOSTILE, "$x^2$", "\\frac{1}{2}", "\ufffe\uffff", "$\\unknown$ %s {0}", "_a^b")
    run = pictured(golden_run, names, names=names)
    texts = _texts(run_plot(kind, ".svg", *run))
    if kind == "misclassified":  # a figure has room for the first of them only
        images = misclassified_figure(shown_images(*run)).images
        found = {name for one in images for name in (one.true, one.predicted)}
        assert len(found) > len(names) / 2
        names = sorted(found)
    for name in map(printable, names):
        assert any(name[:9] in text for text in texts), name
    assert max(map(len, texts)) < 140
    assert run_plot(kind, ".png", *run).startswith(STARTS[".png"])
    assert run_plot(kind, ".pdf", *run).startswith(STARTS[".pdf"])


@pytest.mark.parametrize("name", [*HOSTILE, "$x$", " "], ids=ascii)
def test_hostile_names_of_timings_and_cells_are_text(golden_run, sweep, name):
    latency = tuple(dataclasses.replace(one, label=name) for one in golden_run.latency[:2])
    run = dataclasses.replace(golden_run, latency=latency)
    ET.fromstring(run_plot("latency", ".svg", run))
    cells = tuple(dataclasses.replace(one, name=name) for one in sweep.cells)
    texts = _texts(
        pareto_plot(sweep_pareto_figure(dataclasses.replace(sweep, cells=cells)), ".svg")
    )
    assert any(printable(name)[:9].strip() in text for text in texts)
