"""An exported backbone as a PyTorch module: the same operators and weights, read from the file.

For comparisons of speed on one graph. It knows the operators that the exports of EfficientNet-Lite,
ResNet and Inception consist of, and refuses others by name.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor
from torch.nn import functional

__all__ = ["OnnxModule"]

_TYPES = {onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.FLOAT16: torch.float16}


class OnnxModule(torch.nn.Module):
    """The network of an ``.onnx`` file; called with uint8 images (N, H, W, 3).

    Raises ValueError for an operator, or a form of one, that it does not know.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(path).graph
        self._small: dict[str, np.ndarray] = {}  # shapes and sizes: never on a device
        self._buffer_names: dict[str, str] = {}
        constants = [(each.name, numpy_helper.to_array(each)) for each in graph.initializer]
        constants += [
            (node.output[0], numpy_helper.to_array(_attributes(node)["value"]))
            for node in graph.node
            if node.op_type == "Constant"
        ]
        for number, (name, value) in enumerate(constants):
            self._small[name] = value
            if value.dtype.kind == "f":
                self._buffer_names[name] = f"constant_{number}"
                self.register_buffer(f"constant_{number}", torch.from_numpy(value.copy()))
        self._input, self._output = graph.input[0].name, graph.output[0].name
        self._steps = []
        for node in graph.node:
            if node.op_type == "Constant":
                continue
            if node.op_type not in _OPERATORS:
                raise ValueError(f"{path.name}: {node.op_type} is not known here")
            self._steps.append((node, _attributes(node), _OPERATORS[node.op_type]))

    def forward(self, images: Tensor) -> Tensor:
        """Return the features, float32 (N, n_features)."""
        values = {self._input: images}
        values |= {name: getattr(self, buffer) for name, buffer in self._buffer_names.items()}
        for node, attributes, operator in self._steps:
            arguments = [values.get(name, self._small.get(name)) for name in node.input]
            values[node.output[0]] = operator(attributes, *arguments)
        found = values[self._output]
        return found.reshape(len(found), -1)


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _padded(
    attributes: dict, images: Tensor, kernel: tuple[int, ...], *, fill: float = 0.0
) -> tuple[Tensor, tuple[int, int]]:
    """Return the images with what padding PyTorch's layers cannot express, and what they can."""
    if attributes.get("auto_pad", b"NOTSET") not in {b"NOTSET", b"VALID"}:
        pads = _same(attributes, images, kernel)
    else:
        pads = attributes.get("pads", [0, 0, 0, 0])
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return images, (top, left)
    return functional.pad(images, (left, right, top, bottom), value=fill), (0, 0)


