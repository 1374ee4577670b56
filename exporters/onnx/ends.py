"""Find the two ends of a network: the input that takes the image, and where its features are."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import onnx

from exporters.onnx.read import graphs_of
from tlbench.core.errors import ExportError, UnknownNameError
from tlbench.model import TensorInfo, tensor_info

Layout = Literal["NCHW", "NHWC"]
_CHANNELS, _RANK = 3, 4
_CHANNEL_AXIS = {"NCHW": 1, "NHWC": 3}
# The layout of what a Transpose reads and gives, by its permutation.
_BEFORE_TRANSPOSE: dict[tuple[int, ...], Layout] = {(0, 3, 1, 2): "NHWC", (0, 2, 3, 1): "NCHW"}
_AFTER_TRANSPOSE: dict[tuple[int, ...], Layout] = {(0, 3, 1, 2): "NCHW", (0, 2, 3, 1): "NHWC"}
_DTYPES = ("float32", "float16", "float64", "uint8")
# Operators on maps whose channels come second.
_CHANNELS_FIRST = frozenset(
    (
        *("AveragePool", "BatchNormalization", "Conv", "ConvInteger", "GlobalAveragePool"),
        *("GlobalMaxPool", "InstanceNormalization", "LRN", "MaxPool", "QLinearConv", "Resize"),
    )
)
# Operators between the last linear layer and the network's output, which it may be reached through.
_AFTER = frozenset(
    (
        *("Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "DequantizeLinear"),
        *("Dropout", "Flatten", "GlobalAveragePool", "Identity", "LogSoftmax", "LpNormalization"),
        *("QuantizeLinear", "ReduceMean", "Relu", "Reshape", "Sigmoid", "Softmax", "Squeeze"),
        *("Transpose", "Unsqueeze"),
    )
)
_PROBABILITIES = frozenset(("LogSoftmax", "Sigmoid", "Softmax"))
_PRODUCTS = frozenset(("Gemm", "MatMul", "QGemm", "QLinearMatMul", "MatMulInteger"))


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The input that takes the image; None for a height, width or batch that is open."""

    name: str
    dtype: str
    layout: Layout
    height: int | None
    width: int | None
    batch: int | None


@dataclass(frozen=True, slots=True)
class Ends:
    """The tensor of the features, and that of the logits."""

    features: str
    logits: str | None


