"""Stratified cross-validation of a head on given features."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

from tlbench.arrays import FloatArray, LabelArray
from tlbench.errors import ConfigError
from tlbench.evaluation.fit import FittableHead, fit_and_predict
from tlbench.evaluation.score import check_features
from tlbench.results.accuracy import CrossValidation, Fold
from tlbench.results.common import Interval
from tlbench.stats import corrected_resampled_interval

__all__ = ["assign_folds", "check_folds", "cross_validate"]


def check_folds(n_folds: int, n_images: int) -> None:
    """Raise ConfigError if there are more folds than images."""
    if n_folds > n_images:
        msg = f"--folds {n_folds} is more than the {n_images} images there are. Use fewer."
        raise ConfigError(msg)


def assign_folds(labels: LabelArray, n_folds: int, seed: int) -> LabelArray:
    """Deal images out to folds, class by class.

    Parameters
    ----------
    labels : ndarray of shape (n_images,), int64
    n_folds : int
        Two or more, and no more than images.
    seed : int
        Decides which images of a class go together.

    Returns
    -------
    ndarray of shape (n_images,), int64
        Fold of each image, 0 to ``n_folds - 1``. The number of images differs by at most one
        between folds, and so does that of each class: 60,000 images make six folds of 10,000.

    Raises
    ------
    ConfigError
        If there are more folds than images.
    """
    check_folds(n_folds, len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), dtype=np.int64)
    # As cards are dealt, going on from class to class: no fold is served first in every class.
    folds[by_class] = np.arange(len(labels)) % n_folds
    return folds


def cross_validate(
    head: FittableHead,
    params: Mapping[str, Any],
    parts: Sequence[FloatArray],
    labels: LabelArray,
    *,
    n_folds: int,
    features: str,
    baseline: bool,
    seed: int,
    on_fold: Callable[[], None] = lambda: None,
) -> CrossValidation:
    """Fit a head on all folds but one, score it on that one, for each fold.

    Parameters
    ----------
    head : Head
        What to fit.
    params : mapping
        Every parameter of the head.
    parts : sequence of ndarray of shape (n_part, n_features), float32
        The features, part after part: those of train and test, without a copy of the whole.
    labels : ndarray of shape (n_images,), int64
        Labels of all parts, in the same order.
    n_folds, seed : int
        See `assign_folds`; the seed is also the head's.
    features, baseline : str, bool
        What the features are, for the record.
    on_fold : callable
        Called after each fold.

    Raises
    ------
    ConfigError, DataError
        As `assign_folds` and `tlbench.evaluation.evaluate_head`.
    """
    fold_of = assign_folds(labels, n_folds, seed)
    folds: list[Fold] = []
    notes: dict[str, None] = dict.fromkeys(_thin_classes(labels, n_folds))
    used: Mapping[str, Any] = params
    for number in range(n_folds):
        train, test = np.flatnonzero(fold_of != number), np.flatnonzero(fold_of == number)
        train_features, test_features = _take(parts, train), _take(parts, test)
        check_features(features, train_features, labels[train], test_features, labels[test])
        fitted = fit_and_predict(
            head, params, train_features, labels[train], test_features, seed=seed
        )
        folds.append(
            Fold(
                n_train=len(train),
                n_test=len(test),
                n_correct=int(np.count_nonzero(fitted.predictions == labels[test])),
                fit_s=fitted.fit_s,
            )
        )
        notes |= dict.fromkeys(fitted.notes)
        used = fitted.params
        on_fold()
    accuracies = [fold.n_correct / fold.n_test for fold in folds]
    test_to_train = mean(fold.n_test / fold.n_train for fold in folds)
    low, high = corrected_resampled_interval(accuracies, test_to_train)
    return CrossValidation(
        features=features,
        head=head.name,
        params=dict(used),
        seed=seed,
        folds=tuple(folds),
        mean_fraction=mean(accuracies),
        deviation_fraction=stdev(accuracies),
        interval=Interval(low=low, high=high, method="corrected resampled t"),
        baseline=baseline,
        notes=tuple(notes),
    )


def _take(parts: Sequence[FloatArray], rows: LabelArray) -> FloatArray:
    """Return increasing *rows* of the parts laid end to end."""
    taken, start = [], 0
    for part in parts:
        inside = rows[(rows >= start) & (rows < start + len(part))]
        taken.append(part[inside - start])
        start += len(part)
    return np.concatenate(taken)


def _thin_classes(labels: LabelArray, n_folds: int) -> list[str]:
    counts = np.unique(labels, return_counts=True)[1]
    n_thin = int(np.count_nonzero(counts < n_folds))
    if not n_thin:
        return []
    return [f"{n_thin} classes have fewer images than there are folds: not every fold has them."]
