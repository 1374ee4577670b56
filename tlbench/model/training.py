"""The contract of a network that is trained on the user's images, and the record of a training."""

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from tlbench.core.errors import ConfigError
from tlbench.core.registry import Registry, unknown_name

if TYPE_CHECKING:
    from tlbench.core.arrays import Images, LabelArray
    from tlbench.core.progress import Listener
    from tlbench.model.card import ModelCard

Augmentation: TypeAlias = Literal["shift", "flip", "rotate"]
AUGMENTATIONS: tuple[Augmentation, ...] = ("shift", "flip", "rotate")
OPTIMIZERS = ("rmsprop", "sgd", "adam")
SCHEDULES = ("constant", "cosine")

_ROUNDING = 1e-6
# wrn-28-8 is the network wrn with the argument 28-8.
_SIZED = re.compile(r"(?P<name>[a-z]+)-(?P<argument>\d+-\d+)")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How a network is trained; None leaves the choice to the network, which has published values.

    Attributes
    ----------
    epochs : int or None
        Passes over the training images; of fine-tuning, those of its second phase.
    batch_size, learning_rate : int or None, float or None
        Images per step; the rate that the schedule starts from, in a network's last phase.
    optimizer : {"rmsprop", "sgd", "adam"} or None
    schedule : {"constant", "cosine"} or None
    augment : tuple of str or None
        Of `AUGMENTATIONS`; empty for none.
    input_size : int or None
        Height and width that images are resized to, pixels.
    weights : str
        Where fine-tuning begins: ``"imagenet"``, or the path of a weights file.
    mixed_precision : bool
        Whether products are computed in float16; weights stay float32.
    early_stopping : int or None
        Epochs without a lower validation loss after which to stop, on held-out training images.
    seed : int
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    optimizer: str | None = None
    schedule: str | None = None
    augment: tuple[str, ...] | None = None
    input_size: int | None = None
    weights: str = "imagenet"
    mixed_precision: bool = False
    early_stopping: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "input_size", "early_stopping"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}.")
        if self.learning_rate is not None and not 0 < self.learning_rate < float("inf"):
            msg = f"learning_rate must be a number greater than 0, got {self.learning_rate}."
            raise ConfigError(msg)
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise unknown_name(name, value, list(known))
        for one in self.augment or ():
            if one not in AUGMENTATIONS:
                raise unknown_name("augmentation", one, list(AUGMENTATIONS))
        if len(set(self.augment or ())) < len(self.augment or ()):
            raise ConfigError(f"augment names one twice: {','.join(self.augment or ())}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImages:
    """Images that can all be read, and the class of each, int64 (n,)."""

    images: "Images"
    labels: "LabelArray"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What a network is trained on, and where the training is kept until it is finished.

    Attributes
    ----------
    options : TrainingOptions
    train, test : LabelledImages
        The test images are classified after each epoch, and choose nothing.
    classes : tuple of str
    dataset, fingerprint : str
        The name of the dataset, for the card, and the SHA-256 of the training images.
    checkpoint : Path
        A file that is replaced after each epoch, whole or not at all.
    resume : bool
        Whether to go on from *checkpoint*, which must exist then.
    """

    options: TrainingOptions
    train: LabelledImages
    test: LabelledImages
    classes: tuple[str, ...]
    dataset: str
    fingerprint: str
    checkpoint: Path
    resume: bool = False


class TrainableNetwork(Protocol):
    """An entry of the group ``tlbench.networks``. Importing it must not import its framework."""

    @property
    def name(self) -> str:
        """Name on the command line, with its argument if it has one."""

    @property
    def summary(self) -> str:
        """One line: the architecture, and how it is trained."""

    @property
    def requires(self) -> tuple[str, ...]:
        """Distributions that a training needs beyond the base install."""

    def train(
        self, request: TrainingRequest, destination: Path, listener: "Listener"
    ) -> "ModelCard":
        """Train the network, write it as an ONNX file, and return the card.

        The file takes raw images and gives ``features`` and ``logits``, one for each class.

        Raises
        ------
        TrainingError
            If the loss is no longer a number, or the checkpoint cannot be continued.
        ConfigError, DataError, ExportError, MissingDependencyError
            Nothing is left at *destination* then.
        """


@runtime_checkable
class NetworkWithArgument(Protocol):
    """A network whose name carries an argument: ``wrn-28-8``, ``finetune:resnet50``."""

    def with_argument(self, argument: str) -> TrainableNetwork:
        """Return the network for this argument."""


NETWORKS: Registry[TrainableNetwork] = Registry("networks")


def find_network(name: str | TrainableNetwork) -> TrainableNetwork:
    """Return the network *name*, which may carry an argument."""
    if not isinstance(name, str):
        return name
    known = NETWORKS.names()
    sized = _SIZED.fullmatch(name)
    if name not in known and sized and sized["name"] in known:
        base, argument = sized["name"], sized["argument"]
    else:
        base, colon, argument = name.partition(":")
        if not colon:
            return NETWORKS.load(name)
    network = NETWORKS.load(base)
    if not isinstance(network, NetworkWithArgument):
        msg = f"Network {base} takes no argument, but got {argument!r}."
        raise ConfigError(msg)
    return network.with_argument(argument)
