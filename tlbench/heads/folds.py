"""Stratified cross-validation of a head on given features."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError
from tlbench.heads.fit import FittableHead
from tlbench.heads.fold_fit import FoldFit, fit_part, notes_of, without_searched
from tlbench.heads.search import Range
from tlbench.records import CrossValidation, Fold, Interval
from tlbench.stats import corrected_resampled_interval, wilson_interval


def check_folds(labels: LabelArray, n_folds: int, seed: int) -> None:
    """Raise ConfigError unless every fold leaves two classes to learn.

    Parameters
    ----------
    labels : ndarray of shape (n_images,), int64
        Labels of train and test together.
    n_folds, seed : int
        See `assign_folds`.
    """
    folds = assign_folds(labels, n_folds, seed)
    for number in range(n_folds):
        rest = np.unique(labels[folds != number])
        if len(rest) < 2:  # noqa: PLR2004 - a classifier tells two apart
            msg = (
                f"--folds {n_folds}: all images outside of fold {number + 1} are of class "
                f"{rest[0]}, for every other class has one image only. Add images, or leave "
                "--folds out."
            )
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
    if n_folds > len(labels):
        msg = f"--folds {n_folds} is more than the {len(labels)} images there are. Use fewer."
        raise ConfigError(msg)
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
    space: Range | None = None,
    on_fit: Callable[[], None] = lambda: None,
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
    space : SearchSpace or None
        A parameter that each fold chooses on a fifth of its training images, as
        `tlbench.heads.search_parameter` does: no image of the fold has a say in it.
    on_fit : callable
        Called after each value of a search and after each fold.

    Raises
    ------
    ConfigError, DataError
        As `assign_folds` and `tlbench.heads.evaluate_head`.
    """
    fold_of = assign_folds(labels, n_folds, seed)
    folds: list[Fold] = []
    fits: list[FoldFit] = []
    for number in range(n_folds):
        train, test = np.flatnonzero(fold_of != number), np.flatnonzero(fold_of == number)
        part = fit_part(
            head,
            params,
            (_take(parts, train), labels[train]),
            (_take(parts, test), labels[test]),
            title=f"fold {number + 1} of {n_folds}",
            features=features,
            space=space,
            seed=seed,
            on_value=on_fit,
        )
        folds.append(
            Fold(
                n_train=len(train),
                n_test=len(test),
                n_correct=part.n_correct,
                fit_s=part.fitted.fit_s,
                search=part.search,
            )
        )
        fits.append(part)
        on_fit()
    accuracies = [fold.n_correct / fold.n_test for fold in folds]
    test_to_train = mean(fold.n_test / fold.n_train for fold in folds)
    low, high = corrected_resampled_interval(accuracies, test_to_train)
    interval = Interval(low=low, high=high, method="corrected resampled t")
    n_correct = sum(fold.n_correct for fold in folds)
    return CrossValidation(
        features=features,
        head=head.name,
        params=without_searched(fits[-1].fitted.params, space),
        seed=seed,
        folds=tuple(folds),
        mean_fraction=mean(accuracies),
        deviation_fraction=stdev(accuracies),
        interval=interval,
        baseline=baseline,
        notes=(
            *_thin_classes(labels, n_folds),
            *_narrow(interval, n_correct, len(labels)),
            *notes_of(fits),
        ),
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
    notes = []
    if n_thin := int(np.count_nonzero(counts < n_folds)):
        notes.append(
            f"{n_thin} classes have fewer images than there are folds: not every fold has them."
        )
    if n_single := int(np.count_nonzero(counts == 1)):
        notes.append(
            f"{n_single} classes have one image only: no head can find it in the fold that tests "
            "it, for it was fitted without."
        )
    return notes


def _narrow(interval: Interval, n_correct: int, n_images: int) -> list[str]:
    """Return a note where the folds agree more closely than independent images could.

    For every image is tested once: were the heads of all folds the same, the mean would still be as
    uncertain as any accuracy on so many images.
    """
    low, high = wilson_interval(n_correct, n_images)
    if interval.high - interval.low >= high - low:
        return []
    text = (
        f"The interval of the mean is narrower than that of an accuracy on {n_images} images, "
        f"{100 * low:.1f} to {100 * high:.1f} %: the folds agree by chance, believe the wider one."
    )
    return [text]
