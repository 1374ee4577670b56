"""Put the preprocessing in front of a network, inside the graph."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tlbench.errors import ConfigError

__all__ = ["DEFAULT_OPSET", "Preprocessing", "check_opset", "prepend_preprocessing"]

# Resize takes the spatial axes alone since opset 18; every ONNX Runtime since 1.14 reads it.
DEFAULT_OPSET = 18


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to the resized pixels: ``(x - mean) * scale`` for each channel, then the order.

    ``mean`` and ``scale`` are in the order of *channels*; *text* is the same for people.
    """

    text: str
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["RGB", "BGR"] = "RGB"


def check_opset(opset: int | None) -> int:
    """Return the opset to export with; raise ConfigError for one whose Resize lacks axes."""
    newest: int = onnx.defs.onnx_opset_version()
    if opset is None:
        return DEFAULT_OPSET
    if not DEFAULT_OPSET <= opset <= newest:
        msg = f"--opset {opset} is not possible: the resize needs {DEFAULT_OPSET} to {newest}."
        raise ConfigError(msg)
    return opset


def prepend_preprocessing(
    model: onnx.ModelProto,
    *,
    network_input: str,
    size: tuple[int, int],
    preprocessing: Preprocessing,
) -> onnx.ModelProto:
    """Make a model of raw images out of one of preprocessed ones.

    Parameters
    ----------
    model : ModelProto
        A network whose input *network_input* is float32 of shape (N, 3, height, width).
    size : tuple of int
        Height and width that the images are resized to: bilinear with half-pixel centres and no
        antialiasing, as ``tf.image.resize`` and ``keras.layers.Resizing`` do by default.

    Returns
    -------
    ModelProto
        The same network with input ``images``: uint8, (N, H, W, 3), RGB, N, H and W dynamic.

    Notes
    -----
    The layout changes while pixels are still bytes of the raw image: that is the only transpose,
    and the smallest possible one. The nodes here are the last that see the image's own size.
    """
    nodes = [
        helper.make_node("Transpose", ["images"], ["images_nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["images_nchw"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node(
            "Resize",
            ["pixels", "", "", "input_size"],
            ["resized"],
            axes=[2, 3],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        ),
    ]
    constants = [numpy_helper.from_array(np.asarray(size, dtype=np.int64), "input_size")]
    last = "resized"

    def add(operator: str, constant: np.ndarray, name: str) -> None:
        nonlocal last
        constants.append(numpy_helper.from_array(constant, f"preprocess_{name}"))
        axis: dict[str, Any] = {"axis": 1} if operator == "Gather" else {}
        nodes.append(
            helper.make_node(operator, [last, f"preprocess_{name}"], [f"image_{name}"], **axis)
        )
        last = f"image_{name}"

    if preprocessing.channels == "BGR":
        add("Gather", np.array([2, 1, 0], dtype=np.int64), "channels")
    if any(preprocessing.mean):
        add("Sub", np.array(preprocessing.mean, dtype=np.float32).reshape(1, 3, 1, 1), "mean")
    if preprocessing.scale != (1.0, 1.0, 1.0):
        add("Mul", np.array(preprocessing.scale, dtype=np.float32).reshape(1, 3, 1, 1), "scale")
    nodes[-1].output[0] = network_input

    joined = onnx.ModelProto()
    joined.CopyFrom(model)
    graph = joined.graph
    network_nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *network_nodes])
    graph.initializer.extend(constants)
    del graph.input[:]
    graph.input.append(
        helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])
    )
    return joined
