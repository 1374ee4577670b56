"""Array types that pass between the packages, and the cosine similarity of rows."""

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

ImageArray: TypeAlias = NDArray[np.uint8]
"""One image (H, W, 3) or a batch (N, H, W, 3), RGB."""

FloatArray: TypeAlias = NDArray[np.float32]
LabelArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]


class Images(Protocol):
    """Random access to raw images; an ndarray of shape (n_images, H, W, 3) is one."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int, /) -> ImageArray:
        """Return one image (H, W, 3), RGB, or raise UnreadableImageError; sizes may differ."""


def cosine_similarity(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine of each row of *first* and the same row of *second*, float64 (n,)."""
    # Two rows of zeros have similarity 1.0, a row of zeros and any other row 0.0.
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    lengths = np.linalg.norm(one, axis=1), np.linalg.norm(two, axis=1)
    product = lengths[0] * lengths[1]
    cosines = (one * two).sum(axis=1) / np.where(product == 0, 1.0, product)
    both_zero = (lengths[0] == 0) & (lengths[1] == 0)
    return np.where(both_zero, 1.0, np.clip(cosines, -1.0, 1.0))
