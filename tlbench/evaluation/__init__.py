"""Evaluation: which rows are used, and how accurate a head is on them."""

from tlbench.evaluation.drift import Distance, feature_distance
from tlbench.evaluation.fit import BLAS_THREADS, fit_head
from tlbench.evaluation.score import Evaluation, check_features, evaluate_head
from tlbench.evaluation.search import VALIDATION_FRACTION, search_notes, search_parameter
from tlbench.evaluation.splits import check_training, limit_rows

__all__ = [
    "BLAS_THREADS",
    "VALIDATION_FRACTION",
    "Distance",
    "Evaluation",
    "check_features",
    "check_training",
    "evaluate_head",
    "feature_distance",
    "fit_head",
    "limit_rows",
    "search_notes",
    "search_parameter",
]
