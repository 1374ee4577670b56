"""Figures of a set of predictions besides their accuracy. docs/accuracy.md defines them."""

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import BoolArray, LabelArray
from tlbench.records import ClassScore

CALIBRATION_BINS = 15  # of Guo et al. (2017)


def class_scores(
    labels: LabelArray, predictions: LabelArray, n_classes: int
) -> tuple[ClassScore, ...]:
    """Count images, hits and predictions of each class.

    Parameters
    ----------
    labels, predictions : ndarray of shape (n_images,), int64
        True and predicted class, 0 to ``n_classes - 1``.
    n_classes : int
        Classes without images are counted too.

    Returns
    -------
    tuple of ClassScore
        One for each class, in order.
    """
    counts = [
        np.bincount(found, minlength=n_classes).tolist()
        for found in (labels, labels[labels == predictions], predictions)
    ]
    return tuple(
        ClassScore(n_test=n_test, n_correct=n_correct, n_predicted=n_predicted)
        for n_test, n_correct, n_predicted in zip(*counts, strict=True)
    )


def macro_f1(scores: tuple[ClassScore, ...]) -> float:
    """Return the mean over classes of F1, the harmonic mean of precision and recall.

    F1 of a class is 2 hits / (images + predictions). Classes that have neither images nor
    predictions do not count; one that has only one of the two counts as 0.
    """
    present = [score for score in scores if score.n_test or score.n_predicted]
    return sum(2 * one.n_correct / (one.n_test + one.n_predicted) for one in present) / len(present)


def top_k_hits(
    scores: NDArray[np.floating], columns: LabelArray, labels: LabelArray, k: int
) -> BoolArray:
    """Return for each image whether its class is among the *k* with the highest scores.

    Parameters
    ----------
    scores : ndarray of shape (n_images, n_columns)
        The higher, the likelier.
    columns : ndarray of shape (n_columns,), int64
        Class of each column, increasing; an image of a class without a column is a miss.
    labels : ndarray of shape (n_images,), int64
        True classes.
    k : int

    Returns
    -------
    ndarray of shape (n_images,), bool

    Notes
    -----
    Of equal scores the lower class comes first, as it does in a prediction by ``argmax``.
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
    """Return the expected calibration error: by how much confidence differs from accuracy.

    Parameters
    ----------
    confidences : ndarray of shape (n_images,)
        Probability that the head gave to the class it predicted, in [0, 1].
    correct : ndarray of shape (n_images,), bool
        Whether that class was right.
    n_bins : int
        Bins of equal width over (0, 1], each without its lower end.

    Returns
    -------
    float
        Sum over bins of (share of images) |accuracy - mean confidence|, a fraction in [0, 1].

    Notes
    -----
    Guo, Pleiss, Sun and Weinberger (2017), *On Calibration of Modern Neural Networks*,
    arXiv:1706.04599. Of few images it is biased upwards: chance differences count as well.
    """
    edges = np.linspace(0, 1, n_bins + 1)
    # Edge i is the upper end of bin i - 1; a confidence of 0, which is in no bin, joins the first.
    bins = np.clip(np.digitize(confidences, edges, right=True) - 1, 0, n_bins - 1)
    gaps = np.bincount(bins, weights=correct - confidences.astype(np.float64), minlength=n_bins)
    return float(np.abs(gaps).sum() / len(correct))
