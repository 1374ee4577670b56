"""From a fitted scikit-learn estimator to nodes: what it learnt decides, not what it is called.

Estimators are told apart by the attributes that scikit-learn documents, so that a plugin's
estimator with the same attributes works too. That is safe because no file is written before it has
given the estimator's own answers.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError
from tlbench.fusion.fitted import FittedHead
from tlbench.fusion.networks import add_network
from tlbench.fusion.nodes import Nodes

_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": None}
_BINARY = 2


def add_head(nodes: Nodes, head: FittedHead, features: str) -> tuple[str, str]:
    """Append a head to *nodes*.

    Parameters
    ----------
    features : str
        Name of a float32 tensor (N, n_features).

    Returns
    -------
    label, probabilities : str
        Names of an int64 tensor (N,), and of a float32 tensor (N, n_classes).

    Raises
    ------
    ConfigError
        If the estimator is of no kind that is known here.
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
        columns = np.zeros((len(present), head.n_classes))
        columns[np.arange(len(present)), present] = 1
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
        f"Head {head!r} cannot be fused: {what} has no ONNX form here. Heads that have one: "
        "softmax, svm-linear, svm-linear-fast, mlp, centroid, trained networks, and plugins of "
        "linear classifiers behind StandardScaler or Normalizer."
    )


def _transform(nodes: Nodes, head: str, transformer: Any, source: str) -> str:  # noqa: ANN401
    """Append a transformer in float32, in scikit-learn's order of operations: the same bits."""
    if hasattr(transformer, "scale_") and hasattr(transformer, "mean_"):
        if transformer.mean_ is not None and transformer.with_mean:
            mean = nodes.constant(transformer.mean_.astype(np.float32))
            source = nodes.node("Sub", source, mean)
        if transformer.scale_ is not None:
            scale = nodes.constant(transformer.scale_.astype(np.float32))
            source = nodes.node("Div", source, scale)
        return source
    if getattr(transformer, "norm", None) == "l2":
        one, axes = np.ones((), np.float32), np.array([1], dtype=np.int64)
        squares = nodes.node("Mul", source, source)
        total = nodes.node("ReduceSum", squares, nodes.constant(axes), keepdims=1)
        length = nodes.node("Sqrt", total)
        # scikit-learn leaves a row of (almost) no length as it is.
        smallest = nodes.constant(10 * np.finfo(np.float32).eps * one)
        is_nothing = nodes.node("Less", length, smallest)
        divisor = nodes.node("Where", is_nothing, nodes.constant(one), length)
        return nodes.node("Div", source, divisor)
    raise _unknown(head, type(transformer).__name__)


_Answer = tuple[str, str, str | None]


def _classify(nodes: Nodes, head: str, estimator: Any, source: str) -> _Answer:  # noqa: ANN401
    """Return position among the estimator's classes, decision scores, and own probabilities."""
    if not hasattr(estimator, "classes_"):
        raise _unknown(head, type(estimator).__name__)
    if hasattr(estimator, "coefs_"):
        return _neural(nodes, head, estimator, source)
    if hasattr(estimator, "weights_") and hasattr(estimator, "layers"):
        scores = add_network(nodes, estimator, source)
        if scores is None:
            raise _unknown(head, f"a layer of {type(estimator).__name__}")
        return nodes.arg_max(scores), scores, nodes.node("Softmax", scores, axis=1)
    if hasattr(estimator, "centroids_"):
        return _centroid(nodes, estimator, source)
    if hasattr(estimator, "coef_") and hasattr(estimator, "intercept_"):
        # Only LIBSVM's classifiers, one class against one other, count support vectors.
        if hasattr(estimator, "n_support_") and len(estimator.classes_) > _BINARY:
            return _votes(nodes, estimator, source)
        return _linear(nodes, estimator, source)
    raise _unknown(head, type(estimator).__name__)


def _linear(nodes: Nodes, estimator: Any, source: str) -> _Answer:  # noqa: ANN401
    """One weight vector a class, or a single one that is positive for the second of two."""
    scores = nodes.linear(source, np.asarray(estimator.coef_).T, np.ravel(estimator.intercept_))
    if len(estimator.classes_) == _BINARY:
        index = _second_where_positive(nodes, scores)
        return index, scores, nodes.complement(nodes.node("Sigmoid", scores))
    return nodes.arg_max(scores), scores, nodes.node("Softmax", scores, axis=1)


def _second_where_positive(nodes: Nodes, scores: str) -> str:
    positive = nodes.node("Greater", scores, nodes.real(0.0))
    axes = nodes.constant(np.array([1], dtype=np.int64))
    return nodes.node("Squeeze", nodes.cast(positive, "int64"), axes)


def _votes(nodes: Nodes, estimator: Any, source: str) -> _Answer:  # noqa: ANN401
    """Each pair of classes votes; of classes with equal votes the first wins, as in LIBSVM.

    The scores are SVC's ``decision_function``: votes, plus the summed values of a class's pairs,
    squeezed into (-1/3, 1/3).
    """
    pairs = list(combinations(range(len(estimator.classes_)), 2))
    signs = np.zeros((len(pairs), len(estimator.classes_)))
    for row, (one, two) in enumerate(pairs):
        signs[row, one], signs[row, two] = 1, -1
    weights: NDArray[np.float64] = np.asarray(estimator.coef_).T
    values = nodes.linear(source, weights, np.ravel(estimator.intercept_))
    for_first = nodes.cast(nodes.node("Greater", values, nodes.real(0.0)), nodes.arithmetic)
    # A pair votes for its second class unless for its first: sum(-1 entries) votes to begin with.
    votes = nodes.linear(for_first, signs, (signs == -1).sum(axis=0))
    sums = nodes.node("MatMul", values, nodes.real(signs))
    size = nodes.node("Add", nodes.node("Abs", sums), nodes.real(1.0))
    squeezed = nodes.node("Div", sums, nodes.node("Mul", size, nodes.real(3.0)))
    return nodes.arg_max(votes), nodes.node("Add", votes, squeezed), None


def _neural(nodes: Nodes, head: str, estimator: Any, source: str) -> _Answer:  # noqa: ANN401
    """Layers of ``MLPClassifier``: softmax at the end, or a sigmoid for two classes."""
    if estimator.activation not in _ACTIVATIONS or estimator.out_activation_ not in {
        "softmax",
        "logistic",
    }:
        raise _unknown(head, f"{estimator.activation} with {estimator.out_activation_}")
    operator = _ACTIVATIONS[estimator.activation]
    layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    for weights, bias in layers[:-1]:
        source = nodes.linear(source, weights, bias)
        source = nodes.node(operator, source) if operator else source
    scores = nodes.linear(source, *layers[-1])
    if estimator.out_activation_ == "softmax":
        return nodes.arg_max(scores), scores, nodes.node("Softmax", scores, axis=1)
    index = _second_where_positive(nodes, scores)
    return index, scores, nodes.complement(nodes.node("Sigmoid", scores))


def _centroid(nodes: Nodes, estimator: Any, source: str) -> _Answer:  # noqa: ANN401
    """Nearest mean for the label; scikit-learn's discriminant scores for the probabilities.

    ``-|x - c|^2`` is linear in x but for a term that all classes share; x is taken from the mean of
    the centroids, so that no large numbers cancel. The scores divide each feature by its standard
    deviation within classes first: Hastie, Tibshirani, Friedman (2009), equation 18.2.
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
    spread = moved / deviation
    scores = nodes.linear(scaled, 2 * spread.T, 2 * prior - np.square(spread).sum(axis=1))
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
