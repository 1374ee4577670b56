"""The EfficientNet-Lite family: its blocks, its parameters and its ONNX graph.

Tan and Le (2019), arXiv:1905.11946, with the changes of the Lite variants: no
squeeze-and-excitation, ReLU6 instead of swish, and stem, head and the number of blocks in the first
and last stage are not scaled.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from exporters.common.state_dict import StateDict
from tlbench.model import NETWORK_INPUT

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
N_CLASSES = 1000
BATCH_NORM_EPSILON = 1e-3

# Of EfficientNet-B0: repeats, kernel, stride of the first block, expansion, channels out.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted residual block: expand (unless 1), depthwise convolution, project."""

    kernel: int
    stride: int
    expansion: int
    channels_in: int
    channels_out: int

    @property
    def has_shortcut(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.channels_in == self.channels_out

    def layers(self, position: int) -> list["Layer"]:
        """Return its convolutions, first to last."""
        prefix, inside = f"_blocks.{position}", self.channels_in * self.expansion
        expand, project = (inside, self.channels_in, 1, 1), (self.channels_out, inside, 1, 1)
        depthwise = (inside, 1, self.kernel, self.kernel)
        layers = [
            Layer(f"{prefix}._expand_conv", f"{prefix}._bn0", expand),
            Layer(f"{prefix}._depthwise_conv", f"{prefix}._bn1", depthwise, self.stride),
            Layer(f"{prefix}._project_conv", f"{prefix}._bn2", project, has_relu6=False),
        ]
        return layers[1:] if self.expansion == 1 else layers


class Layer(NamedTuple):
    """A convolution and its batch normalisation, by their names in PyTorch's files, then ReLU6."""

    weight: str
    norm: str
    shape: tuple[int, int, int, int]  # of the kernel: (out, in / groups, height, width)
    stride: int = 1
    has_relu6: bool = True


STEM = Layer("_conv_stem", "_bn0", (STEM_CHANNELS, 3, 3, 3), 2)


def head_layer(channels_in: int) -> Layer:
    """Return the convolution behind the last block."""
    return Layer("_conv_head", "_bn1", (HEAD_CHANNELS, channels_in, 1, 1))


def _round_channels(channels: int, width: float, divisor: int = 8) -> int:
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


def blocks(width: float, depth: float) -> list[Block]:
    """Return the blocks of the variant with these width and depth coefficients, first to last."""
    result = []
    channels_in = STEM_CHANNELS
    for position, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES):
        channels_out = _round_channels(channels, width)
        is_scaled = 0 < position < len(_STAGES) - 1
        for repeat in range(math.ceil(depth * repeats) if is_scaled else repeats):
            result.append(
                Block(kernel, stride if repeat == 0 else 1, expansion, channels_in, channels_out)
            )
            channels_in = channels_out
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """The network to build: its blocks, its input size in pixels, and its outputs."""

    blocks: list[Block]
    input_size: int
    layer: str = "head"  # "stem", "blocks.0" and so on, or "head"
    pooling: str = "avg"
    top: bool = False  # whether the logits are a second output


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after one axis, as TensorFlow's ``SAME`` places them."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def parameter_shapes(network: list[Block]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of a network, by its name in PyTorch's files."""
    inner = [layer for i, block in enumerate(network) for layer in block.layers(i)]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in (STEM, *inner, head_layer(network[-1].channels_out)):
        shapes[f"{layer.weight}.weight"] = layer.shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{layer.norm}.{part}"] = layer.shape[:1]
    return shapes | {"_fc.weight": (N_CLASSES, HEAD_CHANNELS), "_fc.bias": (N_CLASSES,)}


@dataclass
class LiteGraph:
    """A graph under construction. ``taps`` maps the name of a layer to its tensor and (H, W, C)."""

    state: StateDict
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    taps: dict[str, tuple[str, tuple[int, int, int]]] = field(default_factory=dict)

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node with one output; return the output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add an initializer once; return its name."""
        self.constants.setdefault(name, numpy_helper.from_array(value, name))
        return name

    def convolution(self, source: str, layer: Layer, size: int) -> tuple[str, int]:
        """Append convolution, folded batch normalisation and ReLU6; return tensor and new size."""
        weight, (n_out, n_in, extent, _) = layer.weight, layer.shape
        kernel, bias = self._fold(weight, layer.norm)
        before, after = same_padding(size, extent, layer.stride)
        inputs = [self.constant(f"{weight}.kernel", kernel), self.constant(f"{weight}.bias", bias)]
        output = self.node(
            "Conv",
            [source, *inputs],
            weight,
            strides=[layer.stride, layer.stride],
            pads=[before, before, after, after],
            group=n_out if n_in == 1 else 1,  # depthwise, or dense
        )
        if layer.has_relu6:
            zero = self.constant("zero", np.zeros((), np.float32))
            six = self.constant("six", np.full((), 6, np.float32))
            output = self.node("Clip", [output, zero, six], f"{weight}.relu6")
        return output, -(-size // layer.stride)

    def _fold(self, weight: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # In float64, so that folding costs no accuracy against normalising after the convolution.
        gamma, beta, mean, variance = (
            self.state[f"{norm}.{name}"].astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        kernel = self.state[f"{weight}.weight"] * scale.reshape(-1, 1, 1, 1)
        return kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)

    def pooled(self, layer: str, pooling: str, output: str) -> tuple[int, ...]:
        """Append the pooling of a tapped layer as graph output *output*; return its shape."""
        tensor, (height, width, channels) = self.taps[layer]
        if pooling == "none":
            tensor = self.node("Transpose", [tensor], f"{output}.nhwc", perm=[0, 2, 3, 1])
        else:
            operator = {"avg": "GlobalAveragePool", "max": "GlobalMaxPool"}[pooling]
            tensor = self.node(operator, [tensor], f"{output}.pooled")
        self.node("Flatten", [tensor], output, axis=1)
        return (height, width, channels) if pooling == "none" else (channels,)


def build_network(
    state: StateDict, spec: NetworkSpec, *, opset: int
) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """Return the network without preprocessing, and the shape of one image's features.

    Its input is (N, 3, height, width), its outputs ``features`` and, with the top, ``logits``.
    """
    graph = LiteGraph(state)
    tensor, size = graph.convolution(NETWORK_INPUT, STEM, spec.input_size)
    graph.taps["stem"] = tensor, (size, size, STEM_CHANNELS)
    for position, block in enumerate(spec.blocks):
        source = tensor
        for layer in block.layers(position):
            tensor, size = graph.convolution(tensor, layer, size)
        if block.has_shortcut:
            tensor = graph.node("Add", [tensor, source], f"_blocks.{position}.add")
        graph.taps[f"blocks.{position}"] = tensor, (size, size, block.channels_out)
        if spec.layer == f"blocks.{position}" and not spec.top:
            break
    else:
        tensor, size = graph.convolution(tensor, head_layer(block.channels_out), size)
        graph.taps["head"] = tensor, (size, size, HEAD_CHANNELS)
    feature_shape = graph.pooled(spec.layer, spec.pooling, "features")
    outputs = {"features": int(np.prod(feature_shape))}
    if spec.top:
        graph.pooled("head", "avg", "pooled_head")
        weight = graph.constant("_fc.weight", state["_fc.weight"])
        bias = graph.constant("_fc.bias", state["_fc.bias"])
        graph.node("Gemm", ["pooled_head", weight, bias], "logits", transB=1)
        outputs["logits"] = len(state["_fc.bias"])
    opsets = [helper.make_opsetid("", opset)]
    shape: list[str | int] = ["N", 3, spec.input_size, spec.input_size]
    network = helper.make_graph(
        graph.nodes,
        "efficientnet-lite",
        [helper.make_tensor_value_info(NETWORK_INPUT, TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
            for name, size in outputs.items()
        ],
        list(graph.constants.values()),
    )
    ir_version = helper.find_min_ir_version_for(opsets)
    model = helper.make_model(network, opset_imports=opsets, ir_version=ir_version)
    return model, feature_shape


def random_state_dict(shapes: dict[str, tuple[int, ...]], seed: int) -> StateDict:
    """Return He-normal convolutions and identity batch normalisation of the given shapes."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        values = np.full(shape, 1.0 if name.endswith(("running_var", "weight")) else 0.0)
        if len(shape) > 1:
            fan_in = int(np.prod(shape[1:]))
            values = generator.normal(0, np.sqrt(2 / fan_in), shape)
        state[name] = values.astype(np.float32)
    return state
