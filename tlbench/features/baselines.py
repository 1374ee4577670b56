"""What a feature baseline is, and its pass over a set of images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tlbench.core.arrays import FloatArray, ImageArray, Images, LabelArray
from tlbench.core.errors import DataError, UnreadableImageError
from tlbench.core.progress import Listener
from tlbench.core.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureBaseline:
    """An entry of the group ``tlbench.baselines``.

    Parameters
    ----------
    name : str
        Name on the command line.
    summary : str
        One line for ``tlbench list baselines``.
    requires : tuple of str
        Distributions that it needs beyond the base install.
    extract : callable
        From one image (H, W, 3), uint8, RGB, to its features (n_features,), float32. The number of
        features must not depend on the image. Raises MissingDependencyError if a distribution of
        *requires* is absent.
    shape : tuple of int or None
        (H, W, C), where the features are a map of which the row is a copy in this order; None for
        features without a place in the image.
    """

    name: str
    summary: str
    requires: tuple[str, ...] = ()
    extract: Callable[[ImageArray], FloatArray]
    shape: tuple[int, int, int] | None = None


BASELINES: Registry[FeatureBaseline] = Registry("baselines")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFeatures:
    """Features of the readable images of a set.

    Attributes
    ----------
    features : ndarray of shape (n_kept, n_features), float32
    index : ndarray of shape (n_kept,), int64
        Position of each row's image in the set, increasing.
    skipped : tuple of (int, str)
        Position of each unreadable image, and the reason.
    """

    features: FloatArray
    index: LabelArray
    skipped: tuple[tuple[int, str], ...]


def compute_baseline(
    baseline: FeatureBaseline, images: Images, *, strict: bool, listener: Listener
) -> BaselineFeatures:
    """Compute the features of all images.

    Parameters
    ----------
    baseline : FeatureBaseline
        What to compute.
    images : Images
        Raw images; sizes may differ.
    strict : bool
        Whether an unreadable image is an error; else it is left out and recorded.
    listener : Listener
        Told about the progress.

    Raises
    ------
    UnreadableImageError
        The first unreadable image, if *strict*.
    DataError
        If there is no readable image, or two images give different numbers of features.
    MissingDependencyError
        If the baseline needs a package that is not installed.
    """
    table = np.empty((0, 0), dtype=np.float32)
    kept: list[int] = []
    skipped: list[tuple[int, str]] = []
    listener.start(f"{baseline.name} features", total=len(images), unit="images")
    try:
        for position in range(len(images)):
            try:
                image = images[position]
            except UnreadableImageError as error:
                if strict:
                    raise
                skipped.append((position, str(error)))
            else:
                row = baseline.extract(image)
                if not kept:
                    table = np.empty((len(images), len(row)), dtype=np.float32)
                _check_length(baseline, row, position, table.shape[1])
                table[len(kept)] = row
                kept.append(position)
            listener.advance()
    finally:
        listener.finish()
    if not kept:
        msg = f"No {baseline.name} features: none of {len(images)} images can be read."
        raise DataError(msg + (f" The first says: {skipped[0][1]}" if skipped else " Add images."))
    return BaselineFeatures(
        features=table[: len(kept)],
        index=np.array(kept, dtype=np.int64),
        skipped=tuple(skipped),
    )


def _check_length(baseline: FeatureBaseline, row: FloatArray, position: int, expected: int) -> None:
    if row.shape != (expected,):
        msg = (
            f"Baseline {baseline.name!r} gave features of shape {row.shape} for image {position}, "
            f"({expected},) for the first. Fix the plugin: the length must not depend on the image."
        )
        raise DataError(msg)
