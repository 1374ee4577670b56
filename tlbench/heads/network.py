"""Heads that are trained in epochs: dense, convolutional, and a network trained from scratch."""

import re
from functools import partial
from math import ceil, prod
from typing import Any

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError
from tlbench.heads.base import Classifier, Head, Params, ParamValue
from tlbench.heads.training import (
    TRAINERS,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool,
)

_SHAPE = re.compile(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)")

# Parameters that all three heads have, after those of their layers.
_TRAINING: dict[str, ParamValue] = {
    "optimizer": "rmsprop",
    "learning_rate": 1e-3,
    "epochs": 30,
    "batch_size": 32,
    "validation_fraction": 0.0,
    "validation": "random",
    "keep_best": False,
    "rules": "keras-3",
}


def _classifier(layers: tuple[Layer, ...], params: Params, seed: int) -> Classifier:
    from tlbench.heads.estimators.network import NetworkClassifier

    _word(params, "validation", ("random", "last"))
    _word(params, "rules", ("keras-3", "keras-2"))
    # Imported here, so that the import is not part of the time of a fit.
    TRAINERS.load("keras").ready()
    settings: dict[str, Any] = {name: params[name] for name in _TRAINING}
    if "shape" in params:
        settings["shape"] = _shape(params)
    estimator: Classifier = NetworkClassifier(layers, random_state=seed, **settings)
    return estimator


def _dense(params: Params, seed: int) -> Classifier:
    """Return one hidden layer of ReLU units with dropout, on raw features.

    Published (``cifar100-capstone-2018``): 1,024 units, dropout 0.5, softmax, RMSprop with learning
    rate 2e-5, 30 epochs. The batch size is unknown: 32 is Keras's default.
    """
    layers = (Dense(_whole(params, "hidden")), Dropout(_number(params, "dropout")))
    return _classifier(layers, params, seed)


def _conv(params: Params, seed: int) -> Classifier:
    """Return one convolution over the unpooled map, dropout, mean over the map, dropout, softmax.

    Published (``keras-shallow-2017``): 100 filters of 2 x 2 without an activation, dropout 0.4 and
    0.3, RMSprop with Keras's learning rate of 1e-3, batches of 50, 50 epochs, the last fifth of the
    training images held out, the weights of the epoch with the lowest loss on it kept. Here the
    held-out fifth is a stratified random draw unless ``validation=last``, and the training follows
    Keras 3 unless ``rules=keras-2``; ``activation=relu`` adds a ReLU after the convolution.
    """
    activation = _word(params, "activation", ("linear", "relu"))
    layers = (
        Conv(
            _whole(params, "filters"),
            _whole(params, "side"),
            activation="relu" if activation == "relu" else "linear",
        ),
        Dropout(_number(params, "dropout")),
        GlobalAveragePool(),
        Dropout(_number(params, "dropout_pooled")),
    )
    return _classifier(layers, params, seed)


def _cnn4(params: Params, seed: int) -> Classifier:
    """Return four convolutions in two blocks, each with pooling and dropout, then a dense layer.

    The "four-layer CNN from scratch" that ``cifar100-capstone-2018`` compares with, for raw pixels:
    filters (32, 32, 64, 64, all 3 x 3), dropout (0.25, 0.25, 0.5), 512 dense units and RMSprop with
    learning rate 1e-4 as in its script, which follows an example of Keras. It is trained without
    the script's shifted and mirrored images and without its learning rate decay.
    """
    n_filters, dropout = _whole(params, "filters"), _number(params, "dropout")
    blocks: list[Layer] = []
    for filters in (n_filters, 2 * n_filters):
        blocks += [Conv(filters, 3, "same"), Conv(filters, 3), MaxPool(2), Dropout(dropout)]
    hidden = (Flatten(), Dense(_whole(params, "hidden")), Dropout(_number(params, "dropout_dense")))
    return _classifier((*blocks, *hidden), params, seed)


def _word(params: Params, name: str, words: tuple[str, str]) -> str:
    value = params[name]
    if value not in words:
        raise _wrong(name, value, f"{words[0]} or {words[1]}")
    return str(value)


def _whole(params: Params, name: str) -> int:
    value = params[name]
    if not isinstance(value, int) or value < 1:
        raise _wrong(name, value, "a whole number of at least 1")
    return value


def _number(params: Params, name: str) -> float:
    value = params[name]
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise _wrong(name, value, "at least 0 and below 1")
    return float(value)


