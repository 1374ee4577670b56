"""The array types that packages exchange."""

from typing import Protocol, TypeAlias

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
