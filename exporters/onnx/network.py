"""From the plain graph of a file to the network of the artefact: one input, named outputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exporters.common.finish import GraphOutputs
from exporters.common.preprocess import NETWORK_INPUT
from exporters.onnx.ends import Ends, ImageInput, Layout, permutation
from exporters.onnx.read import graphs_of
from tlbench.model import SIDES_PREFIX

FEATURES, LOGITS = "features", "logits"
# Names that the preprocessing and the outputs of the artefact have.
_RESERVED = frozenset(
    (
        *("images", "images_nchw", "pixels", "resized", "cropped", "padded", "input_size"),
        *(NETWORK_INPUT, FEATURES, LOGITS),
    )
)
_RESERVED_PREFIXES = (SIDES_PREFIX, "preprocess_", "image_", "features_", "input_")
_TO_FIRST = (0, 3, 1, 2)
_CASTS = {"float16": TensorProto.FLOAT16, "float64": TensorProto.DOUBLE, "uint8": TensorProto.UINT8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where the network ends, and what is done with its last tensor."""

    ends: Ends
    shape: tuple[int, ...]  # of one image's features, as the file gives them
    is_float32: bool
    logits_are_float32: bool
    layout: Layout | None  # of a map
    outputs: GraphOutputs


def artefact_network(
    model: onnx.ModelProto,
    image: ImageInput,
    size: tuple[int, int],
    cut: Cut,
    *,
    is_quantised: bool,
) -> onnx.ModelProto:
    """Return the network from `NETWORK_INPUT`, float32 (N, 3, height, width), to its outputs."""
    network = onnx.ModelProto()
    network.CopyFrom(model)
    graph = network.graph
    wanted = [cut.ends.features, *([cut.ends.logits] if cut.ends.logits else [])]
    names = _rename(graph, [image.name, *wanted])
    _keep_needed(graph, [names[one] for one in wanted])
    before = _first_nodes(graph, names[image.name], image)
    if is_quantised:
        before = [*_barrier(graph, size, before), *before]
    after = [*_feature_nodes(graph, names[cut.ends.features], cut), *_logit_nodes(names, cut)]
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    for node in graph.node:
        node.name, node.doc_string = next(filter(None, node.output), node.name), ""
    del graph.input[:], graph.output[:], graph.value_info[:]
    tensor = helper.make_tensor_value_info
    graph.input.append(tensor(NETWORK_INPUT, TensorProto.FLOAT, ["N", 3, *size]))
    n_features = int(np.prod(cut.outputs.feature_shape))
    graph.output.append(tensor(FEATURES, TensorProto.FLOAT, ["N", n_features]))
    if cut.ends.logits:
        graph.output.append(tensor(LOGITS, TensorProto.FLOAT, ["N", cut.outputs.n_classes]))
    graph.name, graph.doc_string, network.doc_string = "backbone", "", ""
    del network.metadata_props[:]
    domains = {node.domain for one in graphs_of(graph) for node in one.node} | {""}
    opsets = [entry for entry in network.opset_import if entry.domain in domains]
    del network.opset_import[:]
    network.opset_import.extend(opsets)
    return network


def _rename(graph: onnx.GraphProto, wanted: list[str]) -> dict[str, str]:
    """Rename tensors that have a name of the artefact, at any depth; return the *wanted* names."""
    every = {name for one in graphs_of(graph) for name in _names(one)}

    def new_name(name: str) -> str:
        if name not in _RESERVED and not name.startswith(_RESERVED_PREFIXES):
            return name
        new = f"source_{name}"
        while new in every:
            new = f"source_{new}"
        return new

    names = {name: new_name(name) for name in every}
    for one in graphs_of(graph):
        for node in one.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        for value in (*one.input, *one.output, *one.initializer):
            value.name = names.get(value.name, value.name)
        for sparse in one.sparse_initializer:
            sparse.values.name = names.get(sparse.values.name, sparse.values.name)
    return {name: names.get(name, name) for name in wanted}


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from filter(None, (*node.input, *node.output))
    yield from (value.name for value in (*graph.input, *graph.output, *graph.initializer))
    yield from (sparse.values.name for sparse in graph.sparse_initializer)


