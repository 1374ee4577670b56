"""Fit a head that has been scored already, to use it."""

import warnings
from collections.abc import Mapping
from typing import Any

from tlbench.arrays import FloatArray, LabelArray
from tlbench.evaluation.score import BLAS_THREADS, FittableHead

__all__ = ["fit_head"]


def fit_head(
    head: FittableHead,
    params: Mapping[str, Any],
    features: FloatArray,
    labels: LabelArray,
    *,
    seed: int,
) -> Any:  # noqa: ANN401 - a scikit-learn estimator
    """Return the estimator that `evaluate_head` scored on these features and labels.

    Its warnings stand in that result's notes and are not repeated.
    """
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    params, _ = head.adapt(params, labels)
    estimator = head.build(params, seed)
    with warnings.catch_warnings(), threadpool_limits(limits=BLAS_THREADS, user_api="blas"):
        warnings.simplefilter("ignore")
        estimator.fit(features, labels)
    return estimator
