"""A fitted head with probabilities, and its ONNX nodes.

Estimators are recognised by the fitted attributes that scikit-learn documents, so that a plugin's
estimator with the same attributes works too. That is safe because no file is written before its
predictions equal the estimator's own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError
from tlbench.fusion.nodes import Nodes, add_layers
from tlbench.heads import Dense, Layer

# Largest difference from scikit-learn's probabilities that a file may have.
PROBABILITY_TOLERANCE = 1e-5

_FOLDS = 5
_BINARY = 2
_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedHead:
    """A fitted scikit-learn estimator, with calibrated probabilities if it has none of its own."""

    name: str
    estimator: Any  # classifier or Pipeline; it alone decides the label
    calibrated: Any | None  # a fitted CalibratedClassifierCV if it has no predict_proba
    n_classes: int  # of the dataset; those without training images have probability 0

    @property
    def probabilities_are(self) -> str:
        """Where the probabilities come from, for people."""
        final = type(self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator)
        if self.calibrated is None:
            return f"predict_proba of {final.__name__}"
        return (
            "Platt scaling of decision_function for each class, normalised, on cross-validated "
            f"training images (CalibratedClassifierCV, sigmoid, {self.calibrated.cv.n_splits} "
            f"folds); {final.__name__} itself has no probabilities, and its label may not be the "
            "most probable class"
        )

    def predict(self, features: FloatArray) -> LabelArray:
        """Return scikit-learn's labels, int64 (n_images,)."""
        labels: LabelArray = np.asarray(self.estimator.predict(features), dtype=np.int64)
        return labels

    def probabilities(self, features: FloatArray) -> NDArray[np.float64]:
        """Return scikit-learn's probabilities, (n_images, n_classes), in the dataset's order."""
        source = self.estimator if self.calibrated is None else self.calibrated
        found = source.predict_proba(features)
        everything = np.zeros((len(features), self.n_classes))
        everything[:, np.asarray(source.classes_, dtype=np.int64)] = found
        return everything


def fit_classifier(
    name: str,
    build: Callable[[], Any],
    features: FloatArray,
    labels: LabelArray,
    *,
    n_classes: int,
    seed: int,
) -> FittedHead:
    """Fit a head, and calibrate it if it has no probabilities of its own.

    Platt (1999), on decision values of images that were not trained on, as scikit-learn recommends
    instead of ``SVC(probability=True)``. The final fit uses all images: its labels are the run's.
    Raise ConfigError if a calibration is needed and a class has a single training image.
    """
    estimator = build()
    if hasattr(estimator, "predict_proba"):
        estimator.fit(features, labels)
        return FittedHead(name=name, estimator=estimator, calibrated=None, n_classes=n_classes)
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    if smallest < _BINARY:
        msg = (
            f"Head {name!r} has no probabilities of its own, and a calibration needs two training "
            "images of each class; one class has a single image. Fuse softmax or mlp, or add "
            "images."
        )
        raise ConfigError(msg)
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(min(_FOLDS, smallest), shuffle=True, random_state=seed)
    calibrated = CalibratedClassifierCV(estimator, method="sigmoid", cv=folds, ensemble=False)
    calibrated.fit(features, labels)
    fitted = calibrated.calibrated_classifiers_[0].estimator
    return FittedHead(name=name, estimator=fitted, calibrated=calibrated, n_classes=n_classes)


def add_head(nodes: Nodes, head: FittedHead, features: str) -> tuple[str, str]:
    """Append a head behind a float32 tensor (N, n_features), or raise ConfigError.

    Return the names of the label, int64 (N,), and of the probabilities, float32 (N, n_classes).
    """
    *transformers, estimator = _steps(head.estimator)
    source = features
    for transformer in transformers:
        source = _transform(nodes, head.name, transformer, source)
    if nodes.arithmetic == "float64":
        source = nodes.cast(source, "float64")
    index, scores, probabilities = _classify(nodes, head.name, estimator, source)
    if head.calibrated is not None:
        probabilities = _calibrate(nodes, head.calibrated, scores)
    if probabilities is None:
        raise _unknown(head.name, f"predict_proba of {type(estimator).__name__}")
    present = np.asarray(estimator.classes_, dtype=np.int64)
    if not np.array_equal(present, np.arange(head.n_classes)):
        index = nodes.node("Gather", nodes.constant(present), index)
        columns = np.eye(head.n_classes)[present]
        probabilities = nodes.node("MatMul", probabilities, nodes.real(columns))
    if nodes.arithmetic == "float64":
        probabilities = nodes.cast(probabilities, "float32")
    return index, probabilities


