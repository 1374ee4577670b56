"""How accurate a head is on given features."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import DataError
from tlbench.heads.fit import FittableHead, FittedHead, fit_and_predict, quiet_blas, warning_notes
from tlbench.heads.metrics import (
    CALIBRATION_BINS,
    calibration_error,
    class_scores,
    macro_f1,
    top_k_hits,
)
from tlbench.records import AccuracyResult, ClassScore, Epoch, GroupedScore, Interval, Metrics
from tlbench.stats import wilson_interval

# Rows looked at together when features are checked: a memory-mapped file is never copied whole.
_BLOCK_ROWS = 1024

_TOP = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """One head's result, and what it predicted.

    Attributes
    ----------
    result : AccuracyResult
    predictions : ndarray of shape (n_test,), int64
        Predicted label of each test row.
    """

    result: AccuracyResult
    predictions: LabelArray


def evaluate_head(  # noqa: PLR0917 - what is fitted, then the arrays in scikit-learn's order
    head: FittableHead,
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
        What to fit.
    params : mapping
        Every parameter of the head, from `tlbench.heads.resolve_params`.
    train_features, test_features : ndarray of shape (n_train | n_test, n_features), float32
        May be read-only memory maps.
    train_labels, test_labels : ndarray of shape (n_train | n_test,), int64
    features : str
        What the features are, for the record: ``"backbone"`` or a baseline's name.
    baseline : bool
        Whether they are those of a baseline, for the record.
    seed : int
        For heads that draw random numbers.
    n_classes : int or None
        Classes of the dataset, those without images included; None for as many as the labels say.
    groups : mapping or None
        For each grouping of the classes its name and the group of each class (n_classes,), int64.
    clock : callable
        Seconds since some fixed moment.

    Returns
    -------
    Evaluation
        The notes of its result hold whatever the head changed, and each warning of the solver.

    Raises
    ------
    DataError
        If the features are empty, not finite or all the same, do not fit together or their labels,
        or are of one class only.
    ConfigError
        If the head refuses its parameters on these data.

    Notes
    -----
    The interval is Wilson's, at 95 %: see `tlbench.stats.wilson_interval`. BLAS runs on one thread
    during fit and prediction, so that their times and results do not depend on the number of cores.
    The times are those of ``fit`` and ``predict``; the scores that top-5 and the calibration error
    need are asked for afterwards. An estimator that is trained in epochs keeps each in
    ``history_``, a mapping of `Epoch`'s fields.
    """
    check_features(features, train_features, train_labels, test_features, test_labels)
    fitted = fit_and_predict(
        head, params, train_features, train_labels, test_features, seed=seed, clock=clock
    )
    if n_classes is None:
        n_classes = 1 + int(max(train_labels.max(), test_labels.max()))
    per_class = class_scores(test_labels, fitted.predictions, n_classes)
    metrics, notes = _metrics(fitted, test_features, test_labels, per_class)
    n_correct, n_test = sum(one.n_correct for one in per_class), len(test_labels)
    result = AccuracyResult(
        features=features,
        head=head.name,
        params=fitted.params,
        n_train=len(train_labels),
        n_test=n_test,
        n_correct=n_correct,
        accuracy_fraction=n_correct / n_test,
        interval=_interval(n_correct, n_test),
        fit_s=fitted.fit_s,
        predict_s=fitted.predict_s,
        baseline=baseline,
        notes=(*fitted.notes, *(note for note in notes if note not in fitted.notes)),
        metrics=metrics,
        per_class=per_class,
        grouped=tuple(
            score_groups(name, group_of, test_labels, fitted.predictions)
            for name, group_of in (groups or {}).items()
        ),
        curve=tuple(Epoch(**epoch) for epoch in getattr(fitted.estimator, "history_", ())),
    )
    return Evaluation(result=result, predictions=fitted.predictions)


def score_groups(
    name: str, group_of: LabelArray, labels: LabelArray, predictions: LabelArray
) -> GroupedScore:
    """Score the group of the predicted class, for example coarse labels from fine predictions.

    Parameters
    ----------
    name : str
        Name of the grouping.
    group_of : ndarray of shape (n_classes,), int64
        Group of each class.
    labels, predictions : ndarray of shape (n_images,), int64
        True and predicted class.
    """
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


