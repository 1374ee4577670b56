"""What the training loop needs of a framework: Keras and PyTorch each give it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, LabelArray

Arrays = Sequence[NDArray[Any]]
Figures = NDArray[np.float64]  # loss and accuracy, (2,)
MOMENTUM = 0.9  # of SGD; Nesterov's


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Epochs with the same trained layers and the same optimizer."""

    epochs: int
    optimizer: str
    learning_rate: float
    decay: float = 0.0  # step i has learning_rate / (1 + decay * i), on top of the schedule
    trunk: bool = False  # whether the last block of a pretrained trunk is trained

    def rate(self, schedule: str, step: int, n_steps: int) -> float:
        """Return the learning rate of a step of the phase, which has *n_steps*."""
        rate = self.learning_rate / (1 + self.decay * step)
        return (
            rate if schedule == "constant" else rate * (1 + math.cos(math.pi * step / n_steps)) / 2
        )


class Learner(Protocol):
    """A network in its framework. Arrays go in and come out; all state is in them.

    Two learners with the same weights, optimizer state and random numbers take the same steps: on a
    CPU to the last bit.
    """

    @property
    def n_parameters(self) -> int:
        """Parameters of the network, the means and variances of normalisations included."""

    @property
    def trained_layers(self) -> tuple[str, ...]:
        """First and last layer of a pretrained trunk that training changes; else nothing."""

    @property
    def software(self) -> str:
        """Names and versions of what computes."""

    @property
    def device(self) -> str:
        """``cpu``, or the GPU by its name."""

    def device_peak_bytes(self) -> int | None:
        """Return the most memory used on the GPU; None on a CPU, or if it cannot be read."""

    def begin(self, phase: Phase) -> int:
        """Train what the phase trains, with a new optimizer; return the number of parameters."""

    def reseed(self, generator: np.random.Generator) -> None:
        """Draw the random numbers of the next epoch's dropout from *generator*."""

    def step(self, images: FloatArray, labels: LabelArray, rate: float) -> Figures:
        """Change the weights once, for prepared images (N, S, S, 3); figures of before."""

    def evaluate(self, images: FloatArray, labels: LabelArray) -> Figures:
        """Return loss and accuracy, and change nothing."""

    def weights(self) -> Arrays:
        """Return copies of all weights, in an order of the network's own."""

    def set_weights(self, arrays: Arrays) -> None:
        """Put the weights back."""

    def optimizer_state(self) -> Arrays:
        """Return copies of the state of the phase's optimizer."""

    def restore_optimizer(self, arrays: Arrays) -> None:
        """Put the state back that an optimizer of the same phase had."""
