"""Train a network from a request to an artefact: images, network, epochs, checkpoint, export."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from exporters.common.preprocess import Preprocessing
from exporters.common.session import Frameworks
from exporters.keras.network import KerasNetwork
from exporters.keras.weights import build_network
from exporters.train.architectures import Built, with_classifier
from exporters.train.checkpoint import Checkpoint, refuse_unfinished
from exporters.train.export import check_exportable, export_checkpoint
from exporters.train.images import hold, preparation, standardisation
from exporters.train.loop import Examples, Training, count_parameters
from exporters.train.session import Backend, training_session
from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError, DataError
from tlbench.core.progress import Listener, task
from tlbench.model import ExportOptions, ModelCard, TrainingOptions, TrainingRecord, TrainingRequest

Settings = dict[str, Any]

_HELD_OUT = 10  # one of so many training images, for early stopping


class Network(Protocol):
    """What this module needs of a network; those of `exporters.train.networks` have it."""

    name: str
    least_size: int
    pretrained: KerasNetwork | None

    def settings(self, options: TrainingOptions) -> Settings:
        """Return everything that decides how it is trained."""

    def build(self, keras: Any, settings: Settings, n_classes: int, seed: int) -> Built:  # noqa: ANN401
        """Return the network with its initial weights."""

    def phases(self, settings: Settings) -> Any:  # noqa: ANN401
        """Return how it is trained."""


def train_and_export(
    network: Network, request: TrainingRequest, destination: Path, listener: Listener
) -> ModelCard:
    """Train *network*, or go on with its checkpoint, and write it as an ONNX file."""
    options = request.options
    settings = network.settings(options)
    phases = network.phases(settings)
    _check(network, request, settings)
    if not request.resume:
        refuse_unfinished(request.checkpoint)
    check_exportable(request.checkpoint, listener)
    size = settings["input_size"]
    images = hold(request.train.images, size, "train images", listener)
    train = Examples(images=images, labels=request.train.labels)
    if options.early_stopping is None:
        validation = Examples(
            images=hold(request.test.images, size, "test images", listener),
            labels=request.test.labels,
        )
    else:
        train, validation = _held_out(train, options.seed)
    with training_session(mixed_precision=options.mixed_precision) as backend:
        pretrained = network.pretrained
        with task(listener, f"build {network.name} in Keras"):
            if pretrained is None:
                built = network.build(backend.keras, settings, len(request.classes), options.seed)
                preprocessing, origin = standardisation(train.images), "random weights"
            else:
                built, origin = _with_trunk(backend, pretrained, request, size, listener)
                preprocessing = pretrained.preprocessing
                settings["weights"] = origin
        training = Training(
            backend=backend,
            built=built,
            phases=phases,
            prepare=preparation(size, preprocessing),
            train=train,
            validation=validation,
            augment=settings["augment"].split(","),
            batch_size=settings["batch_size"],
            schedule=settings["schedule"],
            patience=options.early_stopping,
            begun=_begun(network, request, settings, backend, built, preprocessing, origin, train),
            path=request.checkpoint,
        )
        training.run(listener, resume=request.resume)
    return export_checkpoint(request.checkpoint, destination, listener)


def _check(network: Network, request: TrainingRequest, settings: Settings) -> None:
    """Raise an error for settings and images of which no training can come."""
    n_train, batch_size = len(request.train.labels), settings["batch_size"]
    if settings["input_size"] < network.least_size:
        msg = (
            f"input_size={settings['input_size']} is too small for {network.name}, which needs "
            f"{network.least_size} pixels. Raise it."
        )
        raise ConfigError(msg)
    if network.pretrained is None and request.options.weights != "imagenet":
        msg = (
            f"weights={request.options.weights!r} is where fine-tuning begins, but {network.name} "
            "is trained from scratch. Leave it out, or fine-tune a backbone: finetune:NAME."
        )
        raise ConfigError(msg)
    if request.options.weights == "random":
        msg = (
            "weights='random' leaves nothing to fine-tune. Give a weights file, or train a network "
            "from scratch: basic-cnn or wrn-28-8."
        )
        raise ConfigError(msg)
    if n_train < batch_size:
        msg = (
            f"batch_size={batch_size} is more than the {n_train} training images. Lower it, or use "
            "more of the training images."
        )
        raise ConfigError(msg)
    if len(np.unique(request.train.labels)) < 2:  # noqa: PLR2004 - a classifier tells two apart
        msg = (
            f"All {n_train} training images are of one class; a classifier needs at least two. Add "
            "images of other classes, or use more of the training images."
        )
        raise DataError(msg)


def _held_out(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    """Return the examples without a tenth of each class, and that tenth."""
    order = np.random.default_rng(seed).permutation(len(examples))
    place = np.zeros(len(examples), dtype=np.int64)
    for label in np.unique(examples.labels):
        own = order[examples.labels[order] == label]
        place[own] = np.arange(len(own))
    is_held_out = place % _HELD_OUT == _HELD_OUT - 1
    if not is_held_out.any():
        msg = (
            f"early_stopping holds out one of {_HELD_OUT} training images of each class, and no "
            "class has so many. Leave it out, or add training images."
        )
        raise ConfigError(msg)

    def part(rows: LabelArray) -> Examples:
        return Examples(images=examples.images[rows], labels=examples.labels[rows])

    return part(np.flatnonzero(~is_held_out)), part(np.flatnonzero(is_held_out))


def _with_trunk(
    backend: Backend,
    network: KerasNetwork,
    request: TrainingRequest,
    size: int,
    listener: Listener,
) -> tuple[Built, str]:
    """Return a network on pretrained weights, and where these came from."""
    options = request.options
    # Only random weights and the classifier of ImageNet need TensorFlow, and neither is here.
    frameworks = Frameworks(backend.keras, None, None)
    trunk, weights = build_network(
        frameworks,
        network,
        ExportOptions(weights=options.weights, input_size=size),
        top=False,
        listener=listener,
    )
    if trunk.layers[-1].name != network.layer:  # a weights file may bring a classifier
        trunk = backend.keras.Model(trunk.input, trunk.get_layer(network.layer).output)
    built = with_classifier(backend.keras, trunk, len(request.classes), options.seed)
    digest = f", sha256 {weights.sha256}" if weights.sha256 else ""
    return built, f"{weights.kind}: {weights.origin}{digest}"


def _begun(  # noqa: PLR0917 - its parts
    network: Network,
    request: TrainingRequest,
    settings: Settings,
    backend: Backend,
    built: Built,
    preprocessing: Preprocessing,
    origin: str,
    train: Examples,
) -> Checkpoint:
    """Return the checkpoint before the first epoch, which is never written."""
    thawed = [built.trunk.layers[position].name for position in built.thawed]
    record = TrainingRecord(
        settings=settings,
        seed=request.options.seed,
        n_train=len(train),
        n_classes=len(request.classes),
        validation="test" if request.options.early_stopping is None else "held out",
        n_parameters=count_parameters(built.model),
        n_trained_parameters=count_parameters(built.model),
        trained_layers=(thawed[0], thawed[-1]) if thawed else (),
        software=backend.software,
        device=backend.device,
        epochs=(),
    )
    return Checkpoint(
        network=network.name,
        dataset=request.dataset,
        classes=request.classes,
        fingerprint=request.fingerprint,
        origin=origin,
        architecture=built.model.to_json(),
        preprocessing=preprocessing,
        record=record,
        is_finished=False,
        weights=built.model.get_weights(),
        optimizer=(),
    )
