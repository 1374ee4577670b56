"""A trained network of layers as nodes: vectors, or maps (H, W, C) that become (C, H, W) inside."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tlbench.fusion.nodes import Nodes

_MAP = 3  # dimensions of an example: height, width, channels


def add_network(nodes: Nodes, estimator: Any, source: str) -> str | None:  # noqa: ANN401
    """Append the layers of a network head; return its scores before the softmax.

    Parameters
    ----------
    estimator : object
        With ``layers`` (records named Dense, Conv, Dropout, MaxPool, GlobalAveragePool or Flatten),
        ``weights_`` (kernel and bias of each Dense and Conv, the last Dense included, which is not
        among the layers) and ``shape`` of one example, None for a vector.

    Returns
    -------
    str or None
        None for a layer that is not known.
    """
    shape = getattr(estimator, "shape", None)
    if shape is not None and len(shape) == _MAP:
        if nodes.arithmetic != "float32":  # ONNX Runtime has no other convolution on the CPU
            source = nodes.cast(source, "float32")
        whole = nodes.constant(np.array([-1, *shape], dtype=np.int64))
        source = nodes.node("Reshape", source, whole)
        source = nodes.node("Transpose", source, perm=[0, 3, 1, 2])
    weights = iter(estimator.weights_)
    for layer in estimator.layers:
        known = _LAYERS.get(type(layer).__name__)
        if known is None or getattr(layer, "activation", "linear") not in {"linear", "relu"}:
            return None
        source = known(nodes, layer, weights, source)
        if getattr(layer, "activation", "linear") == "relu":
            source = nodes.node("Relu", source)
    kernel, bias = next(weights)
    return nodes.linear(source, kernel, bias)


def _same(nodes: Nodes, layer: Any, weights: Iterator[Any], source: str) -> str:  # noqa: ANN401
    """Dropout acts on training only."""
    del nodes, layer, weights
    return source


def _dense(nodes: Nodes, layer: Any, weights: Iterator[Any], source: str) -> str:  # noqa: ANN401
    del layer
    kernel, bias = next(weights)
    return nodes.linear(source, kernel, bias)


def _conv(nodes: Nodes, layer: Any, weights: Iterator[Any], source: str) -> str:  # noqa: ANN401
    kernel, bias = next(weights)  # (side, side, channels, filters)
    outward = np.asarray(kernel, dtype=np.float32).transpose(3, 2, 0, 1)
    before = after = 0
    if layer.padding == "same":  # of an even kernel, the odd cell is below and to the right
        before, after = (layer.side - 1) // 2, layer.side // 2
    return nodes.node(
        "Conv",
        source,
        nodes.constant(outward),
        nodes.constant(np.asarray(bias, dtype=np.float32)),
        pads=[before, before, after, after],
    )


def _max_pool(nodes: Nodes, layer: Any, weights: Iterator[Any], source: str) -> str:  # noqa: ANN401
    del weights
    square = [layer.side, layer.side]
    return nodes.node("MaxPool", source, kernel_shape=square, strides=square)


def _mean(nodes: Nodes, layer: Any, weights: Iterator[Any], source: str) -> str:  # noqa: ANN401
    del layer, weights
    return _vector(nodes, nodes.node("GlobalAveragePool", source))


def _flatten(nodes: Nodes, layer: Any, weights: Iterator[Any], source: str) -> str:  # noqa: ANN401
    """In the order (H, W, C)."""
    del layer, weights
    return _vector(nodes, nodes.node("Transpose", source, perm=[0, 2, 3, 1]))


def _vector(nodes: Nodes, source: str) -> str:
    flat = nodes.node("Flatten", source, axis=1)
    return flat if nodes.arithmetic == "float32" else nodes.cast(flat, nodes.arithmetic)


_LAYERS: Mapping[str, Callable[[Nodes, Any, Iterator[Any], str], str]] = {
    "Dense": _dense,
    "Conv": _conv,
    "Dropout": _same,
    "MaxPool": _max_pool,
    "GlobalAveragePool": _mean,
    "Flatten": _flatten,
}
