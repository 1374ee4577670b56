"""Heads that compare an image with stored ones: nearest neighbours and nearest class centre."""

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError
from tlbench.heads.base import Classifier, Head, Params


def _knn(params: Params, seed: int) -> Classifier:
    """Vote of the k images with the most similar features by cosine.

    Features are scaled to length 1: Euclidean neighbours of unit vectors are cosine neighbours, and
    scikit-learn has a fast exact search for the former.
    """
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    del seed
    estimator: Classifier = make_pipeline(
        Normalizer(),
        KNeighborsClassifier(n_neighbors=params["k"], weights=params["weights"], algorithm="brute"),
    )
    return estimator


def _check_k(params: Params, labels: LabelArray) -> tuple[Params, tuple[str, ...]]:
    """Refuse more neighbours than training images; scikit-learn would only see it at predict."""
    k = params["k"]
    if isinstance(k, int) and not 1 <= k <= len(labels):
        msg = (
            f"Head knn cannot vote with k={k} neighbours of {len(labels)} training images. "
            f"Pass --head-param knn.k=N with N from 1 to {len(labels)}, or add training images."
        )
        raise ConfigError(msg)
    return params, ()


def _centroid(params: Params, seed: int) -> Classifier:
    """Class whose mean feature vector, of vectors scaled to length 1, is nearest."""
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    del seed
    estimator: Classifier = make_pipeline(
        Normalizer(), NearestCentroid(shrink_threshold=params["shrink_threshold"])
    )
    return estimator


KNN = Head(
    name="knn",
    summary="Features of length 1, vote of the k nearest training images by cosine.",
    defaults={"k": 10, "weights": "uniform"},
    build=_knn,
    adapt=_check_k,
)

CENTROID = Head(
    name="centroid",
    summary="Features of length 1, nearest class mean: no parameter to tune.",
    defaults={"shrink_threshold": None},
    build=_centroid,
)
