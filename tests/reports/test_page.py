"""A run as one HTML page: complete, self-contained, and safe whatever the names in it."""

import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictured_runs import HOSTILE, ParsedPage, pictured

from tlbench.compare import ComparedRun, compare_runs
from tlbench.core.errors import ResultError, printable
from tlbench.records import decode_run, save_run
from tlbench.reports import RENDERERS, comparison_page, run_page
from tlbench.reports.accuracy import recall_table
from tlbench.reports.base import Table
from tlbench.reports.comparison import comparison_parts
from tlbench.reports.comparison_figures import pareto_front
from tlbench.reports.console import answer_sentence, run_parts
from tlbench.reports.page.svg import number_text
from tlbench.reports.protocols import epochs_table, folds_table
from tlbench.reports.timing import checks_table, cold_start_table, percentiles_table

GOLDEN = Path(__file__).parents[1] / "golden"
CLASSES = tuple(f"class {i}" for i in range(10))
NAMES = st.text(max_size=60) | st.sampled_from(HOSTILE)
# Everything that only the web could answer. A namespace of SVG names none.
OUTSIDE = re.compile(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#|["')])""")


def _page(run, predictions, images):
    return run_page(run, None, predictions, images)


@pytest.fixture(scope="module")
def full_page(golden_run):
    """The page of a run that has everything."""
    return _page(*pictured(golden_run, CLASSES))


def _data(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


@pytest.mark.parametrize("name", ["run-v1", "run-simple", "run-candidates"])
def test_runs_of_older_versions_render(name):
    """What they lack is said to be absent."""
    run = decode_run((GOLDEN / f"{name}.json").read_bytes(), name)
    page = RENDERERS.load("html")(run)
    assert answer_sentence(run) in ParsedPage(page).text
    assert ("Absent: no thumbnails" in page) == bool(run.accuracy)


@pytest.mark.parametrize("name", ["run-v1", "run-simple", "run-candidates"])
def test_every_table_of_the_console_is_in_the_page(name):
    """From the same rows, to the last cell."""
    run = decode_run((GOLDEN / f"{name}.json").read_bytes(), name)
    found = ParsedPage(run_page(run)).tables
    tables = [part for part in run_parts(run, None) if isinstance(part, Table) and part.rows]
    assert tables
    for table in tables:
        rows = [list(map(printable, row)) for row in table.rows]
        head = [list(map(printable, table.columns))] if any(table.columns) else []
        assert [*head, *rows] in found or [[""] * len(table.columns), *rows] in found, table.title


def test_every_table_with_figures_says_what_they_rest_on(golden_run):
    """Where n stands, or how many it is; in any format that has room for a note."""
    tables = [part for part in run_parts(golden_run, None) if isinstance(part, Table)]
    tables = [one for one in tables if one.rows and any(one.right)]
    silent = [one.title for one in tables if not one.note.startswith("n ")]
    assert set(silent) <= {"Models under test"}


def test_the_values_of_every_figure_are_in_a_table(golden_run, full_page):
    """Of classes, epochs, folds, percentiles, and the cold start, which the console leaves out."""
    run, *_ = pictured(golden_run, CLASSES)
    found = ParsedPage(full_page).tables
    for table in (
        recall_table(run),
        epochs_table(run.accuracy),
        folds_table(run.cross_validation),
        percentiles_table(run.latency),
        cold_start_table(run.latency),
        checks_table(run.latency),
    ):
        assert table.rows, table.title
        assert [list(table.columns), *map(list, table.rows)] in found, table.title
        assert table.note.startswith("n ") or not any(table.right), table.title


def test_every_line_of_the_console_is_in_the_page(golden_run):
    page = ParsedPage(run_page(golden_run)).text
    for part in run_parts(golden_run, None):
        if not isinstance(part, Table):
            assert [line for lines in part.values() for line in lines if line not in page] == []


def test_every_figure_says_what_it_rests_on(full_page):
    """Number, and interval or the lack of one."""
    notes = re.findall(r"<figcaption>(.*?)</figcaption>", full_page, re.DOTALL)
    assert len(notes) > 8
    assert [note for note in notes if "n = " not in note] == []
    words = ("interval", "standard deviation", "of the median")
    assert [note for note in notes if not any(word in note for word in words)] == []


def test_the_answer_comes_first(full_page, golden_run):
    run, *_ = pictured(golden_run, CLASSES)
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", full_page)[1]
    assert heading == answer_sentence(run)
    assert full_page.index("<h1") < full_page.index("<svg") < full_page.index("<script>")


def test_the_policy_admits_what_is_there_and_nothing_else(full_page):
    """Each script and style by its hash; no request at all."""
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', full_page)[1]
    policy = policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        for content in re.findall(rf"<{tag}>(.*?)</{tag}>", full_page, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", re.sub("<script>.*", "", full_page))


def test_nothing_is_asked_for(full_page):
    assert not OUTSIDE.search(re.sub(r"<script>.*?</script>", "", full_page, flags=re.DOTALL))


def test_the_page_is_the_same_every_time(golden_run, full_page):
    assert _page(*pictured(golden_run, CLASSES)) == full_page


def test_each_drawing_is_well_formed(full_page):
    drawings = re.findall(r"<svg.*?</svg>", full_page, re.DOTALL)
    assert len(drawings) > 8
    for drawing in drawings:
        ET.fromstring(drawing)


@settings(max_examples=25)
@given(classes=st.lists(NAMES, min_size=2, max_size=12), names=st.lists(NAMES, max_size=3))
def test_names_are_text_whatever_they_are(golden_run, classes, names):
    """In tables, drawings and the data of the script; no name begins an element."""
    run, predictions, images = pictured(golden_run, classes, names=names, n_images=36)
    run = dataclasses.replace(run, warnings=tuple(classes))
    page = _page(run, predictions, images)
    parsed = ParsedPage(page)
    assert [tag for tag, _ in parsed.elements].count("script") == 2
    assert {tag for tag, _ in parsed.elements}.isdisjoint({"img", "iframe", "object", "base"})
    shown = [printable(name) for name in classes]
    cells = {cell for table in parsed.tables for row in table for cell in row}
    newline = re.compile(r"\r\n?")
    assert {newline.sub("\n", name) for name in shown} <= {newline.sub("\n", c) for c in cells}
    data = _data(page)
    assert data["classes"] == shown
    assert set(data["names"]) == {printable(name) for name in names}
    page.encode()
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(drawing)


def test_hostile_names_in_every_place(golden_run):
    """Of the run's model, head, dataset, files and reasons as well."""
    for name in HOSTILE:
        run, predictions, images = pictured(golden_run, HOSTILE, names=HOSTILE, n_images=60)
        run = dataclasses.replace(
            run,
            model=dataclasses.replace(run.model, card=None, path_name=name),
            dataset=dataclasses.replace(run.dataset, name=name, source=name),
            config=dataclasses.replace(run.config, command=name),
            warnings=(name,),
        )
        page = _page(run, predictions, images)
        parsed = ParsedPage(page)
        assert printable(name) in parsed.text
        assert [tag for tag, _ in parsed.elements].count("script") == 2
        assert "{{ 7 * 7 }}" in parsed.text
        page.encode()


def test_many_classes_become_a_list_of_confusions(golden_run):
    """A matrix of 10,000 cells tells nobody anything."""
    page = _page(*pictured(golden_run, [f"class {i}" for i in range(100)], n_images=400))
    assert 'class="confusion"' not in page
    assert "Largest confusions" in page
    assert 'class="pick" data-true=' in page


def test_a_run_without_a_map_says_so(golden_run):
    page = _page(*pictured(golden_run, CLASSES, with_map=False))
    assert "There is no map" in page


def test_a_pca_map_names_the_command_for_a_better_one(golden_run):
    run, predictions, images = pictured(golden_run, CLASSES)
    code_map = dataclasses.replace(images.document.code_map, method="PCA")
    page = _page(run, predictions, images.with_map(code_map))
    assert f"tlbench report {run.id} --format html" in page
    assert "principal components" in page


def test_images_of_another_run_are_not_shown(golden_run):
    run, predictions, _ = pictured(golden_run, CLASSES)
    _, _, others = pictured(golden_run, CLASSES, n_images=100)
    assert "Absent: no thumbnails" in _page(run, predictions, others)


def test_a_saved_run_is_drawn_from_its_folder(golden_run, tmp_path):
    run, predictions, images = pictured(golden_run, CLASSES)
    folder = save_run(run, predictions.arrays, tmp_path, images)
    page = RENDERERS.load("html")(run, location=str(folder))
    assert _data(page)["labels"] == predictions.labels.tolist()
    assert "Absent" not in page


def test_predictions_of_another_run_are_refused(golden_run, tmp_path):
    """A matrix that does not fit the accuracy beside it would be worse than none."""
    run, predictions, images = pictured(golden_run, CLASSES)
    wrong = dict.fromkeys(predictions.entries, predictions.labels)
    folder = save_run(run, {**predictions.arrays, **wrong}, tmp_path, images)
    with pytest.raises(ResultError, match="belong to different runs"):
        RENDERERS.load("html")(run, location=str(folder))


def test_labels_that_are_no_class_are_refused(golden_run):
    run, predictions, images = pictured(golden_run, CLASSES)
    run = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, classes=CLASSES[:3]))
    with pytest.raises(ResultError, match="labels from 0 to 9, but it has 3 classes"):
        _page(run, predictions, images)


@pytest.mark.parametrize("n_classes", [3, 40])
def test_a_perfect_head_has_no_confusion(golden_run, n_classes):
    run, predictions, images = pictured(golden_run, [f"class {i}" for i in range(n_classes)])
    entries = dict.fromkeys(predictions.entries, predictions.labels)
    page = _page(run, dataclasses.replace(predictions, entries=entries), images)
    assert ("No image is misclassified by backbone.softmax" in page) == (n_classes > 25)
    assert ('class="confusion"' in page) == (n_classes <= 25)
    assert "0 of n = 240 images are misclassified" in page
    assert page.count("<tbody>") == page.count("</tbody>")


def test_very_many_images_stay_within_their_bytes(golden_run):
    """Long names are cut at the front, where folders are the same."""
    names = [f"{'folder/' * 40}image-{i}.png" for i in range(50)]
    data = _data(_page(*pictured(golden_run, CLASSES, names=names, n_images=6000)))
    assert max(map(len, data["names"])) < 80
    assert all(name.startswith("…") for name in data["names"])
    assert data["names"][1].endswith("image-1.png")


@pytest.fixture(scope="module")
def comparison():
    """The golden run held against another of its kind, which was slower and less accurate."""
    run = decode_run((GOLDEN / "run-simple.json").read_bytes(), "run-simple")
    slower = tuple(
        dataclasses.replace(one, samples_s=tuple(1.5 * s for s in one.samples_s))
        for one in run.latency
    )
    worse = tuple(
        dataclasses.replace(
            one, n_correct=one.n_correct - 9, accuracy_fraction=(one.n_correct - 9) / one.n_test
        )
        for one in run.accuracy
    )
    other = dataclasses.replace(run, id="other", latency=slower, accuracy=worse)
    runs = [run, other]
    return compare_runs([ComparedRun(run=one) for one in runs], allow_unlike=True), runs


def test_every_table_of_a_comparison_is_in_its_page(comparison):
    """From the same rows as on the console; and each says what its figures rest on."""
    record, runs = comparison
    found = ParsedPage(comparison_page(record, runs)).tables
    tables = [part for part in comparison_parts(record) if isinstance(part, Table) and part.rows]
    assert len(tables) > 3
    for table in tables:
        rows = [list(map(printable, row)) for row in table.rows]
        assert [list(map(printable, table.columns)), *rows] in found, table.title
        assert table.note.startswith("n ") or not any(table.right), table.title


def test_a_comparison_has_its_figures(comparison):
    page = comparison_page(*comparison)
    for title in ("Accuracy against time", "Speed-up over A"):
        assert f"<h3>{title}</h3>" in page
    assert "times its speed" in page
    assert "<script" not in page


def test_the_front_holds_what_no_other_beats():
    """A point that is as good in one and worse in the other is not on it; equal points are."""
    points = [(1.0, 0.8), (2.0, 0.9), (2.0, 0.85), (3.0, 0.9), (0.5, 0.5), (1.0, 0.8)]
    assert pareto_front(points) == [True, True, False, False, True, True]


def test_a_run_of_one_kind_alone_has_no_front(comparison):
    record, runs = comparison
    runs = [dataclasses.replace(run, latency=()) for run in runs]
    assert "Accuracy against time" not in comparison_page(record, runs)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (999.5, "999.5"),
        (1000, "1,000"),
        (12_345, "12,345"),
        (-1_200_000, "-1,200,000"),
    ],
)
def test_a_number_on_an_axis_is_no_power_of_ten(value, text):
    assert number_text(value) == text
