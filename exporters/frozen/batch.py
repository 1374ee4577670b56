"""Make the fixed batch of one of a frozen network a batch of any size."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.frozen.graphdef import data_inputs
from exporters.frozen.reference import imported
from exporters.frozen.rewrite import NETWORK_INPUT
from tlbench.core.errors import ExportError

_Shape = tuple[int | None, ...] | None


def free_batch(
    tf: Any,  # noqa: ANN401 - a module without stubs
    network: Any,  # noqa: ANN401 - a GraphDef
    outputs: Sequence[str],
    label: str,
) -> list[tuple[int, ...]]:
    """Let the network take N images, in place; return the shape of each output for one image.

    A ``Reshape`` to a constant shape that begins with 1 gets -1 there, a ``Squeeze`` keeps the
    first axis, the input's is left open. Whatever else mixes the images of a batch shows in the
    shapes that TensorFlow infers, or in the comparison with the graph image by image.

    Raises
    ------
    ExportError
        If an output has a fixed batch all the same, or a size that depends on the image.
    """
    of_one = _shapes(tf, network, label)
    batched = {NETWORK_INPUT}
    for node in list(network.node):
        inputs = list(data_inputs(node))
        if not batched.intersection(inputs):
            continue
        batched.update([node.name, *(f"{node.name}:{i}" for i in range(1, 16))])
        if node.op == "Reshape":
            _free_reshape(tf, network, node, of_one[node.name])
        elif node.op == "Squeeze":
            _keep_first_axis(node, of_one[inputs[0]])
    network.node[0].attr["shape"].shape.dim[0].size = -1
    shapes = _shapes(tf, network, label)
    found = []
    for name in outputs:
        shape = shapes[name]
        if shape is not None and shape and shape[0] is not None:
            raise _fixed(label, network, shapes, name)
        if shape is None or not shape or None in shape[1:]:
            msg = f"{name} of {label} has shape {shape}: its size depends on the image."
            raise ExportError(msg)
        found.append(tuple(edge for edge in shape[1:] if edge is not None))
    return found


def _shapes(tf: Any, network: Any, label: str) -> dict[str, _Shape]:  # noqa: ANN401
    """Return the shapes that TensorFlow infers; None for an unknown number of axes."""
    shapes: dict[str, _Shape] = {}
    for operation in imported(tf, network, label).get_operations():
        for i, tensor in enumerate(operation.outputs):
            known = tensor.shape.rank is not None
            shape = tuple(tensor.shape.as_list()) if known else None
            shapes[f"{operation.name}:{i}" if i else operation.name] = shape
    return shapes


def _free_reshape(tf: Any, network: Any, node: Any, shape: _Shape) -> None:  # noqa: ANN401
    # Only where TensorFlow knows the result: a shape that is computed follows the batch by itself.
    if shape is None or not shape or shape[0] != 1 or None in shape:
        return
    value = np.array([-1, *shape[1:]], dtype=np.int32)
    constant = network.node.add(name=f"{node.name}/any_batch", op="Const")
    constant.attr["dtype"].type = tf.int32.as_datatype_enum
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    node.input[1] = constant.name
    node.attr["Tshape"].type = tf.int32.as_datatype_enum


def _keep_first_axis(node: Any, shape: _Shape) -> None:  # noqa: ANN401
    if shape is None:
        return
    axes = [axis % len(shape) for axis in node.attr["squeeze_dims"].list.i]
    axes = [axis for axis in axes or range(len(shape)) if shape[axis] == 1 and axis > 0]
    del node.attr["squeeze_dims"].list.i[:]
    node.attr["squeeze_dims"].list.i.extend(axes)
    if not axes:  # an empty list would mean all
        node.op = "Identity"
        del node.attr["squeeze_dims"]


def _fixed(label: str, network: Any, shapes: dict[str, _Shape], output: str) -> ExportError:  # noqa: ANN401
    def is_open(name: str) -> bool:
        shape = shapes.get(name)
        return shape is not None and len(shape) > 0 and shape[0] is None

    for node in network.node:
        shape = shapes.get(node.name)
        if shape and shape[0] is not None and any(is_open(name) for name in data_inputs(node)):
            return ExportError(
                f"The batch of one cannot be made dynamic in {label}: {node.name} ({node.op}) "
                f"gives the fixed shape {shape}. Name a tensor before it with --output."
            )
    return ExportError(f"{output} of {label} has the fixed shape {shapes[output]}.")
