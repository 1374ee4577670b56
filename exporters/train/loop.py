"""The training loop: epochs, a checkpoint after each; from the first, or from a checkpoint on."""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from exporters.train.checkpoint import Checkpoint
from exporters.train.images import Augmentation, Examples, Prepare
from exporters.train.learner import Figures, Learner, Phase
from tlbench.core.errors import TrainingError
from tlbench.core.progress import Listener
from tlbench.model import TrainedEpoch, TrainingRecord

_MINUTE_S, _HOUR_S = 60, 3600


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """A network and all that its training needs; *begun* is the checkpoint before the first epoch.

    With *patience*, the training stops after so many epochs of the last phase without a lower
    validation loss, and the weights of the epoch with the lowest are kept.
    """

    learner: Learner
    phases: Sequence[Phase]
    train: Examples
    prepare: Prepare
    validation: Examples
    prepare_validation: Prepare
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
            self.learner.set_weights(state.weights)
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
        learner, is_last = self.learner, phase is self.phases[-1]
        record = replace(state.record, n_trained_parameters=learner.begin(phase))
        if len(record.epochs) > first:
            learner.restore_optimizer(state.optimizer)
        for epoch in range(len(record.epochs), first + phase.epochs):
            title = _title(record, epoch, sum(one.epochs for one in self.phases))
            figures = self._epoch(phase, epoch, epoch - first, title, listener)
            record = replace(record, epochs=(*record.epochs, figures))
            waited = _epochs_since_best(record.epochs[first:]) if is_last else 0
            weights = learner.weights()
            is_best = self.patience is not None and is_last and waited == 0
            stops = self.patience is not None and is_last and waited >= self.patience
            record = replace(record, stopped_early=stops)
            state = replace(
                state,
                record=record,
                is_finished=stops or (is_last and epoch + 1 == first + phase.epochs),
                weights=weights,
                optimizer=learner.optimizer_state(),
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
        learner, train, size = self.learner, self.train, self.batch_size
        # Seed and number of the epoch give all that is random in it, so that a resumed training
        # has it again.
        generator = np.random.default_rng([self.begun.record.seed, epoch])
        order = generator.permutation(len(train))
        augmentation = Augmentation.draw(self.augment, train.images.shape, generator)
        learner.reseed(generator)
        n_steps = math.ceil(len(train) / size)
        sums, rate = np.zeros(2), phase.learning_rate
        started = time.perf_counter()
        listener.start(title, len(train), "images")
        try:
            for step, start in enumerate(range(0, len(train), size)):
                rows = order[start : start + size]
                done = in_phase * n_steps + step
                rate = phase.rate(self.schedule, done, phase.epochs * n_steps)
                images = self.prepare(augmentation.apply(train.images[rows], rows))
                found = learner.step(images, train.labels[rows], rate)
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
            device_peak_bytes=learner.device_peak_bytes(),
        )

    def _validate(self) -> Figures:
        """Return loss and accuracy on the validation images."""
        data, sums = self.validation, np.zeros(2)
        for start in range(0, len(data), self.batch_size):
            rows = np.arange(start, min(start + self.batch_size, len(data)))
            images = self.prepare_validation(data.images[rows])
            sums += len(rows) * self.learner.evaluate(images, data.labels[rows])
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
