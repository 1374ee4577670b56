"""The original file, run by ONNX Runtime on pixels that numpy has preprocessed."""

from typing import Any

import numpy as np
import onnx

from exporters.common.declared import Declared
from exporters.common.fit import SQUASH
from exporters.common.parity import TOLERANCE, open_session
from exporters.common.preprocess import NETWORK_INPUT, prepend_preprocessing
from exporters.common.resize import resize_as
from exporters.onnx.ends import ImageInput
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ExportError, one_line


def preprocess(images: ImageArray, declared: Declared, size: tuple[int, int]) -> FloatArray:
    """Return (N, 3, height, width), float32, of square images (N, H, W, 3), by the formula."""
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32)
    resized = resize_as(pixels, size, declared.resize).astype(np.float64)
    if declared.pixels.channels == "BGR":
        resized = resized[:, ::-1]
    mean, std = (
        np.reshape(one, (1, 3, 1, 1)) for one in (declared.pixels.mean, declared.pixels.std)
    )
    prepared: FloatArray = ((resized * declared.pixels.scale - mean) / std).astype(np.float32)
    return prepared


class GraphPixels:
    """What the graph's preprocessing gives for images that are square already."""

    def __init__(self, declared: Declared, size: tuple[int, int], opset: int) -> None:
        self.declared, self.size = declared, size
        tensor = onnx.helper.make_tensor_value_info
        shape: list[str | int] = ["N", 3, *size]
        pixels = onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", [NETWORK_INPUT], ["seen"])],
            "pixels",
            [tensor(NETWORK_INPUT, onnx.TensorProto.FLOAT, shape)],
            [tensor("seen", onnx.TensorProto.FLOAT, shape)],
        )
        model = onnx.helper.make_model(
            pixels, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8
        )
        self.session = open_session(
            prepend_preprocessing(
                model,
                network_input=NETWORK_INPUT,
                size=size,
                preprocessing=declared.pixels,
                resize=declared.resize,
                fit=SQUASH,
            )
        )

    def __call__(self, images: ImageArray) -> FloatArray:
        """Return the pixels; raise ExportError if they are not those of `preprocess`."""
        expected = preprocess(images, self.declared, self.size)
        found: FloatArray = self.session.run(None, {"images": images})[0]
        difference = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
        if not difference <= TOLERANCE:
            msg = (
                f"The graph's preprocessing differs from numpy's by {difference:.2g} of the "
                f"largest value; at most {TOLERANCE:g} is allowed. Nothing was written."
            )
            raise ExportError(msg)
        return found


class OriginalFile:
    """The network as it is in the file, with some of its tensors as outputs."""

    def __init__(
        self, model: onnx.ModelProto, image: ImageInput, outputs: list[str], label: str
    ) -> None:
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        del shown.graph.output[:]
        shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(outputs))
        self.image, self.outputs, self.label = image, outputs, label
        self.session = open_session(shown, f"file {label}")

    def run(self, pixels: FloatArray, batch: int = 1) -> list[np.ndarray[Any, Any]]:
        """Return each output for pixels (N, 3, height, width), float32.

        In the file's own batches; where they are open, in those of *batch* images.
        """
        fed = self._as_input(pixels)
        step = self.image.batch or batch
        found = []
        for start in range(0, len(fed), step):
            part = fed[start : start + step]
            missing = step - len(part)
            part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            try:
                arrays = self.session.run(self.outputs, {self.image.name: part})
            except Exception as error:  # ONNX Runtime's own error types have no other common base
                height, width = pixels.shape[2:]
                msg = (
                    f"ONNX Runtime cannot run {self.label} on an image of {height}x{width} pixels: "
                    f"{one_line(error):.300}"
                )
                raise ExportError(msg) from error
            for name, array in zip(self.outputs, arrays, strict=True):
                if array.ndim == 0 or len(array) != step:
                    msg = (
                        f"{name} of {self.label} has shape {array.shape} for {step} images: its "
                        "first axis is not the batch. Choose another tensor with layer=..."
                    )
                    raise ExportError(msg)
            found.append([array[: step - missing] for array in arrays])
        return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]

    def _as_input(self, pixels: FloatArray) -> np.ndarray[Any, Any]:
        if self.image.dtype == "uint8":
            pixels = np.clip(np.rint(pixels), 0, 255)
        if self.image.layout == "NHWC":
            pixels = pixels.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(pixels.astype(self.image.dtype))
