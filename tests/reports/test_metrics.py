"""What the tables of further figures say, and what they leave out."""

import dataclasses

import pytest

from tlbench.records import ClassScore, Metrics
from tlbench.reports.console import render
from tlbench.reports.metrics import grouped_table, metrics_table, search_table, worst_classes


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


def test_worst_classes_are_those_of_the_best_head(results):
    """Lowest first, five of them; a class without images is none of them."""
    line = worst_classes(results, ("ant", "bee", "cat", "dog", "eel", "fox", "gnu"))
    best = max(results, key=lambda result: result.accuracy_fraction)
    expected = "10.0 % of bee, 30.0 % of fox, 50.0 % of cat, 70.0 % of dog, 80.0 % of eel"
    assert line == f"{best.head} finds {expected}"


def test_few_classes_have_no_worst_five(results):
    """Five of five would be the whole table."""
    assert worst_classes(results, ("a", "b", "c", "d", "e")) is None


def test_the_console_shows_them_after_the_accuracy(golden_run):
    """The answer comes first, then what it rests on."""
    text = render(golden_run)
    places = [text.index(label) for label in ("  Accuracy", "  Metrics", "  Groups", "  Features")]
    assert places == sorted(places)


def test_a_search_shows_its_choice(golden_run):
    """0.1 of three values, 86 of 100 validation images, and its time; an edge is marked."""
    rows = (("backbone", "softmax", "C=0.1 of 3", "86.0 %", "4.20 s"),)
    assert search_table(golden_run.accuracy).rows == rows
    first = golden_run.accuracy[0]
    edge = dataclasses.replace(first, search=dataclasses.replace(first.search, at_edge=True))
    assert search_table([edge]).rows[0][2] == "C=0.1 of 3 (edge)"