def _wrong(name: str, value: ParamValue, wanted: str) -> ConfigError:
    return ConfigError(f"Parameter {name} must be {wanted}, got {value!r}.")


def _shape(params: Params) -> tuple[int, int, int]:
    """Read the parameter ``shape``."""
    found = _SHAPE.fullmatch(str(params["shape"]))
    if found is None:
        wanted = "height, width and channels of the feature map, such as shape=8x8x2048"
        raise _wrong("shape", params["shape"], wanted)
    height, width, channels = (int(size) for size in found.groups())
    return height, width, channels


def _map_of(name: str, least: int, params: Params, features: tuple[int, ...] | None) -> Params:
    """Keep the shape of the map; raise ConfigError for a vector or a map that is too small."""
    advice = (
        "Export the backbone with pooling='none', or fit the head on the feature baseline 'pixels'."
    )
    if params["shape"] is None:
        if features is None or len(features) != 3:  # noqa: PLR2004 - height, width, channels
            found = "of unknown shape" if features is None else f"vectors of {prod(features)}"
            msg = (
                f"Head {name!r} needs a feature map (height, width, channels); these features are "
                f"{found}. {advice}"
            )
            raise ConfigError(msg)
        params = {**params, "shape": "x".join(str(size) for size in features)}
    shape = _shape(params)
    if features is not None and prod(shape) != prod(features):
        msg = (
            f"Head {name!r} was given shape={params['shape']}, {prod(shape)} values; these "
            f"features have {prod(features)}. Correct the shape, or leave it out."
        )
        raise ConfigError(msg)
    if min(shape[:2]) < least:
        msg = (
            f"Head {name!r} needs a map of at least {least} x {least} cells; this one is "
            f"{params['shape']}. Export with a larger input_size, or from an earlier layer."
        )
        raise ConfigError(msg)
    return params


def _enough_to_hold_out(params: Params, labels: LabelArray) -> tuple[Params, tuple[str, ...]]:
    """Raise ConfigError if holding images out would leave a class without training images."""
    import numpy as np

    fraction = params["validation_fraction"]
    n_classes = len(np.unique(labels))
    if isinstance(fraction, int | float) and 0 < fraction < 1:
        left = len(labels) - ceil(fraction * len(labels))
        n_left = len(np.unique(labels[:left]))
        if params["validation"] == "last" and n_left < n_classes:
            msg = (
                f"validation=last holds out the last {len(labels) - left} training images, which "
                f"include all images of {n_classes - n_left} of the {n_classes} classes. Set "
                "validation=random, or lower validation_fraction."
            )
            raise ConfigError(msg)
        if left < n_classes:
            msg = (
                f"validation_fraction={fraction} leaves {left} of {len(labels)} training images "
                f"for {n_classes} classes. Lower it, or add training images."
            )
            raise ConfigError(msg)
    return params, ()


_COMMON: dict[str, Any] = {
    "adapt": _enough_to_hold_out,
    "requires": ("tensorflow", "keras", "tf2onnx"),
    "extra": "export",
}

DENSE = Head(
    name="dense",
    summary="One hidden layer of 1024 units with dropout, trained by RMSprop (needs export).",
    defaults={"hidden": 1024, "dropout": 0.5, **_TRAINING, "learning_rate": 2e-5},
    build=_dense,
    **_COMMON,
)

CONV = Head(
    name="conv",
    summary="One convolution on unpooled features, dropout, mean, softmax (needs export).",
    defaults={
        "shape": None,
        "filters": 100,
        "side": 2,
        "activation": "linear",
        "dropout": 0.4,
        "dropout_pooled": 0.3,
        **_TRAINING,
        "epochs": 50,
        "batch_size": 50,
        "validation_fraction": 0.2,
        "keep_best": True,
    },
    build=_conv,
    lay_out=lambda p, shape: _map_of("conv", _whole(p, "side"), p, shape),
    **_COMMON,
)

CNN4 = Head(
    name="cnn4",
    summary="Four convolutions trained from scratch, for raw pixels (needs export).",
    defaults={
        "shape": None,
        "filters": 32,
        "dropout": 0.25,
        "hidden": 512,
        "dropout_dense": 0.5,
        **_TRAINING,
        "learning_rate": 1e-4,
    },
    build=_cnn4,
    lay_out=partial(_map_of, "cnn4", 10),  # (n - 2) // 2 twice leaves one cell of ten
    **_COMMON,
)