class Network:
    """A graph by its tensors: which node computes each, and which are constant."""

    def __init__(self, model: onnx.ModelProto, label: str) -> None:
        self.label, self.graph = label, model.graph
        self.nodes = {name: node for node in self.graph.node for name in node.output if name}
        self.constants = {tensor.name for tensor in self.graph.initializer}
        for node in self.graph.node:  # a constant may be computed from others
            if all(not name or name in self.constants for name in node.input) and not any(
                True for _ in _inner_graphs(node)
            ):
                self.constants.update(node.output)

    # -- the image -----------------------------------------------------------------------------

    def image_input(self, layout: str | None) -> ImageInput:
        """Return the input that takes the image; raise ExportError unless it is the only input."""
        found = [tensor_info(one) for one in self.graph.input if one.name not in self.constants]
        shown = "; ".join(f"{one.name}: {one}" for one in found) or "none"
        images = [one for one in found if one.shape is None or len(one.shape) == _RANK]
        if len(images) != 1 or len(found) != 1:
            reason = f"has {len(images)} image inputs" if len(images) != 1 else "has other inputs"
            msg = (
                f"{self.label} {reason}, and a backbone has one: an image (N, C, H, W) or "
                f"(N, H, W, C). Found: {shown}. Export the network with the image alone as input."
            )
            raise ExportError(msg)
        (image,) = images
        if image.dtype not in _DTYPES:
            msg = (
                f"{image.name} of {self.label} is {image.dtype}; an image must be one of "
                f"{', '.join(_DTYPES)}."
            )
            raise ExportError(msg)
        return self._with_layout(image, layout)

    def _with_layout(self, image: TensorInfo, chosen: str | None) -> ImageInput:
        shape = image.shape or (None,) * _RANK
        lengths = [axis if isinstance(axis, int) else None for axis in shape]
        fitting: list[Layout] = [
            name for name, axis in _LAYOUTS if lengths[axis] in {None, _CHANNELS}
        ]
        if not fitting:
            msg = (
                f"{image.name} of {self.label} has shape {image}: it must have 3 channels, as "
                "second axis (nchw) or as last (nhwc)."
            )
            raise ExportError(msg)
        stated = [name for name in fitting if lengths[_CHANNEL_AXIS[name]] == _CHANNELS]
        found = stated if len(stated) == 1 else []
        if chosen is not None:
            found = [name for name in fitting if name == chosen.upper()]
            if not found:
                msg = f"layout={chosen!r} contradicts the shape of {image.name}: {image}."
                raise ExportError(msg)
        read = None if found else self._layout_that_is_read(image.name)
        if not found and read not in fitting:
            msg = (
                f"The shape of {image.name} in {self.label} does not tell its layout: {image}. "
                "Give layout='nchw' or layout='nhwc'."
            )
            raise ExportError(msg)
        layout = found[0] if found else read
        assert layout is not None
        height, width = lengths[2:] if layout == "NCHW" else lengths[1:3]
        return ImageInput(image.name, image.dtype, layout, height, width, lengths[0])

    def _layout_that_is_read(self, tensor: str) -> Layout | None:
        """Return the layout that the first operator that cares expects of the tensor."""
        same = {tensor}
        for node in self.graph.node:
            if not same.intersection(node.input):
                continue
            if node.op_type in _CHANNELS_FIRST and node.input[0] in same:
                return "NCHW"
            if node.op_type == "Transpose":
                return _BEFORE_TRANSPOSE.get(permutation(node))
            same.update(node.output)
        return None

    def map_layout(self, tensor: str) -> Layout | None:
        """Return the layout of a map inside the network, from the operators that computed it."""
        while (node := self.nodes.get(tensor)) is not None:
            if node.op_type in _CHANNELS_FIRST:
                return "NCHW"
            if node.op_type == "Transpose":
                return _AFTER_TRANSPOSE.get(permutation(node))
            inputs = [name for name in node.input if name and name not in self.constants]
            if not inputs or node.op_type in {"Reshape", "Flatten", "MatMul", "Gemm"}:
                return None
            tensor = inputs[0]
        return None

    # -- features and logits -------------------------------------------------------------------

    def ends(self, layer: str | None, top_output: str | None, *, top: bool) -> Ends:
        """Return the tensors of the features and of the logits, by name or as they are found."""
        last = self.graph.output[0].name
        logits = self._before_softmax(last) if top else None
        if top_output is not None:
            logits = last = self.find(top_output, "top_output")
        if layer is not None:
            return Ends(self.find(layer, "layer"), logits)
        return Ends(self._input_of_classifier(last, are_classes=top_output is not None), logits)

    def find(self, name: str, option: str) -> str:
        """Return the tensor of that name; raise UnknownNameError with those that are similar."""
        if name in self.nodes and name not in self.constants:
            return name
        named = {node.name: node.output[0] for node in self.graph.node if node.name}
        known = [one for one in self.nodes if one not in self.constants]
        hint = ""
        if name in named and named[name] in self.nodes:
            hint = f" It is a node. Did you mean its output {named[name]!r}?"
        elif near := difflib.get_close_matches(name, known, n=4, cutoff=0.5):
            hint = f" Did you mean {near[0]!r}? Close matches: {', '.join(near)}."
        msg = (
            f"{option}={name!r} is not a tensor that {self.label} computes from the image.{hint} "
            f"`tlbench inspect {self.label} --tensors` lists all {len(known)}."
        )
        raise UnknownNameError(msg)

    def _before_softmax(self, output: str) -> str:
        tensor = output
        while (node := self.nodes.get(tensor)) is not None and node.op_type in _AFTER:
            if node.op_type in _PROBABILITIES:
                return str(node.input[0])
            if node.op_type in {"Add", "BatchNormalization"}:  # a part of the linear layer
                break
            tensor = node.input[0]
        return output

    def _input_of_classifier(self, output: str, *, are_classes: bool) -> str:
        """Return what the last linear layer before *output* reads.

        A convolution of one pixel with an activation behind it may as well be the end of a network
        without classifier, unless *are_classes* or a softmax says that there is one.
        """
        tensor, has_activation = output, False
        while (node := self.nodes.get(tensor)) is not None:
            are_classes |= node.op_type in _PROBABILITIES
            has_activation |= node.op_type in {"Relu", "Clip"}
            data = [name for name in node.input if name and name not in self.constants]
            if node.op_type in _PRODUCTS and len(data) == 1:
                return self._before_quantisation(data[0])
            if _is_pointwise(node, self) and (are_classes or not has_activation):
                return self._before_quantisation(data[0])
            if node.op_type not in _AFTER or len(data) != 1:
                break
            tensor = data[0]
        ended = f"{node.op_type} gives {tensor!r}" if node is not None else f"{tensor!r} is read"
        msg = (
            f"{self.label} does not end in a linear layer: before {output!r}, {ended}. Choose the "
            f"tensor of the features with layer=...; `tlbench inspect {self.label} --tensors` "
            "lists them."
        )
        raise ExportError(msg)

    def _before_quantisation(self, tensor: str) -> str:
        """Return the same values as floating-point numbers, where a classifier reads integers."""
        node = self.nodes.get(tensor)
        if node is None:
            raise ExportError(
                f"The first layer of {self.label} is its classifier: it has no features."
            )
        return node.input[0] if node.op_type == "QuantizeLinear" else tensor


_LAYOUTS: tuple[tuple[Layout, int], ...] = (("NCHW", 1), ("NHWC", 3))


def permutation(node: onnx.NodeProto) -> tuple[int, ...]:
    """Return the permutation of a Transpose; an empty one where it reverses the axes."""
    return tuple(i for one in node.attribute if one.name == "perm" for i in one.ints)


def _is_pointwise(node: onnx.NodeProto, network: Network) -> bool:
    """Tell whether a node is a convolution with a kernel of one pixel, a linear layer as well."""
    if node.op_type != "Conv" or node.input[1] not in network.constants:
        return False
    kernel = [tuple(one.ints) for one in node.attribute if one.name == "kernel_shape"]
    shapes = {tensor.name: tuple(tensor.dims)[2:] for tensor in network.graph.initializer}
    return (kernel[0] if kernel else shapes.get(node.input[1])) == (1, 1)


def _inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    holder = onnx.GraphProto(node=[node])
    graphs = graphs_of(holder)
    next(graphs)
    yield from graphs
