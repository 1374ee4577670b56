"""Classifier heads: their parameters, fitting, scoring, search, folds and learning curves."""

from tlbench.heads.base import (
    HEADS,
    Classifier,
    Head,
    Params,
    ParamValue,
    SearchSpace,
    check_requirements,
    parse_params,
    resolve_head_params,
    resolve_params,
)
from tlbench.heads.curve import balanced_rows, check_sizes, learning_curve
from tlbench.heads.distance import Distance, check_comparable, feature_distance
from tlbench.heads.fit import BLAS_THREADS, fit_and_predict, fit_head
from tlbench.heads.folds import assign_folds, check_folds, cross_validate
from tlbench.heads.score import Evaluation, check_features, evaluate_head
from tlbench.heads.search import (
    VALIDATION_FRACTION,
    search_notes,
    search_parameter,
    validation_rows,
)
from tlbench.heads.splits import check_training, limit_rows
from tlbench.heads.training import (
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerWeights,
    MaxPool,
    Trained,
    TrainingSpec,
)

__all__ = [
    "BLAS_THREADS",
    "HEADS",
    "VALIDATION_FRACTION",
    "Classifier",
    "Conv",
    "Dense",
    "Distance",
    "Dropout",
    "Evaluation",
    "Flatten",
    "GlobalAveragePool",
    "Head",
    "Layer",
    "LayerWeights",
    "MaxPool",
    "ParamValue",
    "Params",
    "SearchSpace",
    "Trained",
    "TrainingSpec",
    "assign_folds",
    "balanced_rows",
    "check_comparable",
    "check_features",
    "check_folds",
    "check_requirements",
    "check_sizes",
    "check_training",
    "cross_validate",
    "evaluate_head",
    "feature_distance",
    "fit_and_predict",
    "fit_head",
    "learning_curve",
    "limit_rows",
    "parse_params",
    "resolve_head_params",
    "resolve_params",
    "search_notes",
    "search_parameter",
    "validation_rows",
]
