"""EfficientNet-Lite in plain numpy, the reference that every exported graph is verified against.

It follows the architecture and not the graph: batch normalisation is not folded, a resize is its
formula. The tests compare it with PyTorch on the published weights.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from exporters.common.preprocess import BILINEAR, Resize
from exporters.common.resize import resize_bicubic, resize_bilinear, resize_nearest
from exporters.common.state_dict import StateDict
from exporters.lite.network import BATCH_NORM_EPSILON, Block, NetworkSpec, same_padding
from tlbench.core.arrays import FloatArray, ImageArray

_Array = NDArray[np.float32]


def _convolve(images: _Array, kernel: _Array, stride: int) -> _Array:
    n_out, n_in, size, _ = kernel.shape
    height, width = images.shape[2:]
    edges = (same_padding(height, size, stride), same_padding(width, size, stride))
    padded = np.pad(images, ((0, 0), (0, 0), *edges))
    rows, columns = -(-height // stride), -(-width // stride)
    result = np.zeros((len(images), n_out, rows, columns), np.float32)
    for i in range(size):
        for j in range(size):
            window = padded[:, :, i::stride, j::stride][:, :, :rows, :columns]
            if n_in == 1:  # depthwise
                result += window * kernel[:, 0, i, j].reshape(1, -1, 1, 1)
            else:
                flat = kernel[:, :, i, j] @ window.reshape(len(images), n_in, -1)
                result += flat.reshape(result.shape)
    return result


def _normalise(images: _Array, state: StateDict, name: str) -> _Array:
    gamma, beta, mean, variance = (
        state[f"{name}.{part}"].reshape(1, -1, 1, 1)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale: _Array = gamma / np.sqrt(variance + np.float32(BATCH_NORM_EPSILON))
    return (images - mean) * scale + beta


def _relu6(images: _Array) -> _Array:
    return np.clip(images, 0, 6)


def _layers(images: _Array, state: StateDict, network: list[Block]) -> Iterator[tuple[str, _Array]]:
    x = _relu6(_normalise(_convolve(images, state["_conv_stem.weight"], 2), state, "_bn0"))
    yield "stem", x
    for position, block in enumerate(network):
        shortcut, prefix = x, f"_blocks.{position}"
        if block.expansion != 1:
            x = _convolve(x, state[f"{prefix}._expand_conv.weight"], 1)
            x = _relu6(_normalise(x, state, f"{prefix}._bn0"))
        x = _convolve(x, state[f"{prefix}._depthwise_conv.weight"], block.stride)
        x = _relu6(_normalise(x, state, f"{prefix}._bn1"))
        x = _convolve(x, state[f"{prefix}._project_conv.weight"], 1)
        x = _normalise(x, state, f"{prefix}._bn2")
        if block.has_shortcut:
            x = x + shortcut
        yield f"blocks.{position}", x
    yield "head", _relu6(_normalise(_convolve(x, state["_conv_head.weight"], 1), state, "_bn1"))


def reference_outputs(
    images: ImageArray, state: StateDict, spec: NetworkSpec, resize: Resize = BILINEAR
) -> list[FloatArray]:
    """Return the features (N, n_features) of raw images (N, H, W, 3) and, with the top, logits."""
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32)
    if resize.mode == "nearest":
        pixels = resize_nearest(pixels, spec.input_size)
    else:
        resized = resize_bilinear if resize.mode == "linear" else resize_bicubic
        pixels = resized(pixels, spec.input_size, antialias=resize.antialias)
    outputs: dict[str, FloatArray] = {}
    for name, x in _layers((pixels - np.float32(127)) / np.float32(128), state, spec.blocks):
        if name == spec.layer:
            outputs["features"] = {
                "avg": lambda x: x.mean(axis=(2, 3)),
                "max": lambda x: x.max(axis=(2, 3)),
                "none": lambda x: x.transpose(0, 2, 3, 1).reshape(len(x), -1),
            }[spec.pooling](x)
            if not spec.top:
                break
        if name == "head" and spec.top:
            outputs["logits"] = x.mean(axis=(2, 3)) @ state["_fc.weight"].T + state["_fc.bias"]
    return list(outputs.values())
