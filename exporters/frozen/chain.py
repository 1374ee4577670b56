"""Recognise the preprocessing at the start of a frozen graph: a resize, then steps on pixels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporters.common.preprocess import BILINEAR, Resize, Step
from exporters.frozen.graph import FrozenGraph, data_inputs, flag
from tlbench.core.errors import ExportError

_LEGACY = Resize(
    text="bilinear, asymmetric (as in TensorFlow 1), no antialiasing", coordinates="asymmetric"
)
_ALIGNED = Resize(text="bilinear, corners aligned, no antialiasing", coordinates="align_corners")
_PASSES_ON = {"Identity", "StopGradient", "CheckNumerics"}
_OPERATORS = {"Sub": "Sub", "Add": "Add", "AddV2": "Add", "Mul": "Mul", "RealDiv": "Div"}
_SYMBOLS = {"Sub": "-", "Add": "+", "Mul": "*", "Div": "/"}
_COMMUTING = {"Add", "Mul"}
_CHANNELS = 3

_Readers = defaultdict[str, list[Any]]  # by tensor: the nodes that read it


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What the graph does to an image before the network."""

    cut: str  # the tensor that the chain ends in: float32, (1, height, width, 3)
    size: tuple[int, int]  # height and width that the graph resizes to
    resize: Resize
    steps: tuple[Step, ...]
    adds_batch: bool  # whether the input is one image (H, W, 3), made a batch by an ExpandDims

    @property
    def text(self) -> str:
        """The steps as text."""
        text = "x"
        for step in self.steps:
            values = [f"{value:.7g}" for value in step.values]
            operand = values[0] if len(values) == 1 else f"({', '.join(values)})"
            inner = text if text == "x" else f"({text})"
            text = f"{inner} {_SYMBOLS[step.operator]} {operand}"
        return text


def find_chain(graph: FrozenGraph, input_tensor: str, outputs: Sequence[str]) -> Chain:
    """Follow the image from *input_tensor* to where the network begins.

    After the resize the chain goes on as far as each tensor is read once, by sums and products.
    """
    readers: _Readers = defaultdict(list)
    for node in graph.needed(outputs, stop=(input_tensor,)):
        for name in set(data_inputs(node)):
            readers[name].append(node)
    if not readers[input_tensor]:
        msg = f"{', '.join(outputs)} of {graph.label} does not depend on {input_tensor}."
        raise ExportError(msg)
    resize, adds_batch = _to_the_resize(graph, readers, input_tensor)
    size = graph.constant(list(data_inputs(resize))[1])
    if size is None or size.shape != (2,):
        msg = f"{resize.name} of {graph.label} resizes to a size that is not constant."
        raise ExportError(msg)
    cut, steps = _steps(graph, readers, resize.name, outputs)
    height, width = (int(edge) for edge in size)
    how = _LEGACY
    if flag(resize, "half_pixel_centers"):
        how = BILINEAR
    elif flag(resize, "align_corners"):
        how = _ALIGNED
    return Chain(cut=cut, size=(height, width), resize=how, steps=steps, adds_batch=adds_batch)


def _to_the_resize(graph: FrozenGraph, readers: _Readers, input_tensor: str) -> tuple[Any, bool]:
    """Return the node that resizes, and whether the batch axis is added on the way to it."""
    adds_batch, tensor = False, input_tensor
    while True:
        if len(readers[tensor]) != 1:
            names = ", ".join(sorted(node.name for node in readers[tensor])) or "no node"
            msg = (
                f"Between {input_tensor} and the resize of {graph.label}, the image goes to "
                f"{names}; tlbench can follow it only while exactly one node reads it."
            )
            raise ExportError(msg)
        (node,) = readers[tensor]
        if node.op == "ResizeBilinear":
            return node, adds_batch
        passes_on = node.op in _PASSES_ON | {"Cast"}
        if node.op == "ExpandDims" and not adds_batch:
            axis = graph.constant(list(data_inputs(node))[1])
            passes_on = axis is not None and axis.size == 1 and int(axis.item()) == 0
            adds_batch = passes_on
        if not passes_on:
            msg = (
                f"{input_tensor} of {graph.label} is followed by {node.name} ({node.op}). tlbench "
                "exports graphs that take raw images: Cast and ExpandDims, then ResizeBilinear to "
                "a constant size. Name the tensor before these as input_tensor."
            )
            raise ExportError(msg)
        tensor = node.name


def _steps(
    graph: FrozenGraph, readers: _Readers, tensor: str, outputs: Sequence[str]
) -> tuple[str, tuple[Step, ...]]:
    """Return the tensor that the steps after *tensor* end in, and the steps."""
    steps: list[Step] = []
    while len(readers[tensor]) == 1 and tensor not in outputs:
        node = readers[tensor][0]
        if node.op not in _PASSES_ON:
            step = _step(graph, node, tensor, number=len(steps))
            if step is None:
                break
            steps.append(step)
        tensor = node.name
    return tensor, tuple(steps)


def _step(graph: FrozenGraph, node: Any, tensor: str, *, number: int) -> Step | None:  # noqa: ANN401
    """Return *node* as a step on *tensor*, or None if it is not one."""
    operator = _OPERATORS.get(node.op)
    inputs = list(data_inputs(node))
    if operator is None or inputs.count(tensor) != 1:
        return None
    position = inputs.index(tensor)
    if position == 1 and operator not in _COMMUTING:
        return None
    values = graph.constant(inputs[1 - position])
    if values is None or values.dtype != np.float32 or values.size not in {1, _CHANNELS}:
        return None
    if values.size == _CHANNELS and values.shape[-1] != _CHANNELS:
        return None  # along another axis than the channels'
    return Step(f"{node.op.lower()}_{number}", operator, values.reshape(-1))  # type: ignore[arg-type]
