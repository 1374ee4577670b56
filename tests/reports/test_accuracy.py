"""What a report says about accuracy: the numbers of the record, and none that it does not have."""

import dataclasses

import pytest

from tlbench.records import ClassScore, Metrics
from tlbench.reports.accuracy import (
    accuracy_table,
    answer_lines,
    answer_table,
    baseline_table,
    grouped_table,
    lowest_recall,
    metrics_table,
    search_table,
)
from tlbench.reports.console import render, title_parts
from tlbench.reports.timing import extraction_table


def _column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def _all_tables(run):
    return (
        accuracy_table(run.accuracy),
        extraction_table(run.extraction),
    )


def test_tables_are_rectangular(golden_run):
    """Each row has a cell for each column, and each column a side."""
    for table in _all_tables(golden_run):
        assert table.rows
        assert len(table.right) == len(table.columns)
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_tables_of_nothing_have_no_rows():
    """What was not measured has no row of dashes."""
    for make in (accuracy_table, extraction_table):
        assert make(()).rows == ()


def test_accuracy_has_a_row_for_each_result(golden_run):
    """Baselines are in the same table as the backbone, in the order of the run."""
    table = accuracy_table(golden_run.accuracy)
    assert _column(table, "features") == ["backbone", "backbone", "pixels", "pixels"]
    assert _column(table, "head") == ["softmax", "svm-linear", "softmax", "svm-linear"]


def test_accuracy_is_in_percent_with_its_interval(golden_run):
    """885 of 1,017 images are 87.0 %, with Wilson's interval beside it."""
    table = accuracy_table(golden_run.accuracy)
    assert _column(table, "accuracy")[0] == "87.0 %"
    interval = golden_run.accuracy[0].interval
    low, high = f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}"
    assert _column(table, "95 % interval")[0] == f"[{low}, {high}]"


def test_accuracy_shows_the_times_of_the_heads(golden_run):
    """Fit and prediction are durations in fitting units."""
    table = accuracy_table(golden_run.accuracy)
    assert _column(table, "fit")[0] == "2.41 s"
    assert _column(table, "predict")[0] == "3.10 ms"


def test_extraction_has_a_row_for_each_split(golden_run):
    """Counts have their thousands separated."""
    table = extraction_table(golden_run.extraction)
    assert _column(table, "split") == ["train", "test"]
    assert _column(table, "images") == ["5,085", "1,017"]
    assert _column(table, "features") == ["1,280", "1,280"]


def test_features_from_the_store_are_marked(golden_run):
    """A time that was measured in an earlier run is not passed off as this one's."""
    train, test = extraction_table(golden_run.extraction).rows
    assert "store" not in " ".join(train)
    assert "store" in " ".join(test)


def test_title_says_what_was_measured(golden_run):
    """Backbone, weights, precision, provider, threads and data, with their numbers of images."""
    title = " ".join(title_parts(golden_run))
    for part in (
        "efficientnet-lite0",
        "imagenet weights",
        "fp32",
        "cpu",
        "2 threads",
        "cifar10",
        "5,085",
        "1,017",
    ):
        assert part in title


def test_title_tells_random_weights(golden_run):
    """The identity of the weights is never left out."""
    weights = dataclasses.replace(golden_run.model.card.weights, kind="random")
    card = dataclasses.replace(golden_run.model.card, weights=weights)
    model = dataclasses.replace(golden_run.model, card=card)
    title = " ".join(title_parts(dataclasses.replace(golden_run, model=model)))
    assert "random weights" in title
    assert "imagenet" not in title


def test_title_of_a_foreign_model_is_its_file(golden_run):
    """A file without a card is named as it is, and no weights are claimed."""
    model = dataclasses.replace(golden_run.model, card=None, path_name="mine.onnx")
    parts = title_parts(dataclasses.replace(golden_run, model=model))
    assert parts[0] == "mine.onnx"
    assert "weights" not in " ".join(parts)


def test_answer_compares_the_first_head_with_its_baseline(golden_run):
    """The answer is the first head on the backbone; the baseline beside it has the same head."""
    ours, pixels, time = answer_table(golden_run).rows
    assert ours[0] == "softmax on backbone"
    assert "87.0 %" in ours[1]
    assert ours[2] == "49.5 points above raw pixels"
    assert pixels[0] == "softmax on raw pixels"
    assert "37.6 %" in pixels[1]
    assert time == ("time per image", "12.2 ms", "VALID")


