"""The record of a training, epoch by epoch; it is part of the card of the trained network."""

from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEpoch:
    """One pass over the training images.

    Attributes
    ----------
    phase : which of the network's phases: 1, or 2 after the trunk of a fine-tuned network is thawed
    loss, accuracy_fraction : means over the epoch's batches, each before its step, with dropout
    validation_loss, validation_accuracy_fraction : after the epoch, without dropout
    learning_rate : of the epoch's last step
    elapsed_s : the steps, with augmentation; without validation and checkpoint
    peak_rss_bytes : most memory that the process has used until then
    device_peak_bytes : the same on the GPU; None on a CPU
    """

    phase: int = 1
    loss: float
    accuracy_fraction: float
    validation_loss: float
    validation_accuracy_fraction: float
    learning_rate: float
    elapsed_s: float
    images_per_s: float
    peak_rss_bytes: int
    device_peak_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """How a network was trained: it is part of the card of the file that came of it.

    Attributes
    ----------
    settings : everything that was chosen, the network's own defaults included
    validation : the images behind the validation figures: those of the test split, which chose
        nothing, or a tenth of the training images, held out for early stopping
    n_parameters, n_trained_parameters : of the whole network, and those that the last phase changed
    trained_layers : the first and the last layer of the trunk that the last phase changed
    software, device : what computed it
    n_resumed : how many times the training went on from a checkpoint
    stopped_early : whether early stopping ended it; the weights are then of the best epoch
    """

    settings: dict[str, Any]
    seed: int
    n_train: int
    n_classes: int
    validation: Literal["test", "held out"]
    n_parameters: int
    n_trained_parameters: int
    trained_layers: tuple[str, ...] = ()
    software: str
    device: str
    n_resumed: int = 0
    stopped_early: bool = False
    epochs: tuple[TrainedEpoch, ...]

    @property
    def elapsed_s(self) -> float:
        """Seconds of all epochs."""
        return sum(epoch.elapsed_s for epoch in self.epochs)

    @property
    def seconds_per_epoch(self) -> float:
        """Median seconds of an epoch of the last phase, whose first epoch compiles the network."""
        return median(one.elapsed_s for one in self.epochs if one.phase == self.epochs[-1].phase)

    def seconds_to(self, accuracy_fraction: float) -> float | None:
        """Return the seconds until the validation accuracy first reached a value, or None."""
        elapsed_s = 0.0
        for epoch in self.epochs:
            elapsed_s += epoch.elapsed_s
            # a mean of float32, which may lie a little below the fraction that it stands for
            if epoch.validation_accuracy_fraction >= accuracy_fraction - _ROUNDING:
                return elapsed_s
        return None
