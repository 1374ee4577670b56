"""Run a frozen graph in TensorFlow as it stands, image by image."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporters.frozen.graphdef import FrozenGraph
from tlbench.core.arrays import ImageArray
from tlbench.core.errors import ExportError, UnknownNameError


def imported(tf: Any, proto: Any, label: str) -> Any:  # noqa: ANN401 - TensorFlow has no stubs
    """Return a ``tf.Graph`` of a GraphDef.

    Raises
    ------
    ExportError
        If TensorFlow does not know an operator, or finds the graph wrong.
    """
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.import_graph_def(proto, name="")
    except (tf.errors.OpError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split()).partition(" Note that if you")[0]
        msg = f"TensorFlow {tf.__version__} cannot read {label}: {reason:.300}"
        raise ExportError(msg) from error
    return graph


@dataclass(frozen=True, slots=True)
class Original:
    """The graph of the file in an open session."""

    tf: Any
    graph: Any
    session: Any
    label: str

    def tensor(self, name: str) -> Any:  # noqa: ANN401 - a tf.Tensor
        """Return a tensor; raise UnknownNameError if its node has not so many outputs."""
        full = name if ":" in name else f"{name}:0"
        try:
            return self.graph.get_tensor_by_name(full)
        except (KeyError, ValueError) as error:
            msg = f"{name!r} is no tensor of {self.label}: its node has not so many outputs."
            raise UnknownNameError(msg) from error

    def run(
        self, images: ImageArray, input_tensor: str, outputs: Sequence[str], *, adds_batch: bool
    ) -> list[list[Any]]:
        """Run each image (H, W, 3) by itself; return the arrays of each output, by output.

        Raises
        ------
        ExportError
            If TensorFlow fails at an image: ``CheckNumerics`` found something that is not finite,
            for example.
        """
        source = self.tensor(input_tensor)
        targets = [self.tensor(name) for name in outputs]
        results = []
        for image in images:
            try:
                value = image if adds_batch else image[np.newaxis]
                results.append(self.session.run(targets, {source: value}))
            except (self.tf.errors.OpError, ValueError) as error:
                msg = (
                    f"TensorFlow cannot run {self.label} on an image of {image.shape}: "
                    f"{' '.join(str(error).split()):.300}"
                )
                raise ExportError(msg) from error
        return [list(arrays) for arrays in zip(*results, strict=True)]


@contextlib.contextmanager
def opened(tf: Any, graph: FrozenGraph) -> Iterator[Original]:  # noqa: ANN401
    """Open the graph as it stands in the file, on the CPU."""
    tf_graph = imported(tf, graph.proto, graph.label)
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    with tf.compat.v1.Session(graph=tf_graph, config=config) as session:
        yield Original(tf, tf_graph, session, graph.label)
