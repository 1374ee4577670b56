"""What the tables of protocols say."""

import dataclasses

from tlbench.reports.console import render
from tlbench.reports.protocols import (
    cross_validation_table,
    inner_search_table,
    learning_curve_table,
)


def test_folds_are_shown_as_papers_print_them(golden_run):
    """Mean, deviation with n - 1, the interval of the mean, the number of folds."""
    (row,) = cross_validation_table(golden_run.cross_validation).rows
    assert row == ("backbone", "softmax", "86.00 ± 1.00 %", "[83.5, 88.5]", "3")


def test_protocols_are_on_the_console_after_the_accuracy(golden_run):
    text = render(golden_run)
    assert text.index("  Accuracy") < text.index("  Folds") < text.index("  Features")


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
        ("backbone", "softmax", "50 a class", "C=0.1", "250 ms"),
    )
    assert "  Searches" in render(golden_run)


def test_without_searches_there_is_no_table_of_them(golden_run):
    (one,) = golden_run.cross_validation
    plain = [dataclasses.replace(fold, search=None) for fold in one.folds]
    assert inner_search_table([dataclasses.replace(one, folds=tuple(plain))], []).rows == ()