def test_a_backbone_that_is_worse_than_its_baseline_is_below_it(golden_run):
    """The figure has no sign to be misread."""
    ours, _, pixels, _ = golden_run.accuracy
    accuracy = (
        dataclasses.replace(pixels, baseline=False, features="backbone", to_backbone=None),
        dataclasses.replace(ours, baseline=True, features="hog", to_backbone=pixels.to_backbone),
    )
    ours, *_ = answer_table(dataclasses.replace(golden_run, accuracy=accuracy)).rows
    assert ours[2] == "49.5 points below HOG features"


def _answer(run, **changes):
    """Return the rows of the answer for the golden run with changes to its first baseline."""
    paired = dataclasses.replace(run.accuracy[2].to_backbone, **changes)
    pixels = dataclasses.replace(run.accuracy[2], to_backbone=paired)
    return answer_table(dataclasses.replace(run, accuracy=(run.accuracy[0], pixels))).rows


def test_the_test_images_choose_no_head(golden_run):
    """The first head on the backbone is the answer, also where another one is more accurate."""
    first, second, *baselines = golden_run.accuracy
    assert first.accuracy_fraction > second.accuracy_fraction
    turned = dataclasses.replace(golden_run, accuracy=(second, first, *baselines))
    ours, pixels, _ = answer_table(turned).rows
    assert ours[:2] == ("svm-linear on backbone", "85.6 % [83.4, 87.7]")
    assert ours[2] == "48.8 points above raw pixels"
    assert pixels[0] == "svm-linear on raw pixels"


@pytest.mark.parametrize(
    ("p_value", "remark"),
    [(0.05, "49.5 points above raw pixels"), (0.0501, "no clear difference from raw pixels")],
)
def test_the_answer_names_a_winner_where_the_paired_test_does(golden_run, p_value, remark):
    """McNemar's test at 5 % decides, and the intervals of the two accuracies do not."""
    (row, *_) = _answer(golden_run, p_value=p_value)
    assert row[2].startswith(remark)


def test_a_clear_difference_needs_no_separate_intervals(golden_run):
    """On the same images two accuracies can differ clearly although their intervals overlap."""
    ours, _, pixels, _ = golden_run.accuracy
    near = dataclasses.replace(
        pixels,
        accuracy_fraction=ours.accuracy_fraction - 0.01,
        interval=ours.interval,
        to_backbone=dataclasses.replace(pixels.to_backbone, p_value=0.002),
    )
    (row, *_) = answer_table(dataclasses.replace(golden_run, accuracy=(ours, near))).rows
    assert row[2] == "1.0 points above raw pixels"
    unclear = dataclasses.replace(
        near, to_backbone=dataclasses.replace(pixels.to_backbone, p_value=0.3)
    )
    (row, *_) = answer_table(dataclasses.replace(golden_run, accuracy=(ours, unclear))).rows
    assert row[2] == "no clear difference from raw pixels (+1.0 points)"


def test_what_was_not_tested_is_not_judged(golden_run):
    """A run without the paired difference gives the points, and no verdict."""
    ours, _, pixels, _ = golden_run.accuracy
    untested = dataclasses.replace(pixels, to_backbone=None)
    (row, *_) = answer_table(dataclasses.replace(golden_run, accuracy=(ours, untested))).rows
    assert row[2] == "+49.5 points from raw pixels, not tested on the same images"


def test_every_head_is_compared_with_its_baseline(golden_run):
    """Gain in points with its interval, images that only one of the two has right, and p."""
    found = baseline_table(golden_run.accuracy)
    assert found.columns == ("over", "head", "points", "95 % interval", "lost / gained", "p")
    assert [row[:3] for row in found.rows] == [
        ("pixels", "softmax", "+49.5"),
        ("pixels", "svm-linear", "+48.8"),
    ]
    interval = golden_run.accuracy[2].to_backbone.interval
    low, high = f"{100 * interval.low:+.1f}", f"{100 * interval.high:+.1f}"
    assert found.rows[0][3:] == (f"[{low}, {high}]", "40 / 543", "< 0.001")
    assert baseline_table(golden_run.accuracy[:2]).rows == ()