def _same(attributes: dict, images: Tensor, kernel: tuple[int, ...]) -> list[int]:
    """Return the pads of SAME_UPPER and SAME_LOWER, as ONNX defines them."""
    before, after = [], []
    for axis, (size, step) in enumerate(
        zip(kernel, attributes.get("strides", (1, 1)), strict=True)
    ):
        length = images.shape[2 + axis]
        total = max(0, (-(-length // step) - 1) * step + size - length)
        low = total // 2 if attributes["auto_pad"] == b"SAME_UPPER" else total - total // 2
        before.append(low)
        after.append(total - low)
    return [*before, *after]


def _conv(attributes: dict, images: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    images, padding = _padded(attributes, images, tuple(kernel.shape[2:]))
    return functional.conv2d(
        images,
        kernel,
        bias,
        stride=attributes.get("strides", (1, 1)),
        padding=padding,
        dilation=attributes.get("dilations", (1, 1)),
        groups=attributes.get("group", 1),
    )


def _max_pool(attributes: dict, images: Tensor) -> Tensor:
    kernel = tuple(attributes["kernel_shape"])
    images, padding = _padded(attributes, images, kernel, fill=float("-inf"))
    return functional.max_pool2d(images, kernel, attributes.get("strides", (1, 1)), padding)


def _average_pool(attributes: dict, images: Tensor) -> Tensor:
    kernel, counted = (
        tuple(attributes["kernel_shape"]),
        bool(attributes.get("count_include_pad", 0)),
    )
    padded, padding = _padded(attributes, images, kernel)
    if padded is not images and not counted:
        raise ValueError("AveragePool with unequal padding that is not counted")
    return functional.avg_pool2d(
        padded, kernel, attributes.get("strides", (1, 1)), padding, count_include_pad=counted
    )


def _resize(attributes: dict, images: Tensor, _roi, scales=None, sizes=None) -> Tensor:
    mode = attributes.get("coordinate_transformation_mode", b"half_pixel")
    if attributes.get("mode") != b"linear" or mode != b"half_pixel" or sizes is None:
        raise ValueError(f"Resize by {attributes.get('mode')}, {mode} to sizes {sizes}")
    size = tuple(int(each) for each in sizes[-2:])
    return functional.interpolate(images, size=size, mode="bilinear", align_corners=False)


def _mean(attributes: dict, images: Tensor, axes=None) -> Tensor:
    chosen = attributes.get("axes", axes)
    return images.mean(
        dim=tuple(int(axis) for axis in chosen), keepdim=bool(attributes.get("keepdims", 1))
    )


def _pad(attributes: dict, images: Tensor, pads, value=None) -> Tensor:
    if attributes.get("mode", b"constant") != b"constant":
        raise ValueError(f"Pad by {attributes['mode']}")
    half = len(pads) // 2
    flat = [int(pads[axis + side * half]) for axis in reversed(range(half)) for side in (0, 1)]
    return functional.pad(images, flat, value=0.0 if value is None else float(value))


def _clip(_: dict, images: Tensor, low=None, high=None) -> Tensor:
    return images.clamp(None if low is None else low, None if high is None else high)


def _gather(attributes: dict, images: Tensor, indices) -> Tensor:
    """Take slices by numbers that stand in the file: red, green and blue in another order."""
    axis = attributes.get("axis", 0)
    return torch.cat([images.narrow(axis, int(i), 1) for i in indices], dim=axis)


def _gemm(attributes: dict, left: Tensor, right: Tensor, bias=None) -> Tensor:
    if attributes.get("transA", 0):
        left = left.T
    product = attributes.get("alpha", 1.0) * (
        left @ (right.T if attributes.get("transB") else right)
    )
    return product if bias is None else product + attributes.get("beta", 1.0) * bias


def _shape(attributes: dict, images: Tensor) -> np.ndarray:
    """Return sizes as NumPy integers: what is computed from them is never on a device."""
    return np.array(images.shape[attributes.get("start", 0) : attributes.get("end")])


def _slice(_: dict, images: Tensor, begins, ends, axes, steps=None) -> Tensor:
    """Cut a window: the crop to a square."""
    if steps is not None:
        raise ValueError(f"Slice with steps {steps}")
    for axis, begin, end in zip(axes, begins, ends, strict=True):
        images = images.narrow(int(axis), int(begin), int(end) - int(begin))
    return images


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, a, b: a + b,
    "AveragePool": _average_pool,
    "Cast": lambda attributes, images: images.to(_TYPES[attributes["to"]]),
    "Clip": _clip,
    "Concat": lambda attributes, *parts: torch.cat(parts, dim=attributes["axis"]),
    "Conv": _conv,
    # Of sizes, which are positive integers: ONNX and NumPy round alike there.
    "Div": lambda _, a, b: a // b,
    "Flatten": lambda attributes, images: images.flatten(attributes.get("axis", 1)),
    "Gemm": _gemm,
    "Gather": _gather,
    "GlobalAveragePool": lambda _, images: images.mean(dim=(2, 3), keepdim=True),
    "Identity": lambda _, images: images,
    "MatMul": lambda _, a, b: a @ b,
    "MaxPool": _max_pool,
    "Mul": lambda _, a, b: a * b,
    "Pad": _pad,
    "ReduceMean": _mean,
    "ReduceMin": lambda _, sizes: sizes.min(keepdims=True),
    "Relu": lambda _, images: functional.relu(images),
    "Reshape": lambda _, images, shape: images.reshape(tuple(int(n) for n in shape)),
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": lambda _, images, axes: images.squeeze(tuple(int(axis) for axis in axes)),
    "Sub": lambda _, a, b: a - b,
    "Transpose": lambda attributes, images: images.permute(tuple(attributes["perm"])),
}
