"""Heads on scikit-learn estimators: linear, neural, nearest neighbours, nearest centroid."""

import math
from typing import Literal

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError
from tlbench.heads.base import Classifier, Head, Params, SearchSpace

# Inverse strength of softmax's L2 penalty, on standardised features. In cross-validation on the
# training images of small CIFAR copies with 1,280 features, 0.001 to 0.01 differ by less than a
# point for 10 and 20 classes; 100 classes of ten images each lose 12 points at 0.001, 2 at 0.005.
SOFTMAX_C = 0.005

# 45 penalties from 1e5 to 1e-6, four per decade, with C = 1 / penalty: the protocol of Kornblith,
# Shlens and Le (2019), *Do Better ImageNet Models Transfer Better?*, arXiv:1805.08974, here on the
# scale of scikit-learn's C on standardised features.
_SOFTMAX_SEARCH = tuple(10 ** (step / 4 - 5) for step in range(45))

# Two values per decade, around the best C on raw features and on features of unit length.
_SVM_SEARCH = tuple(10 ** (step / 2 - 6) for step in range(15))
_SVM_FAST_SEARCH = tuple(10 ** (step / 2 - 3) for step in range(11))


def _behind(scaler: Literal["StandardScaler", "Normalizer"], estimator: object) -> Classifier:
    from sklearn import pipeline, preprocessing

    built: Classifier = pipeline.make_pipeline(getattr(preprocessing, scaler)(), estimator)
    return built


def _softmax(params: Params, _seed: int) -> Classifier:
    """Return standardisation and multinomial logistic regression by L-BFGS, without randomness."""
    from sklearn.linear_model import LogisticRegression

    return _behind("StandardScaler", LogisticRegression(**params))


def _svm_linear(params: Params, _seed: int) -> Classifier:
    """Return LIBSVM's linear SVM on raw features, one per pair of classes."""
    from tlbench.heads.estimators.pairwise import PairwiseLinearSVC

    estimator: Classifier = PairwiseLinearSVC(C=params["C"], class_weight=params["class_weight"])
    return estimator


def _svm_linear_fast(params: Params, seed: int) -> Classifier:
    """Return unit-length scaling and LIBLINEAR: one-vs-rest SVMs with squared hinge loss.

    At unit length one C suits features of any scale. Time grows linearly with the number of images,
    that of ``svm-linear`` quadratically.
    """
    from sklearn.svm import LinearSVC

    # dual="auto" picks the primal solver: same accuracy, slower
    return _behind("Normalizer", LinearSVC(**params, dual=True, random_state=seed))


SOFTMAX = Head(
    name="softmax",
    summary="Standardised features, multinomial logistic regression (L-BFGS).",
    defaults={"C": SOFTMAX_C, "tol": 1e-4, "max_iter": 2000, "class_weight": None},
    build=_softmax,
    search=SearchSpace(parameter="C", values=_SOFTMAX_SEARCH, warm_argument="C"),
)

SVM_LINEAR = Head(
    name="svm-linear",
    summary="Raw features, linear SVM (LIBSVM), one-vs-one: the protocol of 2016.",
    # C of the published experiment (lazybones-2016).
    defaults={"C": 0.1, "class_weight": None},
    build=_svm_linear,
    search=SearchSpace(parameter="C", values=_SVM_SEARCH),
)

SVM_LINEAR_FAST = Head(
    name="svm-linear-fast",
    summary="Unit-length features, linear SVM (LIBLINEAR), one-vs-rest.",
    defaults={"C": 1.0, "tol": 1e-4, "max_iter": 5000, "class_weight": None},
    build=_svm_linear_fast,
    search=SearchSpace(parameter="C", values=_SVM_FAST_SEARCH),
)


_MLP_VALIDATION_FRACTION = 0.1
_LEAST = 2


def _mlp(params: Params, seed: int) -> Classifier:
    """Return standardisation and one hidden layer of ReLU units with softmax, trained by Adam.

    The published dense heads use dropout, which scikit-learn lacks. The L2 penalty ``alpha`` and
    ``early_stopping`` on a tenth of the training images, both on by default, come closest to it;
    accuracies can differ from those of a dropout head by more than noise.
    """
    from sklearn.neural_network import MLPClassifier

    estimator = MLPClassifier(
        hidden_layer_sizes=(params["hidden"],),
        alpha=params["alpha"],
        learning_rate_init=params["learning_rate"],
        max_iter=params["max_iter"],
        early_stopping=params["early_stopping"],
        n_iter_no_change=params["patience"],
        validation_fraction=_MLP_VALIDATION_FRACTION,
        random_state=seed,
    )
    return _behind("StandardScaler", estimator)


def _hold_out_or_not(params: Params, labels: LabelArray) -> tuple[Params, tuple[str, ...]]:
    """Turn early stopping off, with a note, if scikit-learn cannot hold a tenth out.

    It needs two held-out images and, since it stratifies two classes, two images of each then.
    """
    import numpy as np

    counts = np.unique(labels, return_counts=True)[1]
    too_few = math.ceil(_MLP_VALIDATION_FRACTION * len(labels)) < _LEAST
    too_thin = len(counts) == _LEAST and counts.min() < _LEAST
    if not params["early_stopping"] or not (too_few or too_thin):
        return params, ()
    note = (
        f"Trained without early stopping: {len(labels)} training images, {counts.min()} of them in "
        "the smallest class, are too few to hold a tenth out."
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
    adapt=_hold_out_or_not,
)


def _knn(params: Params, _seed: int) -> Classifier:
    """Return the vote of the k training images with the highest cosine similarity."""
    from sklearn.neighbors import KNeighborsClassifier

    k, weights = params["k"], params["weights"]
    neighbours = KNeighborsClassifier(n_neighbors=k, weights=weights, algorithm="brute")
    return _behind("Normalizer", neighbours)


def _check_k(params: Params, labels: LabelArray) -> tuple[Params, tuple[str, ...]]:
    """Refuse more neighbours than training images: scikit-learn would do so at predict only."""
    k = params["k"]
    if isinstance(k, int) and not 1 <= k <= len(labels):
        msg = (
            f"Head 'knn' cannot use k={k} neighbours of {len(labels)} training images. "
            f"Set knn.k in head_params to a value from 1 to {len(labels)}, or add training images."
        )
        raise ConfigError(msg)
    return params, ()


def _centroid(params: Params, _seed: int) -> Classifier:
    """Return the class whose mean of unit-length feature vectors is nearest."""
    from sklearn.neighbors import NearestCentroid

    return _behind("Normalizer", NearestCentroid(**params))


KNN = Head(
    name="knn",
    summary="Unit-length features, vote of the k nearest training images by cosine.",
    defaults={"k": 10, "weights": "uniform"},
    build=_knn,
    adapt=_check_k,
)

CENTROID = Head(
    name="centroid",
    summary="Unit-length features, nearest class mean: no parameter to tune.",
    defaults={"shrink_threshold": None},
    build=_centroid,
)
