"""How far the features of one model lie from those of another on the same images."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray
from tlbench.core.errors import DataError

# Rows looked at together: memory-mapped features are never copied whole.
_BLOCK_ROWS = 1024

_Doubles: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Distance:
    """Features against reference features.

    Attributes
    ----------
    relative_error : float
        Frobenius norm of the difference over that of the reference, all images together.
    smallest_cosine, median_cosine : float
        Over the images. An image whose features are all zero on one side only has cosine 0, on
        both sides 1.
    """

    relative_error: float
    smallest_cosine: float
    median_cosine: float


def feature_distance(reference: FloatArray, other: FloatArray) -> Distance:
    """Compare two feature matrices row by row.

    Parameters
    ----------
    reference, other : ndarray of shape (n_images, n_features), float32
        May be memory maps; sums are made in float64.

    Raises
    ------
    DataError
        If the shapes differ, there are no rows, or the reference is zero throughout.
    """
    check_comparable(reference, other)
    difference, norm, cosines = 0.0, 0.0, []
    for start in range(0, len(reference), _BLOCK_ROWS):
        one = reference[start : start + _BLOCK_ROWS].astype(np.float64)
        two = other[start : start + _BLOCK_ROWS].astype(np.float64)
        difference += float(np.square(two - one).sum())
        norm += float(np.square(one).sum())
        cosines.append(_cosines(one, two))
    if norm == 0:
        raise DataError("The reference features are zero for every image: nothing to compare with.")
    every = np.concatenate(cosines)
    return Distance(
        relative_error=float(np.sqrt(difference / norm)),
        smallest_cosine=float(every.min()),
        median_cosine=float(np.median(every)),
    )


def check_comparable(reference: FloatArray, other: FloatArray) -> None:
    """Raise DataError unless the two can be of the same images and the same layer."""
    if reference.shape != other.shape or reference.size == 0:
        msg = (
            f"Features of shape {other.shape} cannot be compared with {reference.shape}: need the "
            "same images and the same layer. Export both alike."
        )
        raise DataError(msg)


def _cosines(one: _Doubles, two: _Doubles) -> _Doubles:
    lengths = np.linalg.norm(one, axis=1), np.linalg.norm(two, axis=1)
    product = lengths[0] * lengths[1]
    both_zero = (lengths[0] == 0) & (lengths[1] == 0)
    cosines = (one * two).sum(axis=1) / np.where(product == 0, 1.0, product)
    # Rounding must not push a cosine past 1.
    return np.where(both_zero, 1.0, np.clip(cosines, -1.0, 1.0))
