"""Score a head: accuracy with its interval, and the metrics that docs/accuracy.md defines."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import BoolArray, FloatArray, LabelArray
from tlbench.heads.base import Head
from tlbench.heads.fit import (
    FitResult,
    check_features,
    fit_and_predict,
    limited_blas,
    warning_notes,
)
from tlbench.records import AccuracyResult, ClassScore, Epoch, GroupedScore, Interval, Metrics
from tlbench.stats import wilson_interval

CALIBRATION_BINS = 15  # of Guo et al. (2017)
_TOP = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """One head's result, and its prediction for each test row, (n_test,) int64.

    *confidence* is float32 (n_test,) and its kind that of `tlbench.records.Confidence`; None where
    the head has no scores.
    """

    result: AccuracyResult
    predictions: LabelArray
    confidence: FloatArray | None = None
    confidence_kind: Literal["probability", "margin"] = "probability"


def evaluate_head(  # noqa: PLR0917 - what is fitted, then the arrays in scikit-learn's order
    head: Head,
    params: Mapping[str, Any],
    train_features: FloatArray,
    train_labels: LabelArray,
    test_features: FloatArray,
    test_labels: LabelArray,
    *,
    features: str,
    baseline: bool,
    seed: int,
    n_classes: int | None = None,
    groups: Mapping[str, LabelArray] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation:
    """Fit a head on training features and score it on test features.

    Parameters
    ----------
    head : Head
    params : mapping
        Every parameter of the head, from `tlbench.heads.resolve_params`.
    train_features, test_features : ndarray of shape (n_train | n_test, n_features), float32
        May be read-only memory maps.
    train_labels, test_labels : ndarray of shape (n_train | n_test,), int64
    features, baseline : str, bool
        For the record: ``"backbone"``, or the name of a feature baseline.
    seed : int
        For heads that draw random numbers.
    n_classes : int or None
        Classes of the dataset, those without images included; None to take it from the labels.
    groups : mapping or None
        For each grouping of the classes its name and the group of each class, (n_classes,) int64.
    clock : callable
        Seconds since some fixed moment.

    Raises
    ------
    DataError
        If the features are empty, not finite or all the same, do not match each other or their
        labels, or are of one class only.
    ConfigError
        If the head refuses its parameters on these data.

    Notes
    -----
    BLAS runs on one thread, so that times and results do not depend on the number of cores. Only
    ``fit`` and ``predict`` are timed. An estimator that is trained in epochs has them in
    ``history_``, mappings of the fields of `Epoch`.
    """
    check_features(features, train_features, train_labels, test_features, test_labels)
    fitted = fit_and_predict(
        head, params, train_features, train_labels, test_features, seed=seed, clock=clock
    )
    return score_fit(
        fitted,
        test_features,
        test_labels,
        features=features,
        head=head.name,
        baseline=baseline,
        n_train=len(train_labels),
        n_classes=n_classes or 1 + int(max(train_labels.max(), test_labels.max())),
        groups=groups,
    )


def score_fit(
    fitted: FitResult,
    test_features: FloatArray,
    test_labels: LabelArray,
    *,
    features: str,
    head: str,
    baseline: bool,
    n_train: int,
    n_classes: int,
    groups: Mapping[str, LabelArray] | None = None,
) -> Evaluation:
    """Score the predictions of a fitted estimator; the arguments are those of `evaluate_head`."""
    per_class = class_scores(test_labels, fitted.predictions, n_classes)
    scores, kind, score_notes = _scores(fitted.estimator, test_features)
    metrics = _metrics(fitted, scores, kind, test_labels)
    n_correct, n_test = sum(one.n_correct for one in per_class), len(test_labels)
    result = AccuracyResult(
        features=features,
        head=head,
        params=fitted.params,
        n_train=n_train,
        n_test=n_test,
        n_correct=n_correct,
        accuracy_fraction=n_correct / n_test,
        interval=_interval(n_correct, n_test),
        fit_s=fitted.fit_s,
        predict_s=fitted.predict_s,
        baseline=baseline,
        notes=(*fitted.notes, *(note for note in score_notes if note not in fitted.notes)),
        metrics=metrics,
        per_class=per_class,
        grouped=tuple(
            score_groups(name, group_of, test_labels, fitted.predictions)
            for name, group_of in (groups or {}).items()
        ),
        curve=tuple(Epoch(**epoch) for epoch in getattr(fitted.estimator, "history_", ())),
    )
    return Evaluation(
        result=result,
        predictions=fitted.predictions,
        confidence=_confidence(scores, kind, fitted),
        confidence_kind=kind,
    )


def score_groups(
    name: str, group_of: LabelArray, labels: LabelArray, predictions: LabelArray
) -> GroupedScore:
    """Score the group, *group_of* the class, int64 (n_classes,), of each predicted class."""
    n_correct = int(np.count_nonzero(group_of[labels] == group_of[predictions]))
    return GroupedScore(
        grouping=name,
        n_groups=1 + int(group_of.max()),
        n_correct=n_correct,
        accuracy_fraction=n_correct / len(labels),
        interval=_interval(n_correct, len(labels)),
    )


def _interval(n_correct: int, n_images: int) -> Interval:
    low, high = wilson_interval(n_correct, n_images)
    return Interval(low=low, high=high, method="wilson")


_Kind: TypeAlias = Literal["probability", "margin"]


def _scores(
    estimator: Any,  # noqa: ANN401 - a scikit-learn estimator
    features: FloatArray,
) -> tuple[NDArray[np.floating] | None, _Kind, tuple[str, ...]]:
    """Return a score of each class for each image, finite; what it is; and notes on it."""
    scores: NDArray[np.floating] | None = None
    kind: _Kind = "probability"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with limited_blas():
            if hasattr(estimator, "predict_proba"):
                scores = np.asarray(estimator.predict_proba(features))
            elif hasattr(estimator, "decision_function"):
                scores, kind = np.asarray(estimator.decision_function(features)), "margin"
    notes = warning_notes(caught)
    if scores is not None and not np.isfinite(scores).all():
        unusable = "The head's scores are not finite: no top-5 accuracy and no calibration error."
        return None, kind, (*notes, unusable)
    return scores, kind, notes


def _metrics(
    fitted: FitResult, scores: NDArray[np.floating] | None, kind: _Kind, labels: LabelArray
) -> Metrics:
    """Return the metrics besides accuracy."""
    from sklearn.metrics import f1_score

    # Over the classes that have images or predictions; one that has only either counts as 0.
    macro_f1 = float(f1_score(labels, fitted.predictions, average="macro"))
    classes = np.asarray(getattr(fitted.estimator, "classes_", ()))
    top5 = error = None
    # five known classes would all be among the top five
    if scores is not None and len(classes) > _TOP:
        top5 = float(np.mean(top_k_hits(scores, classes, labels, _TOP)))
    if scores is not None and kind == "probability":
        error = calibration_error(scores.max(axis=1), labels == fitted.predictions)
    return Metrics(
        macro_f1_fraction=macro_f1,
        top5_fraction=top5,
        calibration_error_fraction=error,
        calibration_bins=None if error is None else CALIBRATION_BINS,
    )


def _confidence(
    scores: NDArray[np.floating] | None, kind: _Kind, fitted: FitResult
) -> FloatArray | None:
    """Return how sure the head was of each prediction: `tlbench.records.Confidence`."""
    classes = np.asarray(getattr(fitted.estimator, "classes_", ()))
    if scores is None:
        return None
    if scores.ndim == 1:  # the decision function of two classes
        found: FloatArray = np.abs(scores).astype(np.float32)
        return found
    if scores.shape != (len(fitted.predictions), len(classes)) or len(classes) < 2:  # noqa: PLR2004
        return None  # of pairs of classes, or of an estimator that does not name its classes
    if kind == "margin":
        two_best = np.partition(scores, -2, axis=1)[:, -2:]
        best: FloatArray = (two_best[:, 1] - two_best[:, 0]).astype(np.float32)
        return best
    columns = np.searchsorted(classes, fitted.predictions)
    own: FloatArray = scores[np.arange(len(scores)), columns].astype(np.float32)
    return own


def class_scores(
    labels: LabelArray, predictions: LabelArray, n_classes: int
) -> tuple[ClassScore, ...]:
    """Count images, hits and predictions of each class, in order; classes may have no images."""
    counts = [
        np.bincount(found, minlength=n_classes).tolist()
        for found in (labels, labels[labels == predictions], predictions)
    ]
    return tuple(
        ClassScore(n_test=n_test, n_correct=n_correct, n_predicted=n_predicted)
        for n_test, n_correct, n_predicted in zip(*counts, strict=True)
    )


def top_k_hits(
    scores: NDArray[np.floating], columns: LabelArray, labels: LabelArray, k: int
) -> BoolArray:
    """Return for each image whether its class is among the *k* with the highest scores.

    *scores* are (n_images, n_columns), *columns* the class of each, increasing. Of equal scores the
    lower class ranks higher, as in ``argmax``; a class without a column is a miss.
    """
    place = np.minimum(np.searchsorted(columns, labels), len(columns) - 1)
    known = columns[place] == labels
    own = np.take_along_axis(scores, place[:, None], axis=1)
    before = np.arange(len(columns)) < place[:, None]
    rank = np.count_nonzero((scores > own) | ((scores == own) & before), axis=1)
    found: BoolArray = known & (rank < k)
    return found


def calibration_error(
    confidences: NDArray[np.floating], correct: BoolArray, n_bins: int = CALIBRATION_BINS
) -> float:
    """Return the expected calibration error, a fraction in [0, 1].

    The sum over bins of (share of images) |accuracy - mean confidence|, with bins of equal width
    over (0, 1], each without its lower end; on few images it is biased upwards. Guo, Pleiss, Sun
    and Weinberger (2017), *On Calibration of Modern Neural Networks*, arXiv:1706.04599.
    """
    edges = np.linspace(0, 1, n_bins + 1)
    # Edge i is the upper end of bin i - 1; a confidence of 0, which is in no bin, joins the first.
    bins = np.clip(np.digitize(confidences, edges, right=True) - 1, 0, n_bins - 1)
    gaps = np.bincount(bins, weights=correct - confidences.astype(np.float64), minlength=n_bins)
    return float(np.abs(gaps).sum() / len(correct))
