"""Describe a preprocessing, and put it in front of a network, inside the graph."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from tlbench.core.registry import unknown_name

if TYPE_CHECKING:  # a row of `tlbench list backbones` imports this module: nothing heavy here
    import numpy as np
    import onnx
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """How the graph resizes the images, never with antialiasing; *text* describes it for people."""

    text: str
    mode: Literal["linear", "cubic", "nearest"] = "linear"
    coordinates: Literal["half_pixel", "asymmetric", "align_corners"] = "half_pixel"


NETWORK_INPUT = "network_input"  # of every network: the tensor behind the preprocessing
BILINEAR = Resize(text="bilinear, half-pixel centres, no antialiasing")
# Keys's cubic convolution with a = -0.5, as Pillow and TensorFlow have it; -0.75 is OpenCV's.
BICUBIC = Resize(text="bicubic (a = -0.5), half-pixel centres, no antialiasing", mode="cubic")
NEAREST = Resize(text="nearest pixel, half-pixel centres, no antialiasing", mode="nearest")
_RESIZES = {"bilinear": BILINEAR, "bicubic": BICUBIC, "nearest": NEAREST}
_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "linear": {},
    # Pixels beyond the edge have no weight, and the others' weights add up to 1 again.
    "cubic": {"cubic_coeff_a": -0.5, "exclude_outside": 1},
    # Half way between two pixels the second is taken, so that i reads floor((i + 0.5) * old / new).
    "nearest": {"nearest_mode": "round_prefer_ceil"},
}


def choose_resize(name: str | None) -> Resize:
    """Return the resize of that name; bilinear for None."""
    if name is not None and name not in _RESIZES:
        raise unknown_name("resize", name, sorted(_RESIZES))
    return _RESIZES[name or "bilinear"]


def nearest_rows(n_old: int, n_new: int) -> "NDArray[np.int64]":
    """Return, for each of *n_new* rows, the old row ``floor((i + 0.5) * n_old / n_new)``.

    Pillow and ONNX Runtime compute it in floating point: where the product is an integer, rounding
    decides which row they take. With an odd *n_old* it never is.
    """
    import numpy as np

    rows: NDArray[np.int64] = (2 * np.arange(n_new, dtype=np.int64) + 1) * n_old // (2 * n_new)
    return rows


class Step(NamedTuple):
    """One operation on the resized pixels, with one value per channel or one for all."""

    name: str
    operator: Literal["Gather", "Sub", "Add", "Mul", "Div"]
    values: "NDArray[np.generic]"


class PixelSteps(Protocol):
    """What happens to the resized pixels, in order; *text* describes it for people."""

    @property
    def text(self) -> str:
        """The operations in words."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The operations."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to the resized pixels: the channels' order, then ``(x - mean) * scale``."""

    text: str
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in the order of *channels*, as the scale
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["RGB", "BGR"] = "RGB"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The operations that do something."""
        import numpy as np

        steps = []
        if self.channels == "BGR":
            steps.append(Step("channels", "Gather", np.array([2, 1, 0], dtype=np.int64)))
        if any(self.mean):
            steps.append(Step("mean", "Sub", np.array(self.mean, dtype=np.float32)))
        if self.scale != (1.0, 1.0, 1.0):
            steps.append(Step("scale", "Mul", np.array(self.scale, dtype=np.float32)))
        return tuple(steps)


def prepend_preprocessing(
    model: "onnx.ModelProto",
    *,
    network_input: str,
    size: tuple[int, int],
    preprocessing: PixelSteps,
    resize: Resize = BILINEAR,
) -> "onnx.ModelProto":
    """Return the network with input ``images``: uint8, (N, H, W, 3), RGB, N, H and W dynamic.

    Before, its input *network_input* is float32 of shape (N, 3, height, width); *size* is (height,
    width). The only transpose is of bytes, and no later node sees the size of the raw image.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Transpose", ["images"], ["images_nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["images_nchw"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node(
            "Resize",
            ["pixels", "", "", "input_size"],
            ["resized"],
            axes=[2, 3],
            mode=resize.mode,
            coordinate_transformation_mode=resize.coordinates,
            **_ATTRIBUTES[resize.mode],
        ),
    ]
    constants = [numpy_helper.from_array(np.asarray(size, dtype=np.int64), "input_size")]
    last = "resized"
    for name, operator, values in preprocessing.steps:
        axis: dict[str, Any] = {"axis": 1} if operator == "Gather" else {}
        constant = numpy_helper.from_array(
            values if axis else values.reshape(1, -1, 1, 1), f"preprocess_{name}"
        )
        constants.append(constant)
        nodes.append(helper.make_node(operator, [last, constant.name], [f"image_{name}"], **axis))
        last = f"image_{name}"
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
