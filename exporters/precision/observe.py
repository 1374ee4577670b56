"""What a network's tensors hold on calibration images: ranges, and the means of channels.

All is reduced inside the graph, batch after batch: memory does not grow with the tensors.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from exporters.precision.runtime import open_session
from tlbench.core.arrays import FloatArray
from tlbench.core.errors import ExportError

_AXES = "__observed_axes"


@dataclass(frozen=True, slots=True)
class Observations:
    """What was seen.

    Attributes
    ----------
    lowest, highest : dict of str to ndarray of shape (n_images,)
        Smallest and largest value of a tensor in each image.
    means : dict of str to ndarray of shape (n_channels,)
        Mean over images and places of each channel of a tensor, float64.
    """

    lowest: dict[str, NDArray[np.float32]]
    highest: dict[str, NDArray[np.float32]]
    means: dict[str, NDArray[np.float64]]


def float_tensors(network: onnx.ModelProto) -> dict[str, int]:
    """Return the rank of every float32 tensor that is no constant, as far as ONNX can infer it."""
    graph = onnx.shape_inference.infer_shapes(network, data_prop=True).graph
    constants = {tensor.name for tensor in graph.initializer}
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
        and value.type.tensor_type.HasField("shape")
        and value.name not in constants
    }


def observe(
    network: onnx.ModelProto,
    batches: Iterable[FloatArray],
    *,
    ranges_of: set[str],
    means_of: set[str],
) -> Observations:
    """Run the float network on preprocessed *batches* (n, 3, height, width) and look inside.

    Parameters
    ----------
    ranges_of : set of str
        Tensors whose smallest and largest value in each image are wanted.
    means_of : set of str
        Tensors (n, channels, ...) whose means by channel are wanted.

    Raises
    ------
    ExportError
        If anything seen is not finite.
    """
    ranks = float_tensors(network)
    probed = onnx.ModelProto()
    probed.CopyFrom(network)
    graph = probed.graph
    del graph.output[:]
    wanted = [
        *((tensor, kind) for kind in ("ReduceMin", "ReduceMax") for tensor in sorted(ranges_of)),
        *((tensor, "ReduceMean") for tensor in sorted(means_of)),
    ]
    outputs = []
    for tensor, kind in wanted:
        # an image's extremes, but a batch's channel means: places count the same in all images
        axes = [0, *range(2, ranks[tensor])] if kind == "ReduceMean" else range(1, ranks[tensor])
        constant = f"{_AXES}_{kind}_{ranks[tensor]}"
        if constant not in {one.name for one in graph.initializer}:
            graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), constant))
        output = f"{tensor}::{kind}"
        graph.node.append(helper.make_node(kind, [tensor, constant], [output], keepdims=0))
        graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
        outputs.append(output)
    session = open_session(probed)
    (name,) = (value.name for value in session.get_inputs())
    seen: dict[tuple[str, str], list[NDArray[Any]]] = defaultdict(list)
    sizes = []
    for batch in batches:
        sizes.append(len(batch))
        for key, value in zip(wanted, session.run(outputs, {name: batch}), strict=True):
            if not np.isfinite(value).all():
                raise ExportError(f"Tensor {key[0]!r} of the fp32 file is not finite: no range.")
            seen[key].append(value)
    return Observations(
        lowest={tensor: np.concatenate(seen[tensor, "ReduceMin"]) for tensor in ranges_of},
        highest={tensor: np.concatenate(seen[tensor, "ReduceMax"]) for tensor in ranges_of},
        means={
            tensor: np.average(
                np.stack(seen[tensor, "ReduceMean"]).astype(np.float64), axis=0, weights=sizes
            )
            for tensor in means_of
        },
    )
