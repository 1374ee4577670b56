"""The classifier file: a backbone with a head behind its features, its card, and its saving."""

from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any

from tlbench.core.errors import ModelError
from tlbench.fusion.heads import FittedHead, add_head
from tlbench.fusion.nodes import Arithmetic, Nodes
from tlbench.model import (
    CLASSES_KEY,
    CLASSIFIER_KEY,
    LABEL_OUTPUT,
    PROBABILITIES_OUTPUT,
    ClassifierCard,
    OnnxModel,
    TensorInfo,
    encode_classes,
    encode_classifier_card,
)

if TYPE_CHECKING:
    import onnx

_LEAST_OPSET = 13  # since then ReduceSum and Squeeze take their axes as an input
_ROWS = 2  # dimensions of a matrix of features


def fuse_graphs(
    backbone: OnnxModel, features: TensorInfo, head: FittedHead, arithmetic: Arithmetic
) -> "onnx.ModelProto":
    """Return the backbone with *head* behind its output *features*, calculated in *arithmetic*.

    Outputs: ``label``, int64 (N,), and ``probabilities``, float32 (N, n_classes). Raise ModelError
    for an old opset or a taken output name, ConfigError for a head without an ONNX form.
    """
    import onnx
    from onnx import TensorProto, helper

    fused = onnx.ModelProto()
    fused.CopyFrom(backbone.proto)
    _check(backbone, fused)
    nodes = Nodes(arithmetic)
    source = features.name
    if features.dtype != "float32":
        source = nodes.cast(source, "float32")
    if len(features.shape or ()) != _ROWS:
        source = nodes.node("Flatten", source, axis=1)
    index, probabilities = add_head(nodes, head, source)
    nodes.node("Identity", index, output=LABEL_OUTPUT)
    nodes.node("Identity", probabilities, output=PROBABILITIES_OUTPUT)

    graph = fused.graph
    graph.node.extend(nodes.nodes)
    graph.initializer.extend(nodes.constants)
    outputs = (
        helper.make_tensor_value_info(LABEL_OUTPUT, TensorProto.INT64, ["N"]),
        helper.make_tensor_value_info(
            PROBABILITIES_OUTPUT, TensorProto.FLOAT, ["N", head.n_classes]
        ),
    )
    _replace(graph.output, outputs)
    _prune(graph)
    try:
        onnx.checker.check_model(fused)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"The fused graph is not valid ONNX: {error}") from error
    return fused


def _check(backbone: OnnxModel, model: "onnx.ModelProto") -> None:
    opset = next((one.version for one in model.opset_import if one.domain in {"", "ai.onnx"}), 0)
    if opset < _LEAST_OPSET:
        msg = (
            f"{backbone.path} has opset {opset}; a head needs {_LEAST_OPSET} or later. Export the "
            "backbone again with a later opset, and repeat the run."
        )
        raise ModelError(msg)
    taken = {name for node in model.graph.node for name in node.output}
    taken |= {value.name for value in model.graph.input}
    if clash := sorted(taken & {LABEL_OUTPUT, PROBABILITIES_OUTPUT}):
        msg = (
            f"{backbone.path} already has a tensor named {clash[0]!r}: it seems to be a "
            "classifier, not a backbone. Run and fuse the backbone itself."
        )
        raise ModelError(msg)


def _prune(graph: "onnx.GraphProto") -> None:
    """Drop nodes and constants that no output needs."""
    maker = {name: node for node in graph.node for name in node.output}
    needed: set[str] = set()
    waiting = [value.name for value in graph.output]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in maker:
            waiting.extend(_reads(maker[name]))
    _replace(graph.node, [node for node in graph.node if needed.intersection(node.output)])
    _replace(graph.initializer, [one for one in graph.initializer if one.name in needed])
    sparse = [one for one in graph.sparse_initializer if one.values.name in needed]
    _replace(graph.sparse_initializer, sparse)
    _replace(graph.value_info, [one for one in graph.value_info if one.name in needed])


def _replace(field: Any, values: Iterable[object]) -> None:  # noqa: ANN401 - protobuf's list
    kept = list(values)
    del field[:]
    field.extend(kept)


def _reads(node: "onnx.NodeProto") -> Iterator[str]:
    """Yield the tensors that a node reads, also in the bodies of loops and branches."""
    yield from node.input
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            for inner in body.node:
                yield from _reads(inner)
            yield from (value.name for value in body.output)


def attach_card(model: "onnx.ModelProto", card: ClassifierCard) -> None:
    """Put the card and the class names into the metadata; the graph is not changed."""
    model.metadata_props.add(key=CLASSIFIER_KEY, value=encode_classifier_card(card))
    model.metadata_props.add(key=CLASSES_KEY, value=encode_classes(card.classes))
    model.producer_name, model.producer_version = "tlbench", metadata.version("tlbench")
