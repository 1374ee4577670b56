"""Train a small network on features with Keras; what comes back is arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.common.session import Frameworks, keras_session
from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.heads import (
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerWeights,
    MaxPool,
    Trained,
    TrainingSpec,
)

_Set = tuple[FloatArray, LabelArray]

_KERAS2_EPSILON = 1e-7


@dataclass(frozen=True, slots=True)
class KerasTrainer:
    """Keras 3 on TensorFlow, on the CPU."""

    name: str = "keras"

    def ready(self) -> None:
        """Import TensorFlow and Keras; raise MissingDependencyError without them."""
        with keras_session():
            pass

    def train(self, spec: TrainingSpec, examples: _Set, validation: _Set | None) -> Trained:
        """Train the network of *spec*; see `tlbench.heads.training.Trainer`."""
        with keras_session() as frameworks:
            # Sums in a fixed order: an op that could not promise it would refuse to run.
            frameworks.tf.config.experimental.enable_op_determinism()
            return _train(frameworks, spec, examples, validation)


def _train(
    frameworks: Frameworks, spec: TrainingSpec, examples: _Set, validation: _Set | None
) -> Trained:
    keras = frameworks.keras
    # One stream of numbers per layer and one for the order: no global generator is used.
    order_seed, *seeds = np.random.SeedSequence(spec.seed).generate_state(len(spec.layers) + 1)
    model = keras.Sequential(
        [
            keras.Input(spec.shape),
            *(_layer(keras, *pair) for pair in zip(spec.layers, seeds, strict=True)),
        ]
    )
    model.compile(
        optimizer=_optimizer(keras, spec),
        loss=_loss(keras, spec),
        metrics=["accuracy"],
        jit_compile=False,  # compiling takes longer than it saves on a network of this size
    )
    generator = np.random.default_rng(order_seed)
    history, best, kept = [], np.inf, None
    for _ in range(spec.epochs):
        figures = _epoch(
            model, spec, model.train_on_batch, examples, generator.permutation(len(examples[0]))
        )
        if validation is not None:
            tried = _epoch(
                model, spec, model.test_on_batch, validation, np.arange(len(validation[0]))
            )
            figures |= {f"validation_{name}": value for name, value in tried.items()}
            if spec.keep_best and tried["loss"] < best:
                best, kept = tried["loss"], model.get_weights()
        history.append(figures)
    if kept is not None:
        model.set_weights(kept)
    return Trained(weights=_weights(model), history=tuple(history))


def _optimizer(keras: Any, spec: TrainingSpec) -> Any:  # noqa: ANN401
    if spec.optimizer == "adam":
        return keras.optimizers.Adam(learning_rate=spec.learning_rate)
    if spec.rules == "keras-3":
        return keras.optimizers.RMSprop(learning_rate=spec.learning_rate)
    ops = keras.ops

    class Keras2RMSprop(keras.optimizers.RMSprop):  # type: ignore[misc]
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:  # noqa: ANN401
            square = self._velocities[self._get_variable_index(variable)]
            self.assign(square, self.rho * square + (1 - self.rho) * ops.square(gradient))
            root = ops.sqrt(square) + self.epsilon
            self.assign_sub(variable, learning_rate * gradient / root)

    return Keras2RMSprop(learning_rate=spec.learning_rate, epsilon=_KERAS2_EPSILON)


def _loss(keras: Any, spec: TrainingSpec) -> Any:  # noqa: ANN401
    if spec.rules == "keras-3":
        return "sparse_categorical_crossentropy"
    ops = keras.ops

    def clipped_crossentropy(labels: Any, shares: Any) -> Any:  # noqa: ANN401
        wanted = ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), shares.shape[-1])
        share = ops.sum(wanted * shares, axis=-1)
        return -ops.log(ops.clip(share, _KERAS2_EPSILON, 1 - _KERAS2_EPSILON))

    return clipped_crossentropy


def _epoch(
    model: Any,  # noqa: ANN401 - Keras has no stubs
    spec: TrainingSpec,
    step: Any,  # noqa: ANN401
    data: _Set,
    order: NDArray[np.integer[Any]],
) -> dict[str, float]:
    """Take *step* on all rows in this order, and return the means over them."""
    sums = np.zeros(2)
    for start in range(0, len(order), spec.batch_size):
        rows = order[start : start + spec.batch_size]
        model.reset_metrics()  # some releases do it themselves, others go on with their mean
        figures = step(data[0][rows].reshape(-1, *spec.shape), data[1][rows], return_dict=True)
        sums += len(rows) * np.array([figures["loss"], figures["accuracy"]], dtype=np.float64)
    loss, accuracy = (sums / len(order)).tolist()
    return {"loss": loss, "accuracy_fraction": accuracy}


def _layer(keras: Any, layer: Layer, seed: np.integer[Any]) -> Any:  # noqa: ANN401
    layers = keras.layers
    # Keras's own default, but with a seed.
    initial = {"kernel_initializer": keras.initializers.GlorotUniform(seed=int(seed))}
    match layer:
        case Dense(units, activation):
            return layers.Dense(units, activation=activation, **initial)
        case Conv(filters, side, padding, activation):
            return layers.Conv2D(filters, side, padding=padding, activation=activation, **initial)
        case Dropout(fraction):
            return layers.Dropout(fraction, seed=int(seed))
        case MaxPool(side):
            return layers.MaxPooling2D(side)
        case GlobalAveragePool():
            return layers.GlobalAveragePooling2D()
        case Flatten():
            return layers.Flatten()


def _weights(model: Any) -> tuple[LayerWeights, ...]:  # noqa: ANN401
    found = [layer.get_weights() for layer in model.layers]
    # Dropout has one array, the state of its generator: no weight.
    return tuple((pair[0], pair[1]) for pair in found if len(pair) == 2)  # noqa: PLR2004


KERAS = KerasTrainer()
