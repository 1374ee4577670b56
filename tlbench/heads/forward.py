"""What a trained small network answers, in numpy: using a head needs no training library."""

from collections.abc import Iterator

import numpy as np

from tlbench.core.arrays import FloatArray
from tlbench.heads.training import (
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerWeights,
    MaxPool,
)

# Rows that go through the layers together: convolutions need side squared times their input.
_BLOCK_ROWS = 256


def forward(
    rows: FloatArray,
    shape: tuple[int, ...],
    layers: tuple[Layer, ...],
    weights: tuple[LayerWeights, ...],
) -> FloatArray:
    """Return the last layer's output.

    Parameters
    ----------
    rows : ndarray of shape (n, product of *shape*), float32
    shape : tuple of int
        Shape of one example.
    layers, weights
        From a `tlbench.heads.training.Plan` and what a trainer returned for it.

    Returns
    -------
    ndarray of shape (n, n_classes), float32
    """
    blocks = []
    for start in range(0, len(rows), _BLOCK_ROWS):
        values = np.asarray(rows[start : start + _BLOCK_ROWS], dtype=np.float32)
        blocks.append(_pass(values.reshape(-1, *shape), layers, iter(weights)))
    return np.concatenate(blocks)


def _pass(
    values: FloatArray, layers: tuple[Layer, ...], weights: Iterator[LayerWeights]
) -> FloatArray:
    for layer in layers:
        match layer:
            case Dense(_, activation):
                kernel, bias = next(weights)
                values = _activate(values @ kernel + bias, activation)
            case Conv(_, _, padding, activation):
                values = _activate(_convolve(values, *next(weights), padding), activation)
            case MaxPool(side):
                values = _max_pool(values, side)
            case GlobalAveragePool():
                values = values.mean(axis=(1, 2), dtype=np.float32)
            case Flatten():
                values = values.reshape(len(values), -1)
            case Dropout():
                pass  # acts on training only
    return values


def _convolve(values: FloatArray, kernel: FloatArray, bias: FloatArray, padding: str) -> FloatArray:
    side = kernel.shape[0]
    if padding == "same":  # of an even kernel, the odd cell is below and to the right
        before = (side - 1) // 2
        pad = (before, side - 1 - before)
        values = np.pad(values, ((0, 0), pad, pad, (0, 0)))
    # (n, H, W, C, side, side), a view
    windows = np.lib.stride_tricks.sliding_window_view(values, (side, side), axis=(1, 2))
    found: FloatArray = np.tensordot(windows, kernel, axes=([4, 5, 3], [0, 1, 2])) + bias
    return found


def _max_pool(values: FloatArray, side: int) -> FloatArray:
    n, height, width, channels = values.shape
    rows, columns = height // side, width // side
    squares = values[:, : rows * side, : columns * side].reshape(
        n, rows, side, columns, side, channels
    )
    largest: FloatArray = squares.max(axis=(2, 4))
    return largest


def _activate(values: FloatArray, activation: str) -> FloatArray:
    if activation == "relu":
        return np.maximum(values, np.float32(0))
    if activation == "softmax":
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        shares: FloatArray = powers / powers.sum(axis=1, keepdims=True)
        return shares
    return values
