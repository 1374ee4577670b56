"""Evaluation: which rows are used, and how accurate a head is on them."""

from tlbench.evaluation.drift import Distance, feature_distance
from tlbench.evaluation.fit import fit_head
from tlbench.evaluation.score import BLAS_THREADS, Evaluation, evaluate_head
from tlbench.evaluation.splits import check_training, limit_rows

__all__ = [
    "BLAS_THREADS",
    "Distance",
    "Evaluation",
    "check_training",
    "evaluate_head",
    "feature_distance",
    "fit_head",
    "limit_rows",
]
