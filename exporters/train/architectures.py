"""The networks as Keras 3 models: four convolutions, Wide ResNets, and a pretrained trunk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_WEIGHT_DECAY = 5e-4
_STRIDE = 2
_DEPTH_STEP = 6  # two convolutions in each of three groups
_DEPTH_REST = 4

FEATURES = "features"  # name of the layer whose output is the artefact's features


@dataclass(frozen=True, slots=True)
class Built:
    """A network, images (N, S, S, 3) to logits (N, n_classes), and the trunk that was pretrained.

    *thawed* are the positions in ``trunk.layers`` that fine-tuning changes.
    """

    model: Any  # Keras has no stubs
    trunk: Any = None
    thawed: Sequence[int] = ()


class _Seeded:
    """Keras's layers with initial weights that depend on one seed and on nothing else."""

    def __init__(self, keras: Any, seed: int) -> None:  # noqa: ANN401
        self.keras = keras
        self._states = self._draw(seed)

    @staticmethod
    def _draw(seed: int) -> Iterator[int]:
        generator = np.random.default_rng(seed)
        while True:
            yield int(generator.integers(2**31))

    def dense(self, units: int, **options: Any) -> Any:  # noqa: ANN401
        initial = self.keras.initializers.GlorotUniform(seed=next(self._states))
        return self.keras.layers.Dense(units, kernel_initializer=initial, **options)

    def conv(self, filters: int, side: int, **options: Any) -> Any:  # noqa: ANN401
        initial = self.keras.initializers.GlorotUniform(seed=next(self._states))
        options = {"kernel_initializer": initial, "padding": "same"} | options
        return self.keras.layers.Conv2D(filters, side, **options)

    def wide_conv(self, filters: int, side: int, stride: int = 1) -> Any:  # noqa: ANN401
        keras = self.keras
        return self.conv(
            filters,
            side,
            strides=stride,
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=next(self._states)),
            # L2 of half the weight decay has its gradient.
            kernel_regularizer=keras.regularizers.L2(_WEIGHT_DECAY / 2),
        )

    def dropout(self, fraction: float) -> Any:  # noqa: ANN401
        return self.keras.layers.Dropout(fraction, seed=next(self._states))

    def logits(self, n_classes: int, values: Any) -> Any:  # noqa: ANN401
        # float32 even with mixed precision: a softmax of float16 overflows
        return self.dense(n_classes, dtype="float32", name="logits")(values)


def basic_cnn(keras: Any, size: int, n_classes: int, seed: int) -> Built:  # noqa: ANN401
    """Return the CNN of Keras's CIFAR-10 example: 32-32-pool, 64-64-pool, dense 512."""
    layers, make = keras.layers, _Seeded(keras, seed)
    image = keras.Input((size, size, 3))
    values = image
    for filters in (32, 64):
        values = make.conv(filters, 3, activation="relu")(values)
        values = make.conv(filters, 3, activation="relu", padding="valid")(values)
        values = layers.MaxPooling2D(2)(values)
        values = make.dropout(0.25)(values)
    values = make.dense(512, activation="relu", name=FEATURES)(layers.Flatten()(values))
    return Built(keras.Model(image, make.logits(n_classes, make.dropout(0.5)(values))))


def is_wide_depth(depth: int) -> bool:
    """Return whether a Wide ResNet can have this depth: 10, 16, 22, 28, ..."""
    return depth > _DEPTH_REST and (depth - _DEPTH_REST) % _DEPTH_STEP == 0


def wide_resnet(
    keras: Any,  # noqa: ANN401
    size: int,
    n_classes: int,
    seed: int,
    *,
    depth: int,
    width: int,
) -> Built:
    """Return WRN-depth-width without dropout (Zagoruyko and Komodakis 2016, arXiv:1605.07146)."""
    layers, make = keras.layers, _Seeded(keras, seed)

    def active(values: Any) -> Any:  # noqa: ANN401
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(values))

    image = keras.Input((size, size, 3))
    values = make.wide_conv(16, 3)(image)
    n_blocks = (depth - _DEPTH_REST) // _DEPTH_STEP
    for group, base in enumerate((16, 32, 64)):
        filters = base * width
        for block in range(n_blocks):
            stride = _STRIDE if group and not block else 1
            before = active(values)
            if block:
                shortcut = values
            elif stride == 1 and values.shape[-1] == filters:
                shortcut = values  # of width 1: the first group has the stem's channels
            else:
                shortcut = make.wide_conv(filters, 1, stride)(before)
            inner = make.wide_conv(filters, 3, stride)(before)
            inner = make.wide_conv(filters, 3)(active(inner))
            values = layers.Add()([inner, shortcut])
    values = layers.GlobalAveragePooling2D(name=FEATURES)(active(values))
    return Built(keras.Model(image, make.logits(n_classes, values)))


def with_classifier(keras: Any, trunk: Any, n_classes: int, seed: int) -> Built:  # noqa: ANN401
    """Return a pretrained trunk with a new classifier: dense 1024, dropout 0.5, softmax."""
    make = _Seeded(keras, seed)
    image = keras.Input(trunk.input.shape[1:])
    values = trunk(image)
    rank = len(values.shape)
    pool = keras.layers.GlobalAveragePooling2D if rank == 4 else keras.layers.Flatten  # noqa: PLR2004
    values = pool(name=FEATURES)(values)
    hidden = make.dropout(0.5)(make.dense(1024, activation="relu")(values))
    model = keras.Model(image, make.logits(n_classes, hidden))
    return Built(model, trunk, last_block(trunk))


# What closes a block, by the names of Keras's layers: the first kind that a network has twice.
_JOINS = (("Add",), ("Concatenate",), ("MaxPooling2D", "AveragePooling2D"))

_NORMALISATIONS = ("BatchNormalization", "Normalization")


def last_block(trunk: Any) -> list[int]:  # noqa: ANN401
    """Return the positions of the layers of the last residual block, and of what follows it.

    Those are the layers with weights behind the last but one place at which branches are added; in
    networks without such places, at which they are concatenated, or else pooled. Batch
    normalisations are left out. Keras runs one that is not trained in inference mode, whatever the
    network around it does; trained, it would normalise by each small batch, and overwrite the means
    and variances that the pretrained weights expect.
    """
    kinds = [type(layer).__name__ for layer in trunk.layers]
    kernels = [any(len(w.shape) > 1 for w in layer.weights) for layer in trunk.layers]
    for names in _JOINS:
        joins = [position for position, kind in enumerate(kinds) if kind in names]
        for start in reversed(joins[:-1]):
            if any(kernels[start:]):
                return _trained(trunk, range(start, len(kinds)))
    last = max((p for p, has_kernel in enumerate(kernels) if has_kernel), default=len(kinds))
    return _trained(trunk, range(last, len(kinds)))


def _trained(trunk: Any, positions: range) -> list[int]:  # noqa: ANN401
    is_normalisation = {p: type(trunk.layers[p]).__name__ in _NORMALISATIONS for p in positions}
    return [p for p in positions if trunk.layers[p].weights and not is_normalisation[p]]


def thaw(built: Built, *, trunk: bool) -> None:
    """Let a training change the classifier and, with *trunk*, the trunk's last block."""
    if built.trunk is None:
        return
    for position, layer in enumerate(built.trunk.layers):
        layer.trainable = trunk and position in built.thawed
