"""A small neural head: one hidden layer."""

import math

import numpy as np

from tlbench.core.arrays import LabelArray
from tlbench.heads.base import Classifier, Head, Params

_VALIDATION_FRACTION = 0.1
_LEAST = 2


def _mlp(params: Params, seed: int) -> Classifier:
    """Standardise, then one hidden layer of ReLU units, softmax, Adam.

    The published dense heads regularise with dropout, which scikit-learn does not have. Nearest to
    it are the L2 penalty ``alpha`` and ``early_stopping`` on a tenth of the training images, both
    on by default: accuracies can differ from those of a dropout head by more than noise.
    """
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    estimator: Classifier = make_pipeline(
        StandardScaler(),
        MLPClassifier(
            hidden_layer_sizes=(params["hidden"],),
            alpha=params["alpha"],
            learning_rate_init=params["learning_rate"],
            max_iter=params["max_iter"],
            early_stopping=params["early_stopping"],
            n_iter_no_change=params["patience"],
            validation_fraction=_VALIDATION_FRACTION,
            random_state=seed,
        ),
    )
    return estimator


def _adapt(params: Params, labels: LabelArray) -> tuple[Params, tuple[str, ...]]:
    """Turn early stopping off where scikit-learn cannot hold a tenth out, and say so.

    It needs two held-out images and, of two classes only, where it stratifies, two of each.
    """
    counts = np.unique(labels, return_counts=True)[1]
    too_few = math.ceil(_VALIDATION_FRACTION * len(labels)) < _LEAST
    too_thin = len(counts) == _LEAST and counts.min() < _LEAST
    if not params["early_stopping"] or not (too_few or too_thin):
        return params, ()
    note = (
        f"Trained without early stopping: {len(labels)} training images, {counts.min()} in the "
        "smallest class, are too few to hold a tenth out."
    )
    return {**params, "early_stopping": False}, (note,)


MLP = Head(
    name="mlp",
    summary="Standardised features, one hidden layer of 1024 units (no dropout in scikit-learn).",
    defaults={
        "hidden": 1024,
        "alpha": 1e-2,
        "learning_rate": 1e-3,
        "max_iter": 200,
        "early_stopping": True,
        "patience": 10,
    },
    build=_mlp,
    adapt=_adapt,
)
