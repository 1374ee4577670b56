"""What the tables of protocols say."""

import dataclasses

import pytest

from tlbench.reports.console import render
from tlbench.reports.protocols import (
    cross_validation_table,
    drift_letters,
    drift_table,
    drifted_accuracy_table,
    inner_search_table,
    learning_curve_table,
)


def test_folds_are_shown_as_papers_print_them(golden_run):
    """Mean, deviation with n - 1, the interval of the mean, the number of folds."""
    (row,) = cross_validation_table(golden_run.cross_validation).rows
    assert row == ("backbone", "softmax", "86.00 ± 1.00 %", "[83.5, 88.5]", "3")


def test_protocols_are_on_the_console_after_the_accuracy(golden_run):
    text = render(golden_run)
    assert text.index("  Accuracy") < text.index("  Cross-validation") < text.index("  Feature ex")


def test_a_curve_has_a_line_for_each_size(golden_run):
    """One draw has no deviation."""
    assert learning_curve_table(golden_run.learning_curves).rows == (
        ("backbone", "softmax", "5", "60.00 %", "1"),
        ("", "", "50", "85.00 %", "1"),
    )


def test_draws_are_averaged(golden_run):
    """120 and 100 of 200 images: 55 %, deviation 7.07 points."""
    (curve,) = golden_run.learning_curves
    first, _ = curve.points
    second = dataclasses.replace(first, seed=1, n_correct=100)
    table = learning_curve_table([dataclasses.replace(curve, points=(first, second))])
    assert table.rows == (("backbone", "softmax", "5", "55.00 ± 7.07 %", "2"),)


def test_searches_of_folds_and_points_are_summed_up(golden_run):
    """What the folds chose, from least to most, and how long all of them took."""
    table = inner_search_table(golden_run.cross_validation, golden_run.learning_curves)
    assert table.rows == (
        ("backbone", "softmax", "3 folds", "C=0.01 to 0.1", "4.50 s"),
        ("backbone", "softmax", "50 images/class", "C=0.1", "250 ms"),
    )
    assert "  Parameter searches within folds" in render(golden_run)


def test_without_searches_there_is_no_table_of_them(golden_run):
    (one,) = golden_run.cross_validation
    plain = [dataclasses.replace(fold, search=None) for fold in one.folds]
    assert inner_search_table([dataclasses.replace(one, folds=tuple(plain))], []).rows == ()


@pytest.fixture
def drifts(golden_run):
    """Two heads, two models against one reference."""
    (first,) = golden_run.drifts
    return [
        dataclasses.replace(first, head=head, label=label)
        for head in ("softmax", "knn")
        for label in ("x@precision=int8", "a/long/path/" * 9)
    ]


def test_the_reference_is_a(drifts):
    assert list(drift_letters(drifts).values()) == ["A", "B", "C"]
    assert next(iter(drift_letters(drifts))) == drifts[0].reference


def test_a_distance_is_shown_once_whatever_the_heads(drifts):
    assert [row[0] for row in drift_table(drifts).rows] == ["B / A", "C / A"]


def test_each_head_has_the_reference_first(drifts):
    rows = drifted_accuracy_table(drifts).rows
    assert [row[:2] for row in rows] == [
        (letter, head) for head in ("softmax", "knn") for letter in "ABC"
    ]
    assert rows[1][2:] == ("86.8 %", "-0.2", "[-1.2, +0.9]", "14 / 12", "0.845")


def test_a_run_without_drift_has_no_such_tables(golden_run):
    text = render(dataclasses.replace(golden_run, drifts=()))
    assert "drift" not in text


def test_long_names_are_not_cut(golden_run, drifts):
    """Paths wrap; figures stay whole within 80 columns."""
    text = render(dataclasses.replace(golden_run, drifts=tuple(drifts)), width=80)
    assert "…" not in text.partition("Models")[2].partition("Features")[0]
    assert text.replace("\n", "").replace(" ", "").count("a/long/path/") == 9