def _steps(estimator: Any) -> Iterator[Any]:  # noqa: ANN401 - scikit-learn has no types
    if not hasattr(estimator, "steps"):
        yield estimator
        return
    for _, step in estimator.steps:
        if step not in {None, "passthrough"}:
            yield from _steps(step)


def _unknown(head: str, what: str) -> ConfigError:
    return ConfigError(
        f"Head {head!r} cannot be fused: {what} has no ONNX form here. Heads that can be fused: "
        "softmax, svm-linear, svm-linear-fast, mlp, centroid, trained networks, and plugins with "
        "linear classifiers behind StandardScaler or Normalizer."
    )


def _transform(nodes: Nodes, head: str, transformer: Any, source: str) -> str:  # noqa: ANN401
    """Append a transformer in float32, with scikit-learn's order of operations: the same bits."""
    if hasattr(transformer, "scale_") and hasattr(transformer, "mean_"):
        if transformer.mean_ is not None and transformer.with_mean:
            source = nodes.node("Sub", source, nodes.constant(transformer.mean_, "float32"))
        if transformer.scale_ is not None:
            source = nodes.node("Div", source, nodes.constant(transformer.scale_, "float32"))
        return source
    if getattr(transformer, "norm", None) == "l2":
        length = nodes.node("Sqrt", nodes.row_sum(nodes.node("Mul", source, source)))
        # scikit-learn leaves a row of (almost) zero length unchanged.
        smallest = nodes.constant(10 * np.finfo(np.float32).eps, "float32")
        is_zero = nodes.node("Less", length, smallest)
        divisor = nodes.node("Where", is_zero, nodes.constant(1, "float32"), length)
        return nodes.node("Div", source, divisor)
    raise _unknown(head, type(transformer).__name__)


# Position among the estimator's classes, decision scores, and the estimator's own probabilities.
_Outputs = tuple[str, str, str | None]


def _classify(nodes: Nodes, head: str, estimator: Any, source: str) -> _Outputs:  # noqa: ANN401
    if not hasattr(estimator, "classes_"):
        raise _unknown(head, type(estimator).__name__)
    if hasattr(estimator, "coefs_"):
        return _neural(nodes, head, estimator, source)
    if hasattr(estimator, "weights_") and hasattr(estimator, "layers"):
        if not all(_has_form(layer) for layer in estimator.layers):
            raise _unknown(head, f"a layer of {type(estimator).__name__}")
        layers = (*estimator.layers, Dense(len(estimator.classes_), "linear"))
        shape = getattr(estimator, "shape", None)
        scores = add_layers(nodes, source, shape, layers, iter(estimator.weights_))
        return _ranked(nodes, scores)
    if hasattr(estimator, "centroids_"):
        return _centroid(nodes, estimator, source)
    if hasattr(estimator, "coef_") and hasattr(estimator, "intercept_"):
        # Only LIBSVM's one-vs-one classifiers count support vectors.
        if hasattr(estimator, "n_support_") and len(estimator.classes_) > _BINARY:
            return _votes(nodes, estimator, source)
        return _linear(nodes, estimator, source)
    raise _unknown(head, type(estimator).__name__)


def _has_form(layer: object) -> bool:
    return isinstance(layer, Layer) and getattr(layer, "activation", None) != "softmax"


def _linear(nodes: Nodes, estimator: Any, source: str) -> _Outputs:  # noqa: ANN401
    """Append one weight vector per class, or a single one, positive for the second of two."""
    scores = nodes.linear(source, np.asarray(estimator.coef_).T, np.ravel(estimator.intercept_))
    return (_of_two if len(estimator.classes_) == _BINARY else _ranked)(nodes, scores)


def _ranked(nodes: Nodes, scores: str) -> _Outputs:
    return nodes.arg_max(scores), scores, nodes.node("Softmax", scores, axis=1)


def _of_two(nodes: Nodes, scores: str) -> _Outputs:
    """Append the second class where its score, the only one, is positive."""
    positive = nodes.node("Greater", scores, nodes.real(0.0))
    index = nodes.node("Squeeze", nodes.cast(positive, "int64"), nodes.constant([1], "int64"))
    return index, scores, nodes.complement(nodes.node("Sigmoid", scores))


