"""How far the features of one model are from those of another on the same images."""

from dataclasses import dataclass

import numpy as np

from tlbench.core.arrays import FloatArray, cosine_similarity
from tlbench.core.errors import DataError

# Rows compared together: memory-mapped features are never copied whole.
_BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Distance:
    """Distance of features from reference features; see `cosine_similarity` for rows of zeros."""

    relative_error: float  # Frobenius norm of the difference over that of the reference
    smallest_cosine: float  # over the images
    median_cosine: float


def feature_distance(reference: FloatArray, other: FloatArray) -> Distance:
    """Compare two matrices of features (n_images, n_features), maybe memory maps, in float64."""
    check_comparable(reference, other)
    difference, norm, cosines = 0.0, 0.0, []
    for start in range(0, len(reference), _BLOCK_ROWS):
        one = reference[start : start + _BLOCK_ROWS].astype(np.float64)
        two = other[start : start + _BLOCK_ROWS].astype(np.float64)
        difference += float(np.square(two - one).sum())
        norm += float(np.square(one).sum())
        cosines.append(cosine_similarity(one, two))
    if norm == 0:
        msg = "The reference features are zero for every image: there is nothing to compare with."
        raise DataError(msg)
    every = np.concatenate(cosines)
    return Distance(
        relative_error=float(np.sqrt(difference / norm)),
        smallest_cosine=float(every.min()),
        median_cosine=float(np.median(every)),
    )


def check_comparable(reference: FloatArray, other: FloatArray) -> None:
    """Raise DataError unless both can be features of the same images from the same layer."""
    if reference.shape != other.shape or reference.size == 0:
        msg = (
            f"Features of shape {other.shape} cannot be compared with features of shape "
            f"{reference.shape}: both must be of the same images and the same layer. Export both "
            "models with the same options."
        )
        raise DataError(msg)
