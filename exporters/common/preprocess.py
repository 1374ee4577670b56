"""Describe a preprocessing, and put it in front of a network, inside the graph."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from exporters.common.fit import SQUASH, SquareFit, fit_nodes
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.registry import unknown_name
from tlbench.model import Preprocess

if TYPE_CHECKING:  # a row of `tlbench list backbones` imports this module: nothing heavy here
    import numpy as np
    import onnx
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """How the graph resizes the images; *text* describes it for people."""

    text: str
    mode: Literal["linear", "cubic", "nearest"] = "linear"
    coordinates: Literal["half_pixel", "asymmetric", "align_corners"] = "half_pixel"
    antialias: bool = False

    @property
    def interpolation(self) -> Literal["bilinear", "bicubic", "nearest"]:
        """The mode by its name in Pillow."""
        names: dict[str, Literal["bilinear", "bicubic", "nearest"]]
        names = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}
        return names[self.mode]

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the ONNX operator."""
        found = {"mode": self.mode, "coordinate_transformation_mode": self.coordinates}
        # With antialiasing, ONNX Runtime gives pixels beyond the edge weight unless they are
        # excluded; Pillow does not.
        extra = {"antialias": 1, "exclude_outside": 1} if self.antialias else {}
        return found | _ATTRIBUTES[self.mode] | extra


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


def choose_resize(name: str | None, *, antialias: bool = False) -> Resize:
    """Return the resize of that name; bilinear for None."""
    if name is not None and name not in _RESIZES:
        raise unknown_name("resize", name, sorted(_RESIZES))
    resize = _RESIZES[name or "bilinear"]
    if not antialias:
        return resize
    if resize is NEAREST:
        msg = (
            "antialias=True averages over pixels, and resize='nearest' takes single ones. Choose "
            "resize='bilinear' or resize='bicubic', or leave antialias out."
        )
        raise ConfigError(msg)
    text = resize.text.replace("no antialiasing", "antialiasing")
    return replace(resize, text=text, antialias=True)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPixels:
    """What somebody declares to happen to the resized pixels: ``(x * scale - mean) / std``."""

    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in the order of *channels*, as std
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"  # of the network's own input, for the card

    @property
    def text(self) -> str:
        """The formula with its numbers."""
        inverse = round(1 / self.scale)
        text = "x"
        if self.scale != 1:
            whole = abs(1 / self.scale - inverse) < _WHOLE
            text = f"x / {inverse}" if whole else f"x * {self.scale:.7g}"
        if any(self.mean):
            text = f"{text} - {_one_or_three(self.mean)}"
        if self.std != (1.0, 1.0, 1.0):
            inner = text if text == "x" else f"({text})"
            text = f"{inner} / {_one_or_three(self.std)}"
        return text if self.channels == "RGB" else f"BGR, {text}"

    @property
    def preprocessing(self) -> Preprocessing:
        """The same as one subtraction and one product."""
        mean = (self.mean[0] / self.scale, self.mean[1] / self.scale, self.mean[2] / self.scale)
        red, green, blue = self.std
        factor = (self.scale / red, self.scale / green, self.scale / blue)
        return Preprocessing(self.text, mean, factor, self.channels)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The operations; their constants are rounded to float32 once."""
        return self.preprocessing.steps


_WHOLE = 1e-6


def _one_or_three(values: tuple[float, float, float]) -> str:
    texts = [f"{value:.7g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else f"({', '.join(texts)})"


def describe_preprocessing(
    fit: SquareFit, size: tuple[int, int], resize: Resize, steps: PixelSteps
) -> Preprocess:
    """Return the preprocessing as fields for the card; the pixel steps become one affine map."""
    import numpy as np

    factor, offset, reads_bgr = np.ones(3), np.zeros(3), False
    for _, operator, values in steps.steps:
        match operator:
            case "Gather":
                reads_bgr = not reads_bgr
                order = values.astype(np.int64)
                factor, offset = factor[order], offset[order]
            case "Mul" | "Div":
                by = values.astype(np.float64)
                by = by if operator == "Mul" else 1 / by
                factor, offset = factor * by, offset * by
            case "Add" | "Sub":
                by = values.astype(np.float64)
                offset = offset + by if operator == "Add" else offset - by
    if not factor.all():
        raise ExportError("The preprocessing multiplies a channel by 0: no image would be seen.")

    def three(values: "NDArray[Any]") -> tuple[float, float, float]:
        # the constants of the graph are float32, which has seven digits
        red, green, blue = (float(f"{value:.7g}") for value in values + 0.0)
        return red, green, blue

    described = Preprocess(
        fit=fit.name,
        crop_fraction=fit.crop_fraction if fit.name == "crop" else None,
        pad_colour=(0, 0, 0) if fit.name == "pad" else None,
        size=size,
        interpolation=resize.interpolation,
        coordinates=resize.coordinates,
        antialias=resize.antialias,
        channels="BGR" if reads_bgr else "RGB",
        mean=three(-offset / factor),
        std=three(1 / factor),
    )
    if isinstance(steps, DeclaredPixels):  # as it was declared, and not rounded
        return replace(
            described,
            scale=steps.scale,
            mean=steps.mean,
            std=steps.std,
            layout=steps.layout,
        )
    return described


def prepend_preprocessing(
    model: "onnx.ModelProto",
    *,
    network_input: str,
    size: tuple[int, int],
    preprocessing: PixelSteps,
    resize: Resize = BILINEAR,
    fit: SquareFit = SQUASH,
) -> "onnx.ModelProto":
    """Return the network with input ``images``: uint8, (N, H, W, 3), RGB, N, H and W dynamic.

    Before, its input *network_input* is float32 of shape (N, 3, height, width); *size* is (height,
    width). The only transpose is of bytes, and no later node sees the size of the raw image.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    fitting, constants = fit_nodes(fit)
    # A crop cuts bytes; a padding is of float32, which providers other than the CPU pad as well.
    source, pixels = "images", "pixels"
    if fit.name == "crop":
        source = fitting[-1].output[0]
    elif fit.name == "pad":
        pixels = fitting[-1].output[0]
    first = [
        helper.make_node("Transpose", [source], ["images_nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["images_nchw"], ["pixels"], to=TensorProto.FLOAT),
    ]
    inputs = [pixels, "", "", "input_size"]
    last_node = helper.make_node("Resize", inputs, ["resized"], axes=[2, 3], **resize.attributes)
    nodes = [*first, *fitting, last_node] if fit.name == "pad" else [*fitting, *first, last_node]
    constants.append(numpy_helper.from_array(np.asarray(size, dtype=np.int64), "input_size"))
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
    if fitting:  # shape inference loses the batch and the channels on the way
        shape: list[str | int] = ["N", 3, *size]
        graph.value_info.append(
            helper.make_tensor_value_info(network_input, TensorProto.FLOAT, shape)
        )
    del graph.input[:]
    graph.input.append(
        helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])
    )
    return joined
