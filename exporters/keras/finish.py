"""What every graph goes through after tf2onnx: pooling, layout, folding, names."""

import contextlib
from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exporters.keras.fold import fold_into_convolutions
from exporters.keras.layout import remove_transposes
from exporters.keras.names import rename
from exporters.keras.padding import protect_padding
from exporters.keras.session import Frameworks
from tlbench.core.errors import ExportError

UNPOOLED = "feature_map"


class Ends(Protocol):
    """What the graph's outputs are to be.

    Attributes
    ----------
    pools : bool
        Whether `UNPOOLED`, a map (N, H, W, C), is still to be pooled or flattened to ``features``.
    feature_shape : tuple of int
        Shape of an image's features before flattening.
    n_classes : int or None
        Number of ``logits``, if the graph has them.
    """

    @property
    def pools(self) -> bool: ...  # noqa: D102 - described above
    @property
    def pooling(self) -> Literal["avg", "max", "none"]: ...  # noqa: D102
    @property
    def feature_shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def n_classes(self) -> int | None: ...  # noqa: D102


@contextlib.contextmanager
def few_optimisers() -> Iterator[None]:
    """Let tf2onnx run inside the block with the three of its optimisers that help."""
    # The one for transposes gives up on some networks, and where maps have one position it gives
    # wrong graphs (ConvNeXt at 32 pixels, tf2onnx 1.17): exporters.keras.layout does its work. The
    # others find nothing here, copy the graph each time, or merge constants in the order of a set,
    # so that two exports are not the same bytes. tf2onnx has no public choice of them.
    from tf2onnx import optimizer

    everything = optimizer._get_optimizers  # noqa: SLF001
    wanted = ("fold_constants", "reshape_optimizer", "remove_identity")
    chosen = {name: everything()[name] for name in wanted}
    optimizer._get_optimizers = lambda: chosen  # noqa: SLF001
    try:
        yield
    finally:
        optimizer._get_optimizers = everything  # noqa: SLF001


def refuse_unknown(frameworks: Frameworks, model: onnx.ModelProto) -> None:
    """Raise ExportError if tf2onnx has left operators of TensorFlow as they are."""
    unknown = {node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type)}
    if unknown:
        msg = (
            f"tf2onnx {frameworks.tf2onnx.__version__} has no ONNX form of the TensorFlow "
            f"operators {', '.join(sorted(unknown))} of this network. Choose another backbone."
        )
        raise ExportError(msg)


def finish(model: onnx.ModelProto, ends: Ends, *, model_name_first: bool = True) -> None:
    """Make the graph of a channels-last network the one that is written, in place.

    Parameters
    ----------
    model_name_first : bool
        Whether the names of TensorFlow begin with that of the model as a whole.
    """
    if ends.pools:
        _pool(model.graph, ends)
    remove_transposes(model.graph)
    fold_into_convolutions(model.graph)
    protect_padding(model.graph)
    _tidy(model, ends, model_name_first=model_name_first)


def _pool(graph: onnx.GraphProto, ends: Ends) -> None:
    """Append what makes ``features`` of the channels-last feature map."""
    if ends.pooling == "none":
        operator, values = "Reshape", [-1, int(np.prod(ends.feature_shape))]
    else:
        operator, values = {"avg": "ReduceMean", "max": "ReduceMax"}[ends.pooling], [1, 2]
    constant = numpy_helper.from_array(np.array(values, dtype=np.int64), f"{operator}_features")
    graph.initializer.append(constant)
    node = helper.make_node(operator, [UNPOOLED, constant.name], ["features"], "features")
    if ends.pooling != "none":
        node.attribute.append(helper.make_attribute("keepdims", 0))
    graph.node.append(node)


def _tidy(model: onnx.ModelProto, ends: Ends, *, model_name_first: bool) -> None:
    """Declare the outputs, with N dynamic, and drop what nothing reads."""
    graph = model.graph
    del graph.output[:]
    sizes = {"features": int(np.prod(ends.feature_shape)), "logits": ends.n_classes}
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
