"""Read a frozen GraphDef, look up its nodes, and run it in TensorFlow as it is."""

import contextlib
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import ImageArray
from tlbench.core.errors import ExportError, UnknownNameError, one_line

_PASSES_ON = ("Identity", "StopGradient", "CheckNumerics")
_ENTRANCES = ("Placeholder", "PlaceholderWithDefault", "DecodeJpeg", "DecodePng", "DecodeImage")


def tensor_name(text: str) -> str:
    """Return a tensor's name as GraphDefs write it: ``pool_3`` for ``pool_3:0``."""
    return text.removesuffix(":0")


def node_of(tensor: str) -> str:
    """Return the name of the node that computes *tensor*."""
    return tensor.partition(":")[0]


def data_inputs(node: Any) -> Iterator[str]:  # noqa: ANN401 - a NodeDef
    """Yield the tensors that a node reads; control edges order side effects and carry no value."""
    return (tensor_name(name) for name in node.input if not name.startswith("^"))


def flag(node: Any, name: str) -> bool:  # noqa: ANN401 - a NodeDef
    """Return a boolean attribute; graphs older than the attribute lack it, which means False."""
    return name in node.attr and bool(node.attr[name].b)


@dataclass(frozen=True, slots=True)
class FrozenGraph:
    """A parsed GraphDef, which nothing changes."""

    tf: Any  # the module tensorflow
    proto: Any  # the GraphDef of the file
    label: str  # the file's name, for messages
    nodes: Mapping[str, Any]  # NodeDefs by name

    def node(self, tensor: str) -> Any:  # noqa: ANN401 - a NodeDef
        """Return the node that computes *tensor*."""
        try:
            return self.nodes[node_of(tensor)]
        except KeyError:
            msg = f"{self.label} is damaged: it refers to a node {tensor!r} that is not in it."
            raise ExportError(msg) from None

    def needed(self, outputs: Sequence[str], stop: Collection[str] = ()) -> list[Any]:
        """Return the nodes that *outputs* depend on, in topological order, back to *stop*."""
        found: list[Any] = []
        seen: set[str] = set()
        stack = [(name, False) for name in reversed(outputs) if name not in stop]
        while stack:
            tensor, is_done = stack.pop()
            node = self.node(tensor)
            if is_done:
                found.append(node)
            elif node.name not in seen:
                seen.add(node.name)
                stack.append((tensor, True))
                stack.extend((name, False) for name in data_inputs(node) if name not in stop)
        return found

    def constant(self, tensor: str) -> NDArray[Any] | None:
        """Return the value of a constant tensor, also through identities; None for any other."""
        node = self.node(tensor)
        while node.op in _PASSES_ON:
            node = self.node(next(data_inputs(node)))
        if node.op != "Const":
            return None
        return np.asarray(self.tf.make_ndarray(node.attr["value"].tensor))

    def find(self, text: str, option: str) -> str:
        """Return the tensor that *text*, the value of *option*, names."""
        name, colon, index = text.partition(":")
        if name in self.nodes and (not colon or index.isdigit()):
            return tensor_name(text)
        inputs = [name for name, node in self.nodes.items() if node.op in _ENTRANCES]
        read = {node_of(tensor) for node in self.nodes.values() for tensor in data_inputs(node)}
        last = [
            name
            for name, node in self.nodes.items()
            if name not in read and node.op != "CheckNumerics"
        ]
        near = difflib.get_close_matches(name, self.nodes, n=4, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}? Close matches: {', '.join(near)}." if near else ""
        # There are about a thousand names: too many to list them all, as is done elsewhere.
        msg = (
            f"{option}={text} is not a tensor of {self.label}, which has {len(self.nodes)} nodes."
            f"{hint} Inputs for images: {', '.join(inputs[:8]) or 'unknown'}; "
            f"last nodes: {', '.join(last[-8:])}."
        )
        raise UnknownNameError(msg)


def read_graph(tf: Any, content: bytes, label: str) -> FrozenGraph:  # noqa: ANN401 - a module
    """Parse a serialised GraphDef; raise ExportError if *content* is not one."""
    from google.protobuf.message import DecodeError

    try:
        proto = tf.compat.v1.GraphDef.FromString(content)
    except DecodeError as error:
        msg = f"{label} is not a frozen TensorFlow graph: it cannot be parsed as a GraphDef."
        raise ExportError(msg) from error
    nodes = {node.name: node for node in proto.node}
    if not all(node.name and node.op for node in proto.node) or not nodes:
        # A SavedModel, or anything else of unknown fields, parses as well and gives no nodes.
        msg = (
            f"{label} is not a frozen TensorFlow graph: parsed as a GraphDef, it has no usable "
            "nodes. A SavedModel must be frozen first."
        )
        raise ExportError(msg)
    return FrozenGraph(tf, proto, label, nodes)


def imported(tf: Any, proto: Any, label: str) -> Any:  # noqa: ANN401 - a tf.Graph
    """Return the ``tf.Graph`` of a GraphDef; raise ExportError if TensorFlow refuses it."""
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.import_graph_def(proto, name="")
    except (tf.errors.OpError, ValueError, KeyError, TypeError) as error:
        reason = one_line(error).partition(" Note that if you")[0]
        msg = f"TensorFlow {tf.__version__} cannot read {label}: {reason:.300}"
        raise ExportError(msg) from error
    return graph


@dataclass(frozen=True, slots=True)
class OpenGraph:
    """The graph of the file in an open TensorFlow session."""

    frozen: FrozenGraph
    graph: Any
    session: Any

    def tensor(self, name: str) -> Any:  # noqa: ANN401 - a tf.Tensor
        """Return a tensor; raise UnknownNameError if its node has fewer outputs."""
        full = name if ":" in name else f"{name}:0"
        try:
            return self.graph.get_tensor_by_name(full)
        except (KeyError, ValueError) as error:
            msg = f"{name!r} is not a tensor of {self.frozen.label}: its node has fewer outputs."
            raise UnknownNameError(msg) from error

    def run(
        self, images: ImageArray, input_tensor: str, outputs: Sequence[str], *, adds_batch: bool
    ) -> list[list[Any]]:
        """Run each image (H, W, 3) by itself; return one list of arrays for each output."""
        source = self.tensor(input_tensor)
        targets = [self.tensor(name) for name in outputs]
        results = []
        for image in images:
            try:
                value = image if adds_batch else image[np.newaxis]
                results.append(self.session.run(targets, {source: value}))
            except (self.frozen.tf.errors.OpError, ValueError) as error:
                msg = (
                    f"TensorFlow cannot run {self.frozen.label} on an image of shape "
                    f"{image.shape}: {one_line(error):.300}"
                )
                raise ExportError(msg) from error
        return [list(arrays) for arrays in zip(*results, strict=True)]


@contextlib.contextmanager
def opened(frozen: FrozenGraph) -> Iterator[OpenGraph]:
    """Open the graph as it is in the file, on the CPU."""
    tf = frozen.tf
    graph = imported(tf, frozen.proto, frozen.label)
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    with tf.compat.v1.Session(graph=graph, config=config) as session:
        yield OpenGraph(frozen, graph, session)