def _metrics(
    fitted: FittedHead,
    features: FloatArray,
    labels: LabelArray,
    per_class: tuple[ClassScore, ...],
) -> tuple[Metrics, tuple[str, ...]]:
    """Return the figures besides accuracy, and what was to be said about the head's scores."""
    estimator = fitted.estimator
    classes = getattr(estimator, "classes_", ())
    is_ranked = len(classes) > _TOP  # of five known classes every one is among the first five
    top5 = error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet_blas():
            probabilities = scores = None
            if hasattr(estimator, "predict_proba"):
                probabilities = scores = np.asarray(estimator.predict_proba(features))
            elif is_ranked and hasattr(estimator, "decision_function"):
                scores = np.asarray(estimator.decision_function(features))
    notes = warning_notes(caught)
    if scores is not None and not np.isfinite(scores).all():
        unusable = "The head's scores are not finite: neither top-5 nor calibration error."
        return Metrics(macro_f1_fraction=macro_f1(per_class)), (*notes, unusable)
    if scores is not None and is_ranked:
        hits = top_k_hits(scores, np.asarray(classes), labels, _TOP)
        top5 = float(np.mean(hits))
    if probabilities is not None:
        confidences = probabilities.max(axis=1)
        error = calibration_error(confidences, labels == fitted.predictions)
    return Metrics(
        macro_f1_fraction=macro_f1(per_class),
        top5_fraction=top5,
        calibration_error_fraction=error,
        calibration_bins=None if error is None else CALIBRATION_BINS,
    ), notes


def check_features(
    features: str,
    train_features: FloatArray,
    train_labels: LabelArray,
    test_features: FloatArray,
    test_labels: LabelArray,
) -> None:
    """Raise DataError unless something can be learnt from *train* and tried on *test*."""
    _check_split("train", features, train_features, train_labels)
    _check_split("test", features, test_features, test_labels)
    _check_pair(features, train_features, train_labels, test_features)


def _check_split(
    split: str, features: str, values: NDArray[np.floating[Any]], labels: LabelArray
) -> None:
    """Raise DataError unless *values* are finite features with a label each."""
    title = f"The {split} split's {features} features"
    if values.ndim != 2:  # noqa: PLR2004 - rows and columns
        msg = f"{title} have shape {values.shape}; need (n_images, n_features). Flatten each image."
        raise DataError(msg)
    if values.size == 0:
        msg = f"{title} are empty: shape {values.shape}. Add images, or choose another layer."
        raise DataError(msg)
    if labels.shape != (len(values),):
        msg = (
            f"{title} have {len(values)} rows, the labels have shape {labels.shape}: need one "
            "label a row. Extract the features again."
        )
        raise DataError(msg)
    for start in range(0, len(values), _BLOCK_ROWS):
        bad = np.flatnonzero(~np.isfinite(values[start : start + _BLOCK_ROWS]).all(axis=1))
        if len(bad):
            msg = (
                f"{title} hold NaN or infinity, first in row {start + int(bad[0])}. "
                "Check the model's precision and preprocessing with tlbench inspect."
            )
            raise DataError(msg)


def _check_pair(
    features: str,
    train: NDArray[np.floating[Any]],
    train_labels: LabelArray,
    test: NDArray[np.floating[Any]],
) -> None:
    """Raise DataError unless something can be learnt from *train* and tried on *test*."""
    if train.shape[1] != test.shape[1]:
        msg = (
            f"The {features} features have {train.shape[1]} values an image in train, "
            f"{test.shape[1]} in test. Extract both with the same model."
        )
        raise DataError(msg)
    present = np.unique(train_labels)
    if len(present) == 1:
        msg = (
            f"All {len(train_labels)} training images are of class {present[0]}; a classifier "
            "needs two classes or more. Add images of other classes, or use more of the data."
        )
        raise DataError(msg)
    blocks = range(0, len(train), _BLOCK_ROWS)
    if all((train[start : start + _BLOCK_ROWS] == train[0]).all() for start in blocks):
        msg = (
            f"All {len(train)} training images have the same {features} features: there is nothing "
            "to learn from. Check that the images differ and that the model has trained weights."
        )
        raise DataError(msg)
