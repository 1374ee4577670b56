"""Train a network from a request to its last checkpoint: checks, images, epochs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from exporters.common.fit import SquareFit
from exporters.common.preprocess import BILINEAR, Preprocessing, Resize
from exporters.train.checkpoint import Checkpoint, refuse_unfinished
from exporters.train.images import FIT, Examples, hold, preparation, standardisation
from exporters.train.learner import Learner, Phase
from exporters.train.loop import Training
from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError, DataError
from tlbench.core.progress import Listener
from tlbench.model import TrainingOptions, TrainingRecord, TrainingRequest, Weights

Settings = dict[str, Any]

_HELD_OUT = 10  # one of so many training images, for early stopping


class Network(Protocol):
    """What a training needs of a network; those of `exporters.train.networks` have it."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    def settings(self, options: TrainingOptions) -> Settings:
        """Return everything that decides how it is trained."""

    def phases(self, settings: Settings) -> Sequence[Phase]:
        """Return how it is trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A network that is ready to be trained, and what it expects of its images.

    Without *pixels*, each channel is scaled to mean 0 and deviation 1 over the training images.
    """

    name: str
    learner: Learner
    architecture: str  # as JSON, for the checkpoint
    origin: str  # of the weights
    pixels: Preprocessing | None
    fit: SquareFit = FIT
    resize: Resize = BILINEAR


def check_request(request: TrainingRequest, settings: Settings) -> None:
    """Raise an error for images of which no training can come, and for a checkpoint in the way."""
    n_train, batch_size = len(request.train.labels), settings["batch_size"]
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
    if not request.resume:
        refuse_unfinished(request.checkpoint)


def run_training(
    network: Network,
    prepared: Prepared,
    request: TrainingRequest,
    settings: Settings,
    listener: Listener,
) -> Checkpoint:
    """Train to the end, from the beginning or from the request's checkpoint, and return the last.

    The learner has the weights of the last step then.
    """
    size, fit, resize = settings["input_size"], prepared.fit, prepared.resize
    train = hold(request.train, size, "train images", listener, fit=fit, resize=resize)
    if request.options.early_stopping is None:
        validation = hold(request.test, size, "test images", listener, fit=fit, resize=resize)
    else:
        train, validation = _held_out(train, request.options.seed)
    pixels = prepared.pixels or standardisation(train.images)
    of_squares = preparation(size, pixels)
    of_raw = preparation(size, pixels, fit=fit, resize=resize)
    training = Training(
        learner=prepared.learner,
        phases=network.phases(settings),
        train=train,
        prepare=of_squares if train.are_squares else of_raw,
        validation=validation,
        prepare_validation=of_squares if validation.are_squares else of_raw,
        augment=settings["augment"].split(","),
        batch_size=settings["batch_size"],
        schedule=settings["schedule"],
        patience=request.options.early_stopping,
        begun=_begun(prepared, request, settings, pixels, len(train)),
        path=request.checkpoint,
    )
    return training.run(listener, resume=request.resume)


def origin_of(weights: Weights) -> str:
    """Return where the weights came from that a training begins with."""
    digest = f", sha256 {weights.sha256}" if weights.sha256 else ""
    return f"{weights.kind}: {weights.origin}{digest}"


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
        return replace(examples, images=examples.images[rows], labels=examples.labels[rows])

    return part(np.flatnonzero(~is_held_out)), part(np.flatnonzero(is_held_out))


def _begun(
    prepared: Prepared,
    request: TrainingRequest,
    settings: Settings,
    pixels: Preprocessing,
    n_train: int,
) -> Checkpoint:
    """Return the checkpoint before the first epoch, which is never written."""
    learner = prepared.learner
    record = TrainingRecord(
        settings=settings,
        seed=request.options.seed,
        n_train=n_train,
        n_classes=len(request.classes),
        validation="test" if request.options.early_stopping is None else "held out",
        n_parameters=learner.n_parameters,
        n_trained_parameters=learner.n_parameters,
        trained_layers=learner.trained_layers,
        software=learner.software,
        device=learner.device,
        epochs=(),
    )
    return Checkpoint(
        network=prepared.name,
        dataset=request.dataset,
        classes=request.classes,
        fingerprint=request.fingerprint,
        origin=prepared.origin,
        architecture=prepared.architecture,
        preprocessing=pixels,
        record=record,
        is_finished=False,
        weights=learner.weights(),
        optimizer=(),
    )
