"""The training loop: epochs, a checkpoint after each; from the first, or from a checkpoint on."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from exporters.keras.network import leaf_layers
from exporters.train.architectures import Built, thaw
from exporters.train.checkpoint import Arrays, Checkpoint
from exporters.train.images import Augmentation, Prepare
from exporters.train.session import Backend
from tlbench.core.arrays import ImageArray, LabelArray
from tlbench.core.errors import TrainingError
from tlbench.core.progress import Listener
from tlbench.model import TrainedEpoch, TrainingRecord

_MOMENTUM = 0.9
_MINUTE_S, _HOUR_S = 60, 3600


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Held images, uint8 (n, H, W, 3), and the class of each, int64 (n,)."""

    images: ImageArray
    labels: LabelArray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """A network and all that its training needs; *begun* is the checkpoint before the first epoch.

    With *patience*, the training stops after so many epochs of the last phase without a lower
    validation loss, and the weights of the epoch with the lowest are kept.
    """

    backend: Backend
    built: Built
    phases: Sequence[Phase]
    prepare: Prepare
    train: Examples
    validation: Examples
    augment: Sequence[str]
    batch_size: int
    schedule: str
    patience: int | None
    begun: Checkpoint
    path: Path

    def run(self, listener: Listener, *, resume: bool) -> Checkpoint:
        """Train to the end, and return the last checkpoint, which is also at *path*."""
        state = self.begun
        if resume:
            found = Checkpoint.read(self.path)
            found.check(self.path, self.begun)
            state = self._continued(found)
            self.built.model.set_weights(list(state.weights))
        first = 0
        for phase in self.phases:
            done = len(state.record.epochs) - first
            if done < phase.epochs and not state.is_finished:
                state = self._run_phase(phase, first, state, listener)
            first += phase.epochs
        if state.is_finished and state.best:
            return replace(state, weights=state.best)
        return state

    def _continued(self, found: Checkpoint) -> Checkpoint:
        """Return a checkpoint with the number of epochs that are asked for now."""
        record = found.record
        is_longer = len(record.epochs) < sum(phase.epochs for phase in self.phases)
        is_finished = not is_longer or record.stopped_early
        if not is_finished:
            record = replace(
                record, settings=self.begun.record.settings, n_resumed=record.n_resumed + 1
            )
        return replace(found, record=record, is_finished=is_finished)

    def _run_phase(
        self, phase: Phase, first: int, state: Checkpoint, listener: Listener
    ) -> Checkpoint:
        """Run the phase whose first epoch has the number *first*, from where *state* is."""
        model, is_last = self.built.model, phase is self.phases[-1]
        thaw(self.built, trunk=phase.trunk)
        model.compile(
            optimizer=_optimizer(self.backend.keras, phase),
            loss=self.backend.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,  # equal sums in a resumed process; and compiling takes minutes
        )
        record = replace(state.record, n_trained_parameters=_count(model.trainable_weights))
        if len(record.epochs) > first:
            _restore(model, state.optimizer)
        for epoch in range(len(record.epochs), first + phase.epochs):
            title = _title(record, epoch, sum(one.epochs for one in self.phases))
            figures = self._epoch(phase, epoch, epoch - first, title, listener)
            record = replace(record, epochs=(*record.epochs, figures))
            waited = _epochs_since_best(record.epochs[first:]) if is_last else 0
            weights = model.get_weights()
            is_best = self.patience is not None and is_last and waited == 0
            stops = self.patience is not None and is_last and waited >= self.patience
            record = replace(record, stopped_early=stops)
            state = replace(
                state,
                record=record,
                is_finished=stops or (is_last and epoch + 1 == first + phase.epochs),
                weights=weights,
                optimizer=[_array(self.backend, one) for one in model.optimizer.variables],
                best=weights if is_best else state.best,
            )
            state.save(self.path)
            if stops:
                break
        return state

    def _epoch(
        self, phase: Phase, epoch: int, in_phase: int, title: str, listener: Listener
    ) -> TrainedEpoch:
        """Train for one epoch, and return its figures."""
        model, train, size = self.built.model, self.train, self.batch_size
        # Seed and number of the epoch give all that is random in it, so that a resumed training
        # has it again.
        generator = np.random.default_rng([self.begun.record.seed, epoch])
        order = generator.permutation(len(train))
        augmentation = Augmentation.draw(self.augment, train.images.shape, generator)
        _reseed(model, generator)
        n_steps = math.ceil(len(train) / size)
        sums, rate = np.zeros(2), phase.learning_rate
        started = time.perf_counter()
        listener.start(title, len(train), "images")
        try:
            for step, start in enumerate(range(0, len(train), size)):
                rows = order[start : start + size]
                done = in_phase * n_steps + step
                rate = phase.rate(self.schedule, done, phase.epochs * n_steps)
                model.optimizer.learning_rate = rate
                images = self.prepare(augmentation.apply(train.images[rows], rows))
                found = _figures(model, model.train_on_batch, images, train.labels[rows])
                self._check(
                    found[0], f"at step {step + 1} of {n_steps} of epoch {epoch + 1}", epoch
                )
                sums += len(rows) * found
                listener.advance(len(rows))
            elapsed_s = time.perf_counter() - started
            validation = self._validate()
        finally:
            listener.finish()
        self._check(validation[0], f"after the last step of epoch {epoch + 1}", epoch)
        loss, accuracy = (sums / len(train)).tolist()
        return TrainedEpoch(
            phase=self.phases.index(phase) + 1,
            loss=loss,
            accuracy_fraction=accuracy,
            validation_loss=float(validation[0]),
            validation_accuracy_fraction=float(validation[1]),
            learning_rate=rate,
            elapsed_s=elapsed_s,
            images_per_s=len(train) / elapsed_s,
            peak_rss_bytes=_peak_rss_bytes(),
            device_peak_bytes=self.backend.device_peak_bytes(),
        )

    def _validate(self) -> Any:  # noqa: ANN401 - an array of two
        """Return loss and accuracy on the validation images."""
        model, data, sums = self.built.model, self.validation, np.zeros(2)
        for start in range(0, len(data), self.batch_size):
            rows = np.arange(start, min(start + self.batch_size, len(data)))
            found = _figures(
                model, model.test_on_batch, self.prepare(data.images[rows]), data.labels[rows]
            )
            sums += len(rows) * found
        return sums / len(data)

    def _check(self, loss: float, where: str, epoch: int) -> None:
        if math.isfinite(loss):
            return
        kept = (
            f"The checkpoint of epoch {epoch} is kept at {self.path}"
            if epoch
            else "No epoch was finished, so there is no checkpoint"
        )
        msg = (
            f"The loss is {loss} {where}: the training cannot go on. {kept}. Lower learning_rate, "
            "which begins another training."
        )
        raise TrainingError(msg)


