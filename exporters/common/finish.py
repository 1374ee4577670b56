"""Finish every graph of tf2onnx: pooling, layout, folded constants, padding, names."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from exporters.common.layout import remove_transposes
from exporters.common.session import Frameworks
from tlbench.core.errors import ExportError

UNPOOLED = "feature_map"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOutputs:
    """What the finished graph gives: ``features``, and ``logits`` where there are classes."""

    pools: bool  # whether `UNPOOLED`, a map (N, H, W, C), is still to be pooled or flattened
    pooling: Literal["avg", "max", "none"]
    feature_shape: tuple[int, ...]  # of one image, before flattening
    n_classes: int | None  # the number of logits


@contextlib.contextmanager
def few_optimisers() -> Iterator[None]:
    """Restrict tf2onnx inside the block to the three of its optimisers that help."""
    # Its transpose optimiser gives up on some networks, and where maps have one position it makes
    # wrong graphs (ConvNeXt at 32 pixels, tf2onnx 1.17): exporters.common.layout replaces it. The
    # others find nothing here, copy the graph each time, or merge constants in the order of a set,
    # so that two exports are not the same bytes. tf2onnx has no public way to choose among them.
    from tf2onnx import optimizer

    everything = optimizer._get_optimizers  # noqa: SLF001
    wanted = ("fold_constants", "reshape_optimizer", "remove_identity")
    chosen = {name: everything()[name] for name in wanted}
    optimizer._get_optimizers = lambda: chosen  # noqa: SLF001
    try:
        yield
    finally:
        optimizer._get_optimizers = everything  # noqa: SLF001


def finish(
    frameworks: Frameworks,
    model: onnx.ModelProto,
    outputs: GraphOutputs,
    *,
    model_name_first: bool = True,
) -> None:
    """Turn tf2onnx's graph of a channels-last network into the one that is written, in place."""
    unknown = {node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type)}
    if unknown:
        msg = (
            f"tf2onnx {frameworks.tf2onnx.__version__} cannot translate these TensorFlow operators "
            f"of the network to ONNX: {', '.join(sorted(unknown))}. Choose another backbone."
        )
        raise ExportError(msg)
    if outputs.pools:
        _pool(model.graph, outputs)
    remove_transposes(model.graph)
    fold_into_convolutions(model.graph)
    protect_padding(model.graph)
    _tidy(model, outputs, model_name_first=model_name_first)


def _pool(graph: onnx.GraphProto, outputs: GraphOutputs) -> None:
    """Append the pooling or flattening of the channels-last feature map to ``features``."""
    operator = {"avg": "ReduceMean", "max": "ReduceMax", "none": "Reshape"}[outputs.pooling]
    flattens = outputs.pooling == "none"
    values = [-1, int(np.prod(outputs.feature_shape))] if flattens else [1, 2]
    constant = numpy_helper.from_array(np.array(values, dtype=np.int64), f"{operator}_features")
    graph.initializer.append(constant)
    node = helper.make_node(operator, [UNPOOLED, constant.name], ["features"], "features")
    if not flattens:
        node.attribute.append(helper.make_attribute("keepdims", 0))
    graph.node.append(node)


def _tidy(model: onnx.ModelProto, outputs: GraphOutputs, *, model_name_first: bool) -> None:
    """Declare the outputs, with N dynamic, and drop what nothing reads."""
    graph = model.graph
    del graph.output[:]
    sizes = {"features": int(np.prod(outputs.feature_shape)), "logits": outputs.n_classes}
    for name, size in sizes.items():
        if size is not None:
            graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size]))
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            node.doc_string = ""
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    del graph.value_info[:]
    rename(graph, model_name_first=model_name_first)
    graph.name, graph.doc_string, model.doc_string = "backbone", "", ""
    # tf2onnx declares ai.onnx.ml whether or not anything is in it.
    domains = {node.domain for node in graph.node} | {""}
    opsets = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(opsets)


_RANK = 4


