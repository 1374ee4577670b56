"""Accuracy against the number of training images of each class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError
from tlbench.heads.base import Head, SearchSpace
from tlbench.heads.folds import FoldFit, fit_fold, notes_of, without_searched
from tlbench.records import LearningCurve, LearningPoint

# Share of images that two draws have in common above which their deviation is doubtful: it is then
# smaller than that of separate training sets by about the square root of 1 - share, 0.7.
_LARGE_OVERLAP = 0.5


def check_sizes(sizes: Sequence[int], labels: LabelArray, classes: Sequence[str]) -> None:
    """Raise ConfigError unless every class with training images has the largest of *sizes*."""
    counts = np.bincount(labels, minlength=len(classes))
    smallest = int(np.where(counts > 0, counts, len(labels) + 1).argmin())
    if max(sizes, default=0) > counts[smallest]:
        msg = (
            f"The learning curve asks for {max(sizes)} training images of each class, but class "
            f"{classes[smallest]!r} has {counts[smallest]}. Ask for {counts[smallest]} or fewer."
        )
        raise ConfigError(msg)


def balanced_rows(labels: LabelArray, images_per_class: int, seed: int) -> LabelArray:
    """Return rows with *images_per_class* of each class that has images, increasing, (n_rows,).

    For one seed, the rows of a smaller number are among those of a larger one.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    drawn = [order[labels[order] == label][:images_per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def learning_curve(
    head: Head,
    params: Mapping[str, Any],
    train: tuple[FloatArray, LabelArray],
    test: tuple[FloatArray, LabelArray],
    *,
    sizes: Sequence[int],
    n_seeds: int,
    features: str,
    baseline: bool,
    seed: int,
    space: SearchSpace | None = None,
    on_fit: Callable[[], None] = lambda: None,
) -> LearningCurve:
    """Fit a head on a few images of each class, and score it on the whole test split.

    *on_fit* is called after each value of a search and each point. Where a search can hold no image
    out, the point keeps the value in *params*, and a note says so.
    """
    points: list[LearningPoint] = []
    fits: list[FoldFit] = []
    for draw in range(seed, seed + n_seeds):
        for size in sorted(sizes):
            rows = balanced_rows(train[1], size, draw)
            fit = fit_fold(
                head,
                params,
                (train[0][rows], train[1][rows]),
                test,
                title=f"{size} {'image' if size == 1 else 'images'} per class, seed {draw}",
                features=features,
                space=space,
                seed=draw,
                on_value=on_fit,
            )
            point = LearningPoint(
                images_per_class=size,
                seed=draw,
                n_train=len(rows),
                n_test=len(test[1]),
                n_correct=fit.n_correct,
                search=fit.search,
            )
            points.append(point)
            fits.append(fit)
            on_fit()
    return LearningCurve(
        features=features,
        head=head.name,
        params=without_searched(params, space),
        points=tuple(points),
        baseline=baseline,
        notes=(*_overlapping_draws(train[1], sizes, n_seeds), *notes_of(fits)),
    )


def _overlapping_draws(labels: LabelArray, sizes: Sequence[int], n_seeds: int) -> list[str]:
    """Return a note on the sizes at which the draws share most of their images."""
    if n_seeds == 1:
        return []
    counts = np.unique(labels, return_counts=True)[1]
    # Of m images drawn from M, a share of m / M is expected in another draw as well.
    shares = {size: float(np.mean(size / counts)) for size in sorted(sizes)}
    large = {size: share for size, share in shares.items() if share > _LARGE_OVERLAP}
    if not large:
        return []
    listed = ", ".join(f"{100 * share:.0f} % at {size}" for size, share in large.items())
    text = (
        f"Two draws share many of their images ({listed} per class): the deviation is smaller than "
        "between separate training sets."
    )
    return [text]
