"""Which rows of a split are used."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError, DataError


def limit_rows(labels: LabelArray, n_classes: int, limit: int, seed: int) -> LabelArray:
    """Choose *limit* rows with the class proportions of the whole.

    Parameters
    ----------
    labels : ndarray of shape (n_images,), int64
        Class of each row, 0 to ``n_classes - 1``.
    n_classes : int
        Number of classes, those without rows included.
    limit : int
        Number of rows to keep; all of them if there are no more.
    seed : int
        Decides which rows of a class are kept.

    Returns
    -------
    ndarray of shape (min(limit, n_images),), int64
        Row numbers, increasing. Each class has its proportional share, rounded up or down. For one
        seed, the rows of a smaller limit are among those of a larger one.

    Raises
    ------
    ConfigError
        If *limit* is below 1.
    """
    if limit < 1:
        msg = f"A limit on the number of images is 1 or more, not {limit}. Leave it out to use all."
        raise ConfigError(msg)
    if limit >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    shares = _shares(np.bincount(labels, minlength=n_classes), limit)
    # One shuffle for all limits: a larger share extends a smaller one.
    order = np.random.default_rng(seed).permutation(len(labels))
    kept = [
        order[labels[order] == label][:share] for label, share in enumerate(shares) if share > 0
    ]
    return np.sort(np.concatenate(kept)).astype(np.int64)


def _shares(counts: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Share *limit* seats among classes so that no share ever shrinks when *limit* grows.

    Seat by seat, to the class whose next seat is due first among those still below their
    proportional share: after every seat each class is within one of its share. The quota method of
    Balinski and Young (1975), doi:10.1080/00029890.1975.11993911.
    """
    total = int(counts.sum())
    shares = np.zeros_like(counts)
    for seat in range(1, limit + 1):
        below = shares * total < seat * counts
        due = np.where(below, (shares + 1) / np.maximum(counts, 1), np.inf)
        shares[np.argmin(due)] += 1
    return shares


def check_training(labels: LabelArray, classes: Sequence[str]) -> tuple[str, ...]:
    """Check that there is something to learn.

    Parameters
    ----------
    labels : ndarray of shape (n_train,), int64
        Training labels after limits and skips.
    classes : sequence of str
        Name of each class.

    Returns
    -------
    tuple of str
        Classes without a training image: allowed, but no head can ever predict them.

    Raises
    ------
    DataError
        If fewer than two classes have training images.
    """
    present = set(np.unique(labels).tolist())
    if len(present) < 2:  # noqa: PLR2004 - a classifier tells at least two classes apart
        found = ", ".join(repr(classes[label]) for label in present) or "no class"
        msg = (
            f"A classifier needs training images of two classes or more; the {len(labels)} here "
            f"are of {found}. Add images of other classes, or use more of the training images."
        )
        raise DataError(msg)
    return tuple(name for label, name in enumerate(classes) if label not in present)
