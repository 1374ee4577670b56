"""Accuracy against the number of training images of each class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError
from tlbench.heads.fit import FittableHead
from tlbench.heads.fold_fit import FoldFit, fit_part, notes_of, without_searched
from tlbench.heads.search import Range
from tlbench.records import LearningCurve, LearningPoint

# Share of images that two draws have in common from which on their deviation is doubtful: it is
# then smaller than that of separate training sets by about the root of 1 - share, 0.7.
_MUCH_IN_COMMON = 0.5


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
    space: Range | None = None,
    on_fit: Callable[[], None] = lambda: None,
) -> LearningCurve:
    """Fit a head on so many images of each class, score it on the whole test split.

    Parameters
    ----------
    head : Head
        What to fit.
    params : mapping
        Every parameter of the head, the same for all sizes but for the one that is searched.
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
    space : SearchSpace or None
        A parameter that each point chooses on a fifth of its own training images. A size of which
        none can be held out keeps the value in *params*, and a note says so.
    on_fit : callable
        Called after each value of a search and after each point.

    Returns
    -------
    LearningCurve
        Points by seed and, within a seed, by size. Its parameters are those given: a head that has
        to change them for few images says so in the notes.

    Raises
    ------
    ConfigError, DataError
        As `tlbench.heads.evaluate_head`.
    """
    points: list[LearningPoint] = []
    fits: list[FoldFit] = []
    for draw in range(seed, seed + n_seeds):
        for size in sorted(sizes):
            rows = balanced_rows(train[1], size, draw)
            part = fit_part(
                head,
                params,
                (train[0][rows], train[1][rows]),
                test,
                title=f"{size} {'image' if size == 1 else 'images'} a class, seed {draw}",
                features=features,
                space=space,
                seed=draw,
                on_value=on_fit,
            )
            points.append(
                LearningPoint(
                    images_per_class=size,
                    seed=draw,
                    n_train=len(rows),
                    n_test=len(test[1]),
                    n_correct=part.n_correct,
                    search=part.search,
                )
            )
            fits.append(part)
            on_fit()
    return LearningCurve(
        features=features,
        head=head.name,
        params=without_searched(params, space),
        points=tuple(points),
        baseline=baseline,
        notes=(*_alike_draws(train[1], sizes, n_seeds), *notes_of(fits)),
    )


def _alike_draws(labels: LabelArray, sizes: Sequence[int], n_seeds: int) -> list[str]:
    """Return a note on sizes that leave the draws little to differ in."""
    if n_seeds == 1:
        return []
    counts = np.unique(labels, return_counts=True)[1]
    # Of m drawn from M, m / M are expected in another draw as well.
    shares = {size: float(np.mean(size / counts)) for size in sorted(sizes)}
    much = {size: share for size, share in shares.items() if share > _MUCH_IN_COMMON}
    if not much:
        return []
    listed = ", ".join(f"{100 * share:.0f} % at {size}" for size, share in much.items())
    text = (
        f"Two draws have much of their images in common, {listed} a class: other training images "
        "would differ by more than the deviation says."
    )
    return [text]
