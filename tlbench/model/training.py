"""The contract of a network that is trained on the user's images."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from tlbench.core.errors import ConfigError
from tlbench.core.registry import Registry, unknown_name
from tlbench.model.backbone import ExportOptions, Fit

if TYPE_CHECKING:
    from tlbench.core.arrays import Images, LabelArray
    from tlbench.core.progress import Listener
    from tlbench.model.card import ModelCard

Augmentation: TypeAlias = Literal["shift", "flip", "rotate"]
AUGMENTATIONS: tuple[Augmentation, ...] = ("shift", "flip", "rotate")
OPTIMIZERS = ("rmsprop", "sgd", "adam")
SCHEDULES = ("constant", "cosine")

# wrn-28-8 is the network wrn with the argument 28-8.
_SIZED = re.compile(r"(?P<name>[a-z]+)-(?P<argument>\d+-\d+)")


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
    factory_args, layer, preprocess, scale, mean, std, channels, fit, crop_fraction, resize, \
    antialias
        Of a network of PyTorch that is fine-tuned; as in `ExportOptions`.
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
    factory_args: Mapping[str, Any] | None = None
    layer: str | None = None
    preprocess: Path | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: Literal["rgb", "bgr"] | None = None
    fit: Fit | None = None
    crop_fraction: float = 1.0
    resize: Literal["bilinear", "bicubic", "nearest"] | None = None
    antialias: bool = False

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
        _ = self.export_options  # which checks the rest

    @property
    def export_options(self) -> ExportOptions:
        """The options of the export with which a pretrained network is made."""
        names = {field.name for field in fields(self)}
        shared = [field.name for field in fields(ExportOptions) if field.name in names]
        return ExportOptions(**{name: getattr(self, name) for name in shared})


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
