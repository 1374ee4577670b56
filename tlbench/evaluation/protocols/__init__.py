"""What is measured of a head besides its accuracy on the test split."""

from tlbench.evaluation.protocols.folds import assign_folds, check_folds, cross_validate

__all__ = ["assign_folds", "check_folds", "cross_validate"]
