"""The networks that `tlbench train` knows, with their published settings, one entry point each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporters.keras.network import KerasNetwork
from exporters.torch.backbone import TorchBackbone
from tlbench.core.errors import ConfigError
from tlbench.model import TrainingOptions, find_backbone

if TYPE_CHECKING:  # `tlbench list networks` imports this module: nothing heavy here
    from exporters.train.architectures import Built
    from exporters.train.learner import Phase
    from tlbench.core.progress import Listener
    from tlbench.model import ModelCard, TrainingRequest

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a network is trained with, where the user leaves it open."""

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    schedule: str
    augment: tuple[str, ...]
    input_size: int | None  # None: the network states it once it is built
    fixed: tuple[tuple[str, Any], ...] = ()  # further settings, which have no option

    def settings(self, options: TrainingOptions) -> Settings:
        """Return all settings, with the user's in the place of these."""
        names = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule", "input_size")
        chosen = {name: getattr(options, name) for name in names}
        augment = self.augment if options.augment is None else options.augment
        return {
            **{n: getattr(self, n) if value is None else value for n, value in chosen.items()},
            "augment": ",".join(sorted(augment)) or "none",
            "mixed_precision": options.mixed_precision,
            "early_stopping": options.early_stopping,
            **dict(self.fixed),
        }


class _KerasNetwork:
    """What the networks of Keras have in common; each says how it is built and trained."""

    requires: tuple[str, ...] = ("tensorflow", "tf2onnx")

    def settings(self, options: TrainingOptions) -> Settings:
        """Return everything that decides how it is trained."""
        defaults: Defaults = self.defaults  # type: ignore[attr-defined]  # each network has them
        return defaults.settings(options)

    def train(
        self, request: "TrainingRequest", destination: Path, listener: "Listener"
    ) -> "ModelCard":
        """Train, export and verify; see `tlbench.model.TrainableNetwork`."""
        from exporters.train.keras_run import train_and_export

        return train_and_export(self, request, destination, listener)  # type: ignore[arg-type]

    @property
    def pretrained(self) -> KerasNetwork | None:
        """The network whose weights the training begins with."""
        return None


@dataclass(frozen=True)
class BasicCnn(_KerasNetwork):
    """The CNN of Keras's CIFAR-10 example, as the study of 2018 trained it."""

    name: str = "basic-cnn"
    summary: str = "four convolutions and a dense layer from scratch, RMSprop, 100 epochs"
    least_size = 10  # (n - 2) // 2 twice leaves one cell of ten
    defaults = Defaults(
        epochs=100,
        batch_size=32,
        optimizer="rmsprop",
        learning_rate=1e-4,
        schedule="constant",
        augment=("shift", "flip"),
        input_size=32,
        fixed=(("decay", 1e-6),),
    )

    def build(self, keras: Any, settings: Settings, n_classes: int, seed: int) -> "Built":  # noqa: ANN401
        """Return the network with its initial weights."""
        from exporters.train.architectures import basic_cnn

        return basic_cnn(keras, settings["input_size"], n_classes, seed)

    def phases(self, settings: Settings) -> Sequence["Phase"]:
        """Return how it is trained."""
        from exporters.train.learner import Phase

        return [_last_phase(Phase, settings, decay=settings["decay"])]


@dataclass(frozen=True)
class WideResNet(_KerasNetwork):
    """Wide ResNet of any depth and width: ``wrn-28-8``."""

    depth: int = 28
    width: int = 8
    least_size = 4  # two strides of two
    defaults = Defaults(
        epochs=60,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        schedule="cosine",
        augment=("shift", "flip"),
        input_size=32,
        fixed=(("weight_decay", 5e-4),),
    )

    @property
    def name(self) -> str:
        """The name with depth and width."""
        return f"wrn-{self.depth}-{self.width}"

    @property
    def summary(self) -> str:
        """One line for ``tlbench list networks``."""
        return "Wide ResNet from scratch, SGD, 60 epochs; wrn-16-4 has depth 16 and width 4"

    def with_argument(self, argument: str) -> "WideResNet":
        """Return the network of this depth and width: ``28-8``."""
        depth, _, width = argument.partition("-")
        known = depth.isdecimal() and width.isdecimal() and int(width) > 0
        if not known or int(depth) < 10 or (int(depth) - 4) % 6:  # noqa: PLR2004 - two convolutions in three groups
            msg = (
                f"A Wide ResNet has a depth of 10, 16, 22, 28, ... and a width of at least 1, got "
                f"{argument!r}. Example: wrn-28-8."
            )
            raise ConfigError(msg)
        return WideResNet(int(depth), int(width))

    def build(self, keras: Any, settings: Settings, n_classes: int, seed: int) -> "Built":  # noqa: ANN401
        """Return the network with its initial weights."""
        from exporters.train.architectures import wide_resnet

        size = settings["input_size"]
        return wide_resnet(keras, size, n_classes, seed, depth=self.depth, width=self.width)

    def phases(self, settings: Settings) -> Sequence["Phase"]:
        """Return how it is trained."""
        from exporters.train.learner import Phase

        return [_last_phase(Phase, settings)]


