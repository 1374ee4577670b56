"""What is measured of a head besides its accuracy on the test split."""

from tlbench.evaluation.protocols.curve import balanced_rows, check_sizes, learning_curve
from tlbench.evaluation.protocols.folds import assign_folds, check_folds, cross_validate

__all__ = [
    "assign_folds",
    "balanced_rows",
    "check_folds",
    "check_sizes",
    "cross_validate",
    "learning_curve",
]
