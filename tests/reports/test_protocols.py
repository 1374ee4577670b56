"""What the tables of protocols say."""

import dataclasses

from tlbench.reports.console import render
from tlbench.reports.protocols import cross_validation_table, learning_curve_table


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