class _FineTuning:
    """First the new classifier of a pretrained network is trained, then its last block too."""

    def phases(self, settings: Settings) -> Sequence["Phase"]:
        """Return the two phases: the classifier alone, then with the last block."""
        from exporters.train.learner import Phase

        settings["classifier_epochs"] = -(-settings["epochs"] // 4)
        first = Phase(
            epochs=settings["classifier_epochs"],
            optimizer=settings["classifier_optimizer"],
            learning_rate=settings["classifier_learning_rate"],
        )
        return [first, _last_phase(Phase, settings, trunk=True)]

    @staticmethod
    def defaults_for(input_size: int | None) -> Defaults:
        """Return what is used where the user leaves it open."""
        return Defaults(
            epochs=20,
            batch_size=32,
            optimizer="sgd",
            learning_rate=1e-4,
            schedule="constant",
            augment=("shift", "flip"),
            input_size=input_size,
            fixed=(
                ("classifier_optimizer", "adam"),
                ("classifier_learning_rate", 1e-3),
                ("classifier_epochs", None),  # a quarter of the epochs, rounded up
            ),
        )


@dataclass(frozen=True)
class FineTuned(_FineTuning, _KerasNetwork):
    """A pretrained backbone of Keras; with the name of one of PyTorch, `TorchFineTuned`."""

    backbone: str = "resnet50"

    @property
    def name(self) -> str:
        """The name with the backbone."""
        return f"finetune:{self.backbone}"

    @property
    def summary(self) -> str:
        """One line for ``tlbench list networks``."""
        return (
            "a pretrained network whose last block is trained; finetune:BACKBONE chooses it, of "
            "Keras or, with tlbench[torch] alone, torch:MODULE:FACTORY or timm:NAME"
        )

    def with_argument(self, argument: str) -> "FineTuned | TorchFineTuned":
        """Return the network for this backbone."""
        backbone = find_backbone(argument)  # it may be unknown
        if isinstance(backbone, KerasNetwork):
            return FineTuned(argument)
        if isinstance(backbone, TorchBackbone):
            backbone.factory(None)  # which may be named wrongly
            return TorchFineTuned(backbone)
        msg = (
            f"{argument} cannot be fine-tuned: that needs a network of keras.applications (tlbench "
            "list backbones), such as finetune:resnet50, or one of PyTorch: "
            "finetune:torch:MODULE:FACTORY or finetune:timm:NAME."
        )
        raise ConfigError(msg)

    @property
    def pretrained(self) -> KerasNetwork:
        """The network whose weights the training begins with."""
        backbone = find_backbone(self.backbone)
        assert isinstance(backbone, KerasNetwork)  # `with_argument` has looked
        return backbone

    @property
    def least_size(self) -> int:
        """The least height and width in pixels."""
        return self.pretrained.min_size

    @property
    def defaults(self) -> Defaults:
        """What is used where the user leaves it open."""
        return self.defaults_for(self.pretrained.input_size)


@dataclass(frozen=True)
class TorchFineTuned(_FineTuning):
    """A pretrained network of PyTorch, which does the training; Keras and TensorFlow do nothing."""

    backbone: TorchBackbone

    @property
    def name(self) -> str:
        """The name with the backbone."""
        return f"finetune:{self.backbone.name}"

    @property
    def summary(self) -> str:
        """One line, as of the others."""
        return f"{self.backbone.name} with a new classifier, and its last block trained"

    @property
    def requires(self) -> tuple[str, ...]:
        """What an export of the network needs."""
        return self.backbone.requires

    def settings(self, options: TrainingOptions) -> Settings:
        """Return everything that decides how it is trained, as far as the network is not needed."""
        return self.defaults_for(None).settings(options)

    def train(
        self, request: "TrainingRequest", destination: Path, listener: "Listener"
    ) -> "ModelCard":
        """Train, export and verify; see `tlbench.model.TrainableNetwork`."""
        from exporters.torch.session import torch_session

        with torch_session():
            from exporters.torch.finetune import train_and_export

            return train_and_export(self, request, destination, listener)


def _last_phase(kind: "type[Phase]", settings: Settings, **further: Any) -> "Phase":
    names = ("epochs", "optimizer", "learning_rate")
    return kind(**{name: settings[name] for name in names}, **further)


BASIC_CNN, WRN, FINETUNE = BasicCnn(), WideResNet(), FineTuned()
