"""The resizes in plain numpy, the reference that those of the graphs are verified against."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from exporters.common.preprocess import Resize, nearest_rows

_Array = NDArray[np.float32]
_Size = int | tuple[int, int]  # one edge, or height and width


def resize_as(images: _Array, size: tuple[int, int], resize: Resize) -> _Array:
    """Resize (N, C, H, W) to (height, width) as *resize* says, with half-pixel centres."""
    assert resize.coordinates == "half_pixel"
    if resize.mode == "nearest":
        return resize_nearest(images, size)
    resized = resize_bilinear if resize.mode == "linear" else resize_bicubic
    return resized(images, size, antialias=resize.antialias)


def resize_bilinear(images: _Array, size: _Size, *, antialias: bool = False) -> _Array:
    """Resize (N, C, H, W) to *size*: bilinear, half-pixel centres."""

    def kernel(s: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(1 - s, 0)

    return _resize(images, size, kernel, antialias=antialias)


def resize_bicubic(images: _Array, size: _Size, *, antialias: bool = False) -> _Array:
    """Resize (N, C, H, W) to *size*: Keys's cubic, a = -0.5, half-pixel centres.

    R. G. Keys (1981), doi:10.1109/TASSP.1981.1163711, equation 15.
    """

    def kernel(s: NDArray[np.float64]) -> NDArray[np.float64]:
        near, far = 1.5 * s**3 - 2.5 * s**2 + 1, -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2
        return np.where(s <= 1, near, np.where(s < 2, far, 0.0))  # noqa: PLR2004 - the kernel's reach

    return _resize(images, size, kernel, antialias=antialias)


def _resize(
    images: _Array,
    size: _Size,
    kernel: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    antialias: bool,
) -> _Array:
    """Make each new pixel a weighted mean of the old ones in reach, of which edges have fewer.

    With *antialias*, an axis that shrinks has a kernel that is wider by the same factor.
    """
    for axis, n_new in zip((2, 3), np.broadcast_to(size, 2), strict=True):
        n_old = images.shape[axis]
        width = max(n_old / n_new, 1) if antialias else 1
        position = (np.arange(n_new) + 0.5) * n_old / n_new - 0.5
        weights = kernel(np.abs(position[:, None] - np.arange(n_old)) / width)
        weights /= weights.sum(axis=1, keepdims=True)
        moved = np.moveaxis(images, axis, -1) @ weights.T.astype(np.float32)
        images = np.moveaxis(moved, -1, axis)
    return images


def resize_nearest(images: _Array, size: _Size) -> _Array:
    """Resize (N, C, H, W) to *size*: each new pixel is the nearest old one."""
    for axis, n_new in zip((2, 3), np.broadcast_to(size, 2), strict=True):
        images = images.take(nearest_rows(images.shape[axis], int(n_new)), axis)
    return images