def test_the_report_says_how_the_answer_was_made(golden_run):
    """One head needs no choice; a run without a paired difference made no test."""
    chosen, tested = answer_lines(golden_run.accuracy)
    assert chosen == "softmax was named first: the test images did not choose it."
    assert "McNemar's exact test on the same images has p of at most 0.05" in tested
    assert answer_lines(golden_run.accuracy[::2]) == [tested]
    assert answer_lines(golden_run.accuracy[:2]) == [chosen]
    assert answer_lines(()) == []


def test_answer_of_a_latency_run_is_empty(golden_run):
    """Without accuracy there is no answer about accuracy."""
    assert answer_table(dataclasses.replace(golden_run, accuracy=())).rows == ()


@pytest.mark.parametrize("verdict", ["VALID", "INVALID"])
def test_answer_shows_the_verdict_of_the_single_latency(golden_run, verdict):
    """A time that is not valid is never shown without saying so."""
    latency = (dataclasses.replace(golden_run.latency[0], verdict=verdict),)
    rows = answer_table(dataclasses.replace(golden_run, latency=latency)).rows
    assert rows[-1] == ("time per image", "12.2 ms", verdict)


@pytest.fixture
def results(golden_run):
    """Two results on the backbone, the first with probabilities, of six classes."""
    scores = tuple(
        ClassScore(n_test=n_test, n_correct=n_correct, n_predicted=10)
        for n_test, n_correct in ((10, 9), (10, 1), (10, 5), (10, 7), (10, 8), (10, 3), (0, 0))
    )
    first, second, *_ = golden_run.accuracy
    metrics = (
        Metrics(
            macro_f1_fraction=0.861,
            top5_fraction=0.99,
            calibration_error_fraction=0.041,
            calibration_bins=15,
        ),
        Metrics(macro_f1_fraction=0.85),
    )
    return tuple(
        dataclasses.replace(result, metrics=one, per_class=scores)
        for result, one in zip((first, second), metrics, strict=True)
    )


def test_what_a_head_cannot_say_is_a_dash(results):
    """A head without probabilities has no calibration error; the figure of the other stays."""
    table = metrics_table(results)
    assert table.columns == ("features", "head", "macro F1", "top-5", "calibration error")
    assert table.rows[0][2:] == ("86.1 %", "99.0 %", "4.1 %")
    assert table.rows[1][2:] == ("85.0 %", "-", "-")


def test_a_figure_that_nobody_has_gets_no_column(results):
    """Two classes have no top-5: an empty column would only take place."""
    assert metrics_table(results[1:]).columns == ("features", "head", "macro F1")


def test_runs_of_earlier_schemas_have_no_such_table(golden_run):
    """They were measured without these figures."""
    old = [dataclasses.replace(one, metrics=None) for one in golden_run.accuracy]
    assert metrics_table(old).rows == ()


def test_groups_have_their_interval(golden_run):
    """The coarse accuracy is a figure like any other."""
    assert grouped_table(golden_run.accuracy).rows == (
        ("backbone", "softmax", "coarse", "2", "95.0 %", "[91.0, 97.3]"),
    )


def test_worst_classes_are_those_of_the_first_head(results):
    """Lowest first, five of them; a class without images is none of them."""
    first, second = results
    for ours in ((first, second), (second, first)):
        (line,) = lowest_recall(ours, ("ant", "bee", "cat", "dog", "eel", "fox", "gnu"))
        found = {"bee": "10.0", "fox": "30.0", "cat": "50.0", "dog": "70.0", "eel": "80.0"}
        expected = ", ".join(f"class {name}: {percent} %" for name, percent in found.items())
        assert line == f"{expected} ({ours[0].head})"


def test_few_classes_have_no_worst_five(results):
    """Five of five would be the whole table."""
    assert lowest_recall(results, ("a", "b", "c", "d", "e")) == []


def test_the_console_shows_them_after_the_accuracy(golden_run):
    """The answer comes first, then what it rests on."""
    text = render(golden_run)
    places = [text.index(label) for label in ("  Accuracy", "  Metrics", "  Accuracy by group")]
    assert places == sorted(places)


def test_a_search_shows_its_choice(golden_run):
    """0.1 of three values, 86 of 100 validation images, and its time; an edge is marked."""
    rows = (("backbone", "softmax", "C=0.1 of 3 values", "86.0 %", "4.20 s"),)
    assert search_table(golden_run.accuracy).rows == rows
    first = golden_run.accuracy[0]
    edge = dataclasses.replace(first, search=dataclasses.replace(first.search, at_edge=True))
    assert search_table([edge]).rows[0][2] == "C=0.1 of 3 values (at the edge)"