def _optimizer(keras: Any, phase: Phase) -> Any:  # noqa: ANN401
    rate = phase.learning_rate
    match phase.optimizer:
        case "rmsprop":
            return keras.optimizers.RMSprop(learning_rate=rate)
        case "adam":
            return keras.optimizers.Adam(learning_rate=rate)
    return keras.optimizers.SGD(learning_rate=rate, momentum=_MOMENTUM, nesterov=True)


def _figures(model: Any, step: Callable[..., Any], images: Any, labels: Any) -> Any:  # noqa: ANN401
    model.reset_metrics()  # some releases do it themselves, others go on with their mean
    found = step(images, labels, return_dict=True)
    return np.array([float(found["loss"]), float(found["accuracy"])])


def _reseed(model: Any, generator: np.random.Generator) -> None:  # noqa: ANN401
    for layer in leaf_layers(model):
        if (seeds := getattr(layer, "seed_generator", None)) is not None:
            seeds.state.assign(np.array([generator.integers(2**31), 0]))


def _restore(model: Any, arrays: Arrays) -> None:  # noqa: ANN401
    model.optimizer.build(model.trainable_variables)
    for variable, values in zip(model.optimizer.variables, arrays, strict=True):
        variable.assign(values)


def _array(backend: Backend, variable: Any) -> Any:  # noqa: ANN401
    return np.array(backend.keras.ops.convert_to_numpy(variable.value))


def _count(weights: Sequence[Any]) -> int:
    return sum(math.prod(one.shape) for one in weights)


def count_parameters(model: Any) -> int:  # noqa: ANN401
    """Return the parameters of a model, the means and variances of normalisations included."""
    return _count(model.weights)


def _epochs_since_best(epochs: Sequence[TrainedEpoch]) -> int:
    losses = [epoch.validation_loss for epoch in epochs]
    return len(losses) - 1 - losses.index(min(losses))


def _title(record: TrainingRecord, epoch: int, n_epochs: int) -> str:
    """Return what a progress bar says of the epoch that begins: how the one before it went."""
    title = f"epoch {epoch + 1} of {n_epochs}"
    if not record.epochs:
        return title
    last = record.epochs[-1]
    left = (n_epochs - epoch) * last.elapsed_s
    unit, name = (_HOUR_S, "h") if left > _HOUR_S else (_MINUTE_S, "min")
    return (
        f"{title} (loss {last.loss:.3f}, accuracy {last.accuracy_fraction:.1%}, validation "
        f"{last.validation_accuracy_fraction:.1%}, {left / unit:.1f} {name} left)"
    )


def _peak_rss_bytes() -> int:
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
