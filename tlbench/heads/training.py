"""What a small network is, and the contract of the library that trains it.

A head says which layers it wants, a trainer returns their weights and the curve of the epochs. The
trainers come through entry points: no other code needs the library that they use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.registry import Registry

Activation: TypeAlias = Literal["linear", "relu", "softmax"]


@dataclass(frozen=True, slots=True)
class Dense:
    """A product with a matrix (n_in, units), a bias, an activation."""

    units: int
    activation: Activation = "relu"


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution over height and width in steps of one, a bias, an activation."""

    filters: int
    side: int  # of the square kernel, in cells of the map
    padding: Literal["valid", "same"] = "valid"
    activation: Activation = "relu"


@dataclass(frozen=True, slots=True)
class Dropout:
    """While training, each value is zero with this probability; the others grow accordingly."""

    fraction: float


@dataclass(frozen=True, slots=True)
class MaxPool:
    """The largest value of each square, side by side; an incomplete square is left out."""

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
        The last one is a Dense with softmax, of a unit for each class.
    optimizer : {"rmsprop", "adam"}
    learning_rate : float
    epochs : int
    batch_size : int
        Examples of a step; the last of an epoch may have fewer.
    keep_best : bool
        Whether the weights are those after the epoch of the lowest validation loss, not the last.
    rules : {"keras-3", "keras-2"}
        Where the two differ. RMSprop of Keras 2 divides by root + 1e-7, that of Keras 3 by the root
        of the mean square + 1e-7, so that it takes small steps where gradients are below 3e-4; and
        in Keras 2 a probability counts as 1e-7 to 1 - 1e-7, so that an example which is hopelessly
        wrong teaches nothing and its loss is 16.1.
    seed : int
        For initial weights, dropout and the order of the examples, which changes at each epoch.
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
    """What is left of a training.

    Attributes
    ----------
    weights : tuple of LayerWeights
        Of each Dense and Conv in the order of the layers, float32.
    history : tuple of mapping
        For each epoch ``loss`` and ``accuracy_fraction`` over its batches, each before its step and
        with dropout, and with validation examples ``validation_loss`` and
        ``validation_accuracy_fraction`` after the epoch.
    """

    weights: tuple[LayerWeights, ...]
    history: tuple[Mapping[str, float], ...]


class Trainer(Protocol):
    """An entry of the group ``tlbench.trainers``. Importing it must not import its library."""

    @property
    def name(self) -> str:
        """Name of the trainer."""

    def ready(self) -> None:
        """Import the library.

        Raises
        ------
        MissingDependencyError
            If it is not installed.
        """

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
            Rows of shape (n, product of ``spec.shape``), float32, and the number of each row's
            class from 0, int64. The rows may be a read-only memory map.

        Raises
        ------
        MissingDependencyError
            If the library is not installed.
        """


TRAINERS: Registry[Trainer] = Registry("trainers")
