"""Run graphs in memory with ONNX Runtime on the CPU."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx

from exporters.precision.parts import Parts
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ExportError

# Small: every tensor of the network may be looked at, at once, for all images of a batch.
BATCH_SIZE = 8


def open_session(model: onnx.ModelProto | bytes) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Return an ONNX Runtime session on the CPU.

    Raises
    ------
    ExportError
        If ONNX Runtime refuses the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else model.SerializeToString()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen types of its own
        reason = " ".join(str(error).split())
        raise ExportError(f"ONNX Runtime cannot load the converted graph: {reason}") from error


def run_each(session: Any, images: Sequence[ImageArray], output: str) -> FloatArray:  # noqa: ANN401
    """Return one flat row of *output* for each raw image, whatever the images' sizes.

    Returns
    -------
    ndarray of shape (n_images, n_values), float32
    """
    (name,) = (tensor.name for tensor in session.get_inputs())
    rows = [session.run([output], {name: image[np.newaxis]})[0].reshape(-1) for image in images]
    return np.stack(rows).astype(np.float32, copy=False)


def batches(parts: Parts, images: Sequence[ImageArray]) -> Iterator[FloatArray]:
    """Yield preprocessed batches (at most ``BATCH_SIZE``, 3, height, width) for the network."""
    session = open_session(parts.preprocessing)
    (name,) = (tensor.name for tensor in session.get_inputs())
    for start in range(0, len(images), BATCH_SIZE):
        yield np.concatenate(
            [
                session.run(None, {name: image[np.newaxis]})[0]
                for image in images[start : start + BATCH_SIZE]
            ]
        )
