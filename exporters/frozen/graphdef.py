"""Read a frozen GraphDef and find one's way in it; nothing is run here."""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ExportError, UnknownNameError

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
    """A parsed GraphDef.

    Attributes
    ----------
    proto : GraphDef
        As it stands in the file; nobody changes it.
    label : str
        The file's name, for messages.
    """

    proto: Any
    label: str
    nodes: Mapping[str, Any]

    def node(self, tensor: str) -> Any:  # noqa: ANN401 - a NodeDef
        """Return the node that computes *tensor*."""
        try:
            return self.nodes[node_of(tensor)]
        except KeyError:
            msg = f"{self.label} is damaged: it refers to a node {tensor!r} that is not in it."
            raise ExportError(msg) from None

    def needed(self, outputs: Sequence[str], stop: Collection[str] = ()) -> list[Any]:
        """Return the nodes that *outputs* are computed from, each after those that it reads.

        Parameters
        ----------
        stop : collection of str
            Tensors whose origin is of no interest.
        """
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

    def constant(self, tf: Any, tensor: str) -> NDArray[Any] | None:  # noqa: ANN401 - a module
        """Return the value of a constant tensor, also through identities; None for any other."""
        node = self.node(tensor)
        while node.op in _PASSES_ON:
            node = self.node(next(data_inputs(node)))
        if node.op != "Const":
            return None
        return np.asarray(tf.make_ndarray(node.attr["value"].tensor))

    def find(self, text: str, option: str) -> str:
        """Return the tensor that the user's *text* names.

        Raises
        ------
        UnknownNameError
            If no node has that name; the message gives the nearest and the likely ones.
        """
        name, colon, index = text.partition(":")
        if name in self.nodes and (not colon or index.isdigit()):
            return tensor_name(text)
        near = difflib.get_close_matches(name, self.nodes, n=4, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}? Near it: {', '.join(near)}." if near else ""
        # Not all the names, as elsewhere: these are a thousand.
        msg = (
            f"{option} {text!r} is no tensor of {self.label}, which has {len(self.nodes)} nodes."
            f"{hint} Images come in at: {', '.join(self._entrances()) or 'unknown'}; "
            f"nothing follows: {', '.join(self._exits())}."
        )
        raise UnknownNameError(msg)

    def _entrances(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.op in _ENTRANCES][:8]

    def _exits(self) -> list[str]:
        read = {node_of(name) for node in self.nodes.values() for name in data_inputs(node)}
        return [
            name
            for name, node in self.nodes.items()
            if name not in read and node.op != "CheckNumerics"
        ][-8:]


def read_graph(tf: Any, content: bytes, label: str) -> FrozenGraph:  # noqa: ANN401 - a module
    """Parse a serialised GraphDef.

    Raises
    ------
    ExportError
        If *content* is none.
    """
    from google.protobuf.message import DecodeError

    try:
        proto = tf.compat.v1.GraphDef.FromString(content)
    except DecodeError as error:
        msg = f"{label} is no frozen TensorFlow graph: it cannot be parsed as a GraphDef."
        raise ExportError(msg) from error
    nodes = {node.name: node for node in proto.node}
    if not all(node.name and node.op for node in proto.node) or not nodes:
        # A SavedModel or any text of unknown fields parses, too, and gives no nodes.
        msg = (
            f"{label} is no frozen TensorFlow graph: parsed as a GraphDef, it has no usable nodes. "
            "A SavedModel must be frozen first."
        )
        raise ExportError(msg)
    return FrozenGraph(proto, label, nodes)
