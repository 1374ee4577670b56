"""Accuracy against the number of training images of each class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tlbench.arrays import FloatArray, LabelArray
from tlbench.errors import ConfigError
from tlbench.evaluation.fit import FittableHead, fit_and_predict
from tlbench.evaluation.score import check_features
from tlbench.results.accuracy import LearningCurve, LearningPoint

__all__ = ["balanced_rows", "check_sizes", "learning_curve"]


def check_sizes(sizes: Sequence[int], labels: LabelArray, classes: Sequence[str]) -> None:
    """Raise ConfigError unless every class that has training images has enough of them.

    Parameters
    ----------
    sizes : sequence of int
        Images of each class.
    labels : ndarray of shape (n_train,), int64
        Training labels.
    classes : sequence of str
        Name of each class, for the message.
    """
    counts = np.bincount(labels, minlength=len(classes))
    smallest = int(np.where(counts > 0, counts, len(labels) + 1).argmin())
    if max(sizes, default=0) > counts[smallest]:
        msg = (
            f"--learning-curve asks for {max(sizes)} training images of each class, but class "
            f"{classes[smallest]!r} has {counts[smallest]}. Ask for {counts[smallest]} or fewer."
        )
        raise ConfigError(msg)


def balanced_rows(labels: LabelArray, images_per_class: int, seed: int) -> LabelArray:
    """Draw as many rows of each class.

    Parameters
    ----------
    labels : ndarray of shape (n_train,), int64
    images_per_class : int
        No more than the smallest class has; classes without images are left out.
    seed : int
        For one seed, the rows of a smaller number are among those of a larger one.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Row numbers, increasing.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    drawn = [order[labels[order] == label][:images_per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def learning_curve(
    head: FittableHead,
    params: Mapping[str, Any],
    train: tuple[FloatArray, LabelArray],
    test: tuple[FloatArray, LabelArray],
    *,
    sizes: Sequence[int],
    n_seeds: int,
    features: str,
    baseline: bool,
    seed: int,
    on_point: Callable[[], None] = lambda: None,
) -> LearningCurve:
    """Fit a head on so many images of each class, score it on the whole test split.

    Parameters
    ----------
    head : Head
        What to fit.
    params : mapping
        Every parameter of the head, the same for all sizes.
    train, test : tuple of ndarray
        Features (n_images, n_features), float32, and labels (n_images,), int64.
    sizes : sequence of int
        Images of each class; see `check_sizes`.
    n_seeds : int
        Random draws: seeds *seed*, *seed* + 1, ...
    features, baseline : str, bool
        What the features are, for the record.
    seed : int
        The first seed; it decides the rows, and it is the head's.
    on_point : callable
        Called after each fit.

    Returns
    -------
    LearningCurve
        Points by seed and, within a seed, by size. Its parameters are those given: a head that has
        to change them for few images says so in the notes.

    Raises
    ------
    ConfigError, DataError
        As `tlbench.evaluation.evaluate_head`.
    """
    points, notes = [], dict[str, None]()
    for draw in range(seed, seed + n_seeds):
        for size in sorted(sizes):
            rows = balanced_rows(train[1], size, draw)
            some, labels = train[0][rows], train[1][rows]
            check_features(features, some, labels, *test)
            fitted = fit_and_predict(head, params, some, labels, test[0], seed=draw)
            points.append(
                LearningPoint(
                    images_per_class=size,
                    seed=draw,
                    n_train=len(rows),
                    n_test=len(test[1]),
                    n_correct=int(np.count_nonzero(fitted.predictions == test[1])),
                )
            )
            notes |= dict.fromkeys(fitted.notes)
            on_point()
    return LearningCurve(
        features=features,
        head=head.name,
        params=dict(params),
        points=tuple(points),
        baseline=baseline,
        notes=tuple(notes),
    )