def _keep_needed(graph: onnx.GraphProto, outputs: list[str]) -> None:
    """Drop the nodes and constants that the outputs do not depend on."""
    needed, kept = set(outputs), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            for one in graphs_of(onnx.GraphProto(node=[node])):  # what subgraphs read, too
                needed.update(name for inner in one.node for name in inner.input)
                needed.update(value.name for value in one.output)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for field in (graph.initializer, graph.sparse_initializer):
        constants = [
            one for one in field if (one.values if hasattr(one, "values") else one).name in needed
        ]
        del field[:]
        field.extend(constants)


def _first_nodes(graph: onnx.GraphProto, name: str, image: ImageInput) -> list[onnx.NodeProto]:
    """Return the nodes from `NETWORK_INPUT` to the file's own input."""
    nodes: list[onnx.NodeProto] = []
    last = NETWORK_INPUT

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    if image.dtype == "uint8":  # a bicubic resize goes beyond the range
        for bound, value in (("input_low", 0.0), ("input_high", 255.0)):
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), bound))
        last = add("Clip", [last, "input_low", "input_high"], "input_clipped")
        last = add("Round", [last], "input_rounded")
    if image.dtype in _CASTS:
        last = add("Cast", [last], "input_cast", to=_CASTS[image.dtype])
    readers = [node for one in graphs_of(graph) for node in one.node if name in node.input]
    if image.layout == "NHWC":
        # Networks of TensorFlow begin with the transpose that the artefact does not need.
        undone = [
            node
            for node in graph.node
            if node.op_type == "Transpose"
            and list(node.input) == [name]
            and permutation(node) == _TO_FIRST
        ]
        if len(undone) == len(readers):
            for node in undone:
                graph.node.remove(node)
                _read_instead(graph, node.output[0], last)
            return nodes
        last = add("Transpose", [last], "input_nhwc", perm=[0, 2, 3, 1])
    _read_instead(graph, name, last)
    return nodes


def _barrier(
    graph: onnx.GraphProto, size: tuple[int, int], before: list[onnx.NodeProto]
) -> list[onnx.NodeProto]:
    """Return a node that does nothing, between the resize and a quantised network.

    ONNX Runtime (seen in 1.31) moves the transpose before an 8-bit convolution in front of the
    resize, whose size it then reorders as if it had four axes, and refuses the file. It does not
    move a transpose through a Reshape.
    """
    shape = numpy_helper.from_array(np.array([0, 3, *size], dtype=np.int64), "input_shape")
    graph.initializer.append(shape)
    for node in (*before, *graph.node):
        node.input[:] = ["input_seen" if one == NETWORK_INPUT else one for one in node.input]
    return [helper.make_node("Reshape", [NETWORK_INPUT, shape.name], ["input_seen"])]


def _read_instead(graph: onnx.GraphProto, old: str, new: str) -> None:
    for one in graphs_of(graph):
        for node in one.node:
            node.input[:] = [new if name == old else name for name in node.input]


def _feature_nodes(graph: onnx.GraphProto, name: str, cut: Cut) -> list[onnx.NodeProto]:
    """Return the nodes that pool or flatten the last tensor into ``features``."""
    nodes: list[onnx.NodeProto] = []
    if not cut.is_float32:
        nodes.append(helper.make_node("Cast", [name], ["features_cast"], to=TensorProto.FLOAT))
        name = "features_cast"
    positions = cut.outputs.pooling != "none"
    if not positions:
        if cut.outputs.pools and cut.layout == "NCHW":
            first = helper.make_node("Transpose", [name], ["features_nhwc"], perm=[0, 2, 3, 1])
            nodes.append(first)
            name = "features_nhwc"
        operator = "Flatten" if len(cut.shape) > 1 else "Identity"
        nodes.append(helper.make_node(operator, [name], [FEATURES]))
        return nodes
    spatial = {2: [1], 3: [1, 2]}[len(cut.shape)]
    axes = [2, 3] if cut.layout == "NCHW" else spatial
    graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), "features_axes"))
    operator = {"avg": "ReduceMean", "max": "ReduceMax"}[cut.outputs.pooling]
    nodes.append(helper.make_node(operator, [name, "features_axes"], [FEATURES], keepdims=0))
    return nodes


def _logit_nodes(names: dict[str, str], cut: Cut) -> list[onnx.NodeProto]:
    if not cut.ends.logits:
        return []
    name = names[cut.ends.logits]
    nodes = []
    if not cut.logits_are_float32:
        nodes.append(helper.make_node("Cast", [name], ["features_logits"], to=TensorProto.FLOAT))
        name = "features_logits"
    return [*nodes, helper.make_node("Flatten", [name], [LOGITS])]
