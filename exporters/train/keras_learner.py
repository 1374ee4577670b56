"""A Keras model as the training loop takes it, on any of Keras's backends."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exporters.keras.network import leaf_layers
from exporters.train.architectures import Built, thaw
from exporters.train.learner import MOMENTUM, Arrays, Figures, Phase
from exporters.train.session import Backend
from tlbench.core.arrays import FloatArray, LabelArray


class KerasLearner:
    """See `exporters.train.learner.Learner`."""

    def __init__(self, backend: Backend, built: Built) -> None:
        self._backend = backend
        self._built = built
        self._model = built.model

    @property
    def n_parameters(self) -> int:
        """Of the whole model."""
        return _count(self._model.weights)

    @property
    def trained_layers(self) -> tuple[str, ...]:
        """By the names of Keras."""
        names = [self._built.trunk.layers[position].name for position in self._built.thawed]
        return (names[0], names[-1]) if names else ()

    @property
    def software(self) -> str:
        """Keras and its backend."""
        return self._backend.software

    @property
    def device(self) -> str:
        """As the backend names it."""
        return self._backend.device

    def device_peak_bytes(self) -> int | None:
        """As the backend counts it."""
        return self._backend.device_peak_bytes()

    def begin(self, phase: Phase) -> int:
        """Compile the model."""
        thaw(self._built, trunk=phase.trunk)
        self._model.compile(
            optimizer=_optimizer(self._backend.keras, phase),
            loss=self._backend.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,  # equal sums in a resumed process; and compiling takes minutes
        )
        return _count(self._model.trainable_weights)

    def reseed(self, generator: np.random.Generator) -> None:
        """Each layer has a generator of its own."""
        for layer in leaf_layers(self._model):
            if (seeds := getattr(layer, "seed_generator", None)) is not None:
                seeds.state.assign(np.array([generator.integers(2**31), 0]))

    def step(self, images: FloatArray, labels: LabelArray, rate: float) -> Figures:
        """Train on one batch."""
        self._model.optimizer.learning_rate = rate
        return self._figures(self._model.train_on_batch, images, labels)

    def evaluate(self, images: FloatArray, labels: LabelArray) -> Figures:
        """Test on one batch."""
        return self._figures(self._model.test_on_batch, images, labels)

    def _figures(self, run: Callable[..., Any], images: FloatArray, labels: LabelArray) -> Figures:
        self._model.reset_metrics()  # some releases do it themselves, others go on with their mean
        found = run(images, labels, return_dict=True)
        return np.array([float(found["loss"]), float(found["accuracy"])])

    def weights(self) -> Arrays:
        """In the model's order."""
        arrays: Arrays = self._model.get_weights()
        return arrays

    def set_weights(self, arrays: Arrays) -> None:
        """In the model's order."""
        self._model.set_weights(list(arrays))

    def optimizer_state(self) -> Arrays:
        """In the optimizer's order."""
        convert = self._backend.keras.ops.convert_to_numpy
        return [np.array(convert(one.value)) for one in self._model.optimizer.variables]

    def restore_optimizer(self, arrays: Arrays) -> None:
        """In the optimizer's order."""
        optimizer = self._model.optimizer
        optimizer.build(self._model.trainable_variables)
        for variable, values in zip(optimizer.variables, arrays, strict=True):
            variable.assign(values)


def _optimizer(keras: Any, phase: Phase) -> Any:  # noqa: ANN401
    rate = phase.learning_rate
    match phase.optimizer:
        case "rmsprop":
            return keras.optimizers.RMSprop(learning_rate=rate)
        case "adam":
            return keras.optimizers.Adam(learning_rate=rate)
    return keras.optimizers.SGD(learning_rate=rate, momentum=MOMENTUM, nesterov=True)


def _count(weights: Sequence[Any]) -> int:
    return sum(math.prod(one.shape) for one in weights)
