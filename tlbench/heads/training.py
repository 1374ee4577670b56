"""The layers of a small network, its forward pass, and the contract of the library that trains it.

A head says which layers it wants; a trainer returns their weights and the figures of each epoch.
Trainers come through entry points: no other code needs the library that they use.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.registry import Registry

Activation: TypeAlias = Literal["linear", "relu", "softmax"]

# Images that go through the layers together: a convolution needs side squared times its input.
_BLOCK_ROWS = 256


@dataclass(frozen=True, slots=True)
class Dense:
    """A product with a matrix (n_in, units), a bias, an activation."""

    units: int
    activation: Activation = "relu"


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution over height and width with stride 1, a bias, an activation."""

    filters: int
    side: int  # of the square kernel, in cells of the map
    padding: Literal["valid", "same"] = "valid"
    activation: Activation = "relu"

    @property
    def margins(self) -> tuple[int, int]:
        """Cells of padding before and after: an even kernel has the odd cell below and right."""
        return ((self.side - 1) // 2, self.side // 2) if self.padding == "same" else (0, 0)


@dataclass(frozen=True, slots=True)
class Dropout:
    """Zeroes each value with this probability, in training only, and scales up the others."""

    fraction: float


@dataclass(frozen=True, slots=True)
class MaxPool:
    """The maximum of each square, without overlap; incomplete squares are dropped."""

    side: int


@dataclass(frozen=True, slots=True)
class GlobalAveragePool:
    """The mean over height and width: a map (H, W, C) becomes a vector (C,)."""


@dataclass(frozen=True, slots=True)
class Flatten:
    """A map (H, W, C) becomes a vector, in this order."""


Layer: TypeAlias = Dense | Conv | Dropout | MaxPool | GlobalAveragePool | Flatten

LayerWeights: TypeAlias = tuple[FloatArray, FloatArray]
"""Kernel and bias: (n_in, units) of a Dense, (side, side, n_channels, filters) of a Conv."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """A network and how it is trained, with cross-entropy as the loss.

    Attributes
    ----------
    shape : tuple of int
        Shape of one example: (n_features,), or (H, W, C).
    layers : tuple of Layer
        The last one is a Dense with softmax and one unit per class.
    optimizer : {"rmsprop", "adam"}
    learning_rate : float
    epochs : int
    batch_size : int
        Examples per step; the last step of an epoch may have fewer.
    keep_best : bool
        Whether to keep the weights after the epoch with the lowest validation loss instead of the
        last ones.
    rules : {"keras-3", "keras-2"}
        RMSprop of Keras 2 divides by the root of the mean square, plus 1e-7, that of Keras 3 by the
        root of the mean square plus 1e-7, which shortens the steps where gradients are below 3e-4.
        Keras 2 also clips probabilities to 1e-7 and 1 - 1e-7, so that a hopelessly wrong example
        has no gradient and a loss of 16.1.
    seed : int
        For initial weights, dropout and the order of the examples, which changes in each epoch.
    """

    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    optimizer: Literal["rmsprop", "adam"]
    learning_rate: float
    epochs: int
    batch_size: int
    keep_best: bool
    rules: Literal["keras-3", "keras-2"] = "keras-3"
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """The result of a training."""

    weights: tuple[LayerWeights, ...]  # of each Dense and Conv in the order of the layers, float32
    # For each epoch ``loss`` and ``accuracy_fraction`` over its batches, each before its step and
    # with dropout; with validation examples, the same after the epoch as ``validation_...``.
    history: tuple[Mapping[str, float], ...]


class Trainer(Protocol):
    """An entry of the group ``tlbench.trainers``. Importing it must not import its library."""

    @property
    def name(self) -> str:
        """Name of the trainer."""

    def ready(self) -> None:
        """Import the library; raise MissingDependencyError if it is not installed."""

    def train(
        self,
        spec: TrainingSpec,
        examples: tuple[FloatArray, LabelArray],
        validation: tuple[FloatArray, LabelArray] | None,
    ) -> Trained:
        """Train a network; equal arguments give equal weights on one machine.

        Parameters
        ----------
        examples, validation : tuple of ndarray
            Rows of shape (n, product of ``spec.shape``), float32, and each row's class index, int64
            (n,). The rows may be a read-only memory map.

        Raises
        ------
        MissingDependencyError
            If the library is not installed.
        """


TRAINERS: Registry[Trainer] = Registry("trainers")


def forward(
    rows: FloatArray,
    shape: tuple[int, ...],
    layers: Sequence[Layer],
    weights: Sequence[LayerWeights],
) -> FloatArray:
    """Return the last layer's output for each example of this *shape*, by numpy alone, float32."""
    import numpy as np

    blocks = []
    for start in range(0, len(rows), _BLOCK_ROWS):
        values = np.asarray(rows[start : start + _BLOCK_ROWS], dtype=np.float32)
        blocks.append(_pass(values.reshape(-1, *shape), layers, iter(weights)))
    return np.concatenate(blocks)


def _pass(
    values: FloatArray, layers: Sequence[Layer], weights: Iterator[LayerWeights]
) -> FloatArray:
    import numpy as np

    for layer in layers:
        match layer:
            case Dense(activation=activation):
                kernel, bias = next(weights)
                values = _activate(values @ kernel + bias, activation)
            case Conv(activation=activation):
                values = _activate(_convolve(values, *next(weights), layer.margins), activation)
            case MaxPool(side):
                n, rows, columns, channels = values.shape
                rows, columns = rows // side, columns // side
                squares = values[:, : rows * side, : columns * side].reshape(
                    n, rows, side, columns, side, channels
                )
                values = squares.max(axis=(2, 4))
            case GlobalAveragePool():
                values = values.mean(axis=(1, 2), dtype=np.float32)
            case Flatten():
                values = values.reshape(len(values), -1)
            case Dropout():
                pass  # acts in training only
    return values


def _convolve(
    values: FloatArray, kernel: FloatArray, bias: FloatArray, margins: tuple[int, int]
) -> FloatArray:
    import numpy as np

    if any(margins):
        values = np.pad(values, ((0, 0), margins, margins, (0, 0)))
    # (n, H, W, C, side, side), a view
    windows = np.lib.stride_tricks.sliding_window_view(values, kernel.shape[:2], axis=(1, 2))
    found: FloatArray = np.tensordot(windows, kernel, axes=([4, 5, 3], [0, 1, 2])) + bias
    return found


def _activate(values: FloatArray, activation: Activation) -> FloatArray:
    import numpy as np

    if activation == "relu":
        return np.maximum(values, np.float32(0))
    if activation == "softmax":
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        shares: FloatArray = powers / powers.sum(axis=1, keepdims=True)
        return shares
    return values
