"""What the tables of protocols say."""

from tlbench.reports.console import render
from tlbench.reports.protocols import cross_validation_table


def test_folds_are_shown_as_papers_print_them(golden_run):
    """Mean, deviation with n - 1, the interval of the mean, the number of folds."""
    (row,) = cross_validation_table(golden_run.cross_validation).rows
    assert row == ("backbone", "softmax", "86.00 ± 1.00 %", "[83.5, 88.5]", "3")


def test_protocols_are_on_the_console_after_the_accuracy(golden_run):
    text = render(golden_run)
    assert text.index("  Accuracy") < text.index("  Folds") < text.index("  Features")