def _votes(nodes: Nodes, estimator: Any, source: str) -> _Outputs:  # noqa: ANN401
    """Append LIBSVM's votes of each pair of classes, the first of equal ones winning, as the label.

    The scores are SVC's: votes, plus the summed values of a class's pairs, squeezed below 1/3.
    """
    pairs = list(combinations(range(len(estimator.classes_)), 2))
    signs = np.zeros((len(pairs), len(estimator.classes_)))
    for row, (one, two) in enumerate(pairs):
        signs[row, one], signs[row, two] = 1, -1
    weights: NDArray[np.float64] = np.asarray(estimator.coef_).T
    values = nodes.linear(source, weights, np.ravel(estimator.intercept_))
    for_first = nodes.cast(nodes.node("Greater", values, nodes.real(0.0)), nodes.arithmetic)
    # The bias is every pair's vote for its second class; a vote for the first takes it back.
    votes = nodes.linear(for_first, signs, (signs == -1).sum(axis=0))
    sums = nodes.node("MatMul", values, nodes.real(signs))
    size = nodes.node("Add", nodes.node("Abs", sums), nodes.real(1.0))
    squeezed = nodes.node("Div", sums, nodes.node("Mul", size, nodes.real(3.0)))
    return nodes.arg_max(votes), nodes.node("Add", votes, squeezed), None


def _neural(nodes: Nodes, head: str, estimator: Any, source: str) -> _Outputs:  # noqa: ANN401
    """Append the layers of an ``MLPClassifier``: softmax at the end, sigmoid for two classes."""
    last = estimator.out_activation_
    if estimator.activation not in _ACTIVATIONS or last not in {"softmax", "logistic"}:
        raise _unknown(head, f"{estimator.activation} with {last}")
    operator = _ACTIVATIONS[estimator.activation]
    layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    for weights, bias in layers[:-1]:
        source = nodes.linear(source, weights, bias)
        source = nodes.node(operator, source) if operator else source
    scores = nodes.linear(source, *layers[-1])
    return (_ranked if last == "softmax" else _of_two)(nodes, scores)


def _centroid(nodes: Nodes, estimator: Any, source: str) -> _Outputs:  # noqa: ANN401
    """Append the nearest mean as the label, discriminant scores for the probabilities.

    ``-|x - c|^2`` is linear in x except for a term that all classes share; the mean of the
    centroids is subtracted first, so that no large numbers cancel. The scores divide each feature
    by its standard deviation within classes: Hastie, Tibshirani, Friedman (2009), equation 18.2.
    """
    centroids = np.asarray(estimator.centroids_, dtype=np.float64)
    middle = centroids.mean(axis=0)
    moved = centroids - middle
    prior = np.log(np.asarray(estimator.class_prior_, dtype=np.float64))
    deviation = np.asarray(estimator.within_class_std_dev_, dtype=np.float64)
    deviation = np.where(deviation == 0, 1, deviation)
    source = nodes.node("Sub", source, nodes.real(middle))
    near = nodes.linear(source, 2 * moved.T, -np.square(moved).sum(axis=1))
    scaled = nodes.node("Div", source, nodes.real(deviation))
    scaled_centroids = moved / deviation
    offset = 2 * prior - np.square(scaled_centroids).sum(axis=1)
    scores = nodes.linear(scaled, 2 * scaled_centroids.T, offset)
    label = near if np.ptp(prior) == 0 else scores
    return nodes.arg_max(label), scores, nodes.node("Softmax", scores, axis=1)


def _calibrate(nodes: Nodes, calibrated: Any, scores: str) -> str:  # noqa: ANN401
    """Append Platt's sigmoid of each class's score, normalised over the classes."""
    calibrators = calibrated.calibrated_classifiers_[0].calibrators
    slopes = np.array([-one.a_ for one in calibrators])
    offsets = np.array([-one.b_ for one in calibrators])
    stretched = nodes.node("Mul", scores, nodes.real(slopes))
    single = nodes.node("Sigmoid", nodes.node("Add", stretched, nodes.real(offsets)))
    if len(calibrators) == 1:
        return nodes.complement(single)
    return nodes.node("Div", single, nodes.row_sum(single))
