"""Keep ONNX Runtime from dropping the zeros that Keras pads with before a maximum."""

import numpy as np
import onnx
from onnx import numpy_helper

_PADS_AND_VALUE = 3


def protect_padding(graph: onnx.GraphProto) -> None:
    """Name the padded axes of each ``Pad`` of zeros that a ``MaxPool`` reads, in place.

    ONNX Runtime (seen in 1.31) merges such a ``Pad`` into the ``MaxPool``, whose own padding never
    wins: windows at the border then give negative maxima where Keras gives zero (ResNet50V2's
    features move by 1 %). It leaves alone a ``Pad`` that names its axes, and the two forms mean
    the same. After a ``Relu`` nothing is negative, and merging is right and fast.
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
        data = pad.input[0]
        del pad.input[:]
        pad.input.extend([data, names[0], value, names[1]])