def fold_into_convolutions(graph: onnx.GraphProto) -> None:
    """Merge batch normalisations, biases and scales into the ``Conv`` that only they read.

    The arrays are channels-first; products are computed in double precision and rounded once.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    convolutions: dict[str, onnx.NodeProto] = {}  # by the name of their output
    kept = []
    for node in graph.node:
        source = next((name for name in node.input if name in convolutions), "")
        if source and readers[source] == 1 and _folds(graph, convolutions[source], node, constants):
            convolution = convolutions.pop(source)
            convolution.output[0] = node.output[0]
            convolutions[node.output[0]] = convolution
            continue
        if node.op_type == "Conv" and all(name in constants for name in node.input[1:]):
            convolutions[node.output[0]] = node
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _folds(
    graph: onnx.GraphProto,
    convolution: onnx.NodeProto,
    node: onnx.NodeProto,
    constants: dict[str, onnx.TensorProto],
) -> bool:
    """Merge *node* into *convolution* if it multiplies or adds one constant per channel."""
    others = [name for name in node.input if name != convolution.output[0]]
    if node.op_type not in {"Add", "Mul"} or len(others) != 1 or others[0] not in constants:
        return False
    factor = _values(constants[others[0]])
    if factor.size != 1 and (factor.ndim != _RANK or factor.size != factor.shape[1]):
        return False
    kernel = _values(constants[convolution.input[1]])
    factor = np.broadcast_to(factor.reshape(-1), kernel.shape[:1])
    bias = np.zeros(len(kernel))
    if len(convolution.input) > 2:  # noqa: PLR2004 - the third input is the bias
        bias = _values(constants[convolution.input[2]])
    if node.op_type == "Mul":
        kernel, bias = kernel * factor.reshape(-1, 1, 1, 1), bias * factor
    else:
        bias = bias + factor
    name = node.output[0]
    tensors = [
        numpy_helper.from_array(values.astype(np.float32), f"{name}_{part}")
        for part, values in (("kernel", kernel), ("bias", bias))
    ]
    constants.update((tensor.name, tensor) for tensor in tensors)
    graph.initializer.extend(tensors)
    convolution.input[1:] = [tensor.name for tensor in tensors]
    return True


def _values(tensor: onnx.TensorProto) -> NDArray[np.float64]:
    return numpy_helper.to_array(tensor).astype(np.float64)


_PADS_AND_VALUE = 3


def protect_padding(graph: onnx.GraphProto) -> None:
    """Name the padded axes of each ``Pad`` of zeros that a ``MaxPool`` reads, in place.

    ONNX Runtime (seen in 1.31) merges any other into the ``MaxPool``, whose own padding never wins:
    negative maxima at the border then replace Keras's zeros (ResNet50V2's features change by 1 %).
    After a ``Relu`` nothing is negative, so that merging is right and fast.
    """
    producers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for pool in graph.node:
        pad = producers.get(pool.input[0]) if pool.op_type == "MaxPool" else None
        if pad is None or pad.op_type != "Pad" or len(pad.input) > _PADS_AND_VALUE:
            continue
        source = producers.get(pad.input[0])
        if (source is not None and source.op_type == "Relu") or pad.input[1] not in constants:
            continue
        pads = numpy_helper.to_array(constants[pad.input[1]]).reshape(2, -1)
        axes = np.flatnonzero(pads.any(axis=0))
        names = [f"{pad.output[0]}_pads", f"{pad.output[0]}_axes"]
        graph.initializer.extend(
            numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.int64), name)
            for name, values in zip(names, (pads[:, axes].reshape(-1), axes), strict=True)
        )
        value = pad.input[2] if len(pad.input) == _PADS_AND_VALUE else ""
        pad.input[1:] = [names[0], value, names[1]]


# tf2onnx numbers its nodes by a counter of the process ("Conv__3948", "Cast/x:0"), and
# exporters.common.layout marks the arrays that it has rewritten.
_NUMBERING = re.compile(r"__\d+|:\d+|_first")


def rename(graph: onnx.GraphProto, *, model_name_first: bool = True) -> None:
    """Rename nodes, tensors and constants in place, and sort the constants by first use.

    The same network with the same weights is then the same bytes, whatever was exported before.
    With *model_name_first* names begin with that of the model as a whole, which is dropped.
    """
    fixed = [value.name for value in (*graph.input, *graph.output)]
    names: dict[str, str] = {"": "", **{name: name for name in fixed}}
    taken = Counter(fixed)

    def new_name(name: str) -> str:
        if name not in names:
            base = _NUMBERING.sub("", name)
            if model_name_first:
                base = base.split("/", 1)[-1]
            taken[base] += 1
            names[name] = base if taken[base] == 1 else f"{base}__{taken[base]}"
        return names[name]

    for node in graph.node:
        node.input[:] = [new_name(name) for name in node.input]
        node.output[:] = [new_name(name) for name in node.output]
        node.name = node.output[0]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    ordered = []
    for old, new in names.items():
        if old in constants:
            constants[old].name = new
            ordered.append(constants[old])
    del graph.initializer[:]
    graph.initializer.extend(ordered)
