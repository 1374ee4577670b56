"""What a graph does to raw images, as fields of the card, and the arithmetic of its crop."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import onnx

# Begins the names of the nodes that calculate with an image's two sides; they belong on the host.
SIDES_PREFIX = "fit_"
# Between the preprocessing and the network, in every export.
NETWORK_INPUT = "network_input"
# Keeps the products of the graph far below 2**63; 1/3 and 0.875 are exact.
_LARGEST_DENOMINATOR = 1_000_000


def crop_ratio(fraction: float) -> tuple[int, int]:
    """Return numerator and denominator of a crop fraction, the latter at most a million."""
    ratio = Fraction(fraction).limit_denominator(_LARGEST_DENOMINATOR)
    return ratio.numerator, ratio.denominator


def preprocessing_of(model: "onnx.ModelProto") -> "onnx.ModelProto | None":
    """Return the graph from raw images to ``NETWORK_INPUT``; None for files that lack it."""
    from onnx import TensorProto, helper

    graph = model.graph
    needed: set[str] = {NETWORK_INPUT}
    nodes: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.insert(0, node)
            needed.update(node.input)
    if not nodes:
        return None
    part = helper.make_graph(
        nodes,
        "preprocessing",
        graph.input,
        [helper.make_tensor_value_info(NETWORK_INPUT, TensorProto.FLOAT, None)],
        [tensor for tensor in graph.initializer if tensor.name in needed],
    )
    return helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)


def crop_side(height: int, width: int, fraction: float) -> int:
    """Return the side of the centred crop in pixels: of the shorter side, halves rounded up."""
    numerator, denominator = crop_ratio(fraction)
    return max(1, (2 * min(height, width) * numerator + denominator) // (2 * denominator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """What the graph does to raw images (N, H, W, 3) before the network, step by step.

    Attributes
    ----------
    fit : {"crop", "squash", "pad"}
        How images that are not square become square: the centred square is cut out, the image is
        resized to a square regardless of its proportions, or it is padded to a square.
    crop_fraction : float or None
        Side of the crop as a fraction of the image's shorter side; None unless *fit* is ``"crop"``.
    pad_colour : tuple of int or None
        RGB of the padding; None unless *fit* is ``"pad"``.
    size : tuple of int
        Height and width after the resize, pixels.
    interpolation, coordinates, antialias
        Of the resize; the coordinates are ONNX's ``coordinate_transformation_mode``.
    channels : {"RGB", "BGR"}
        Order of the channels in the network, and of *mean* and *std*.
    scale, mean, std : float, tuple of float, tuple of float
        Pixels x from 0 to 255 become ``(x * scale - mean) / std``.
    layout : str
        Of the tensor that the network gets.
    """

    fit: Literal["crop", "squash", "pad"]
    crop_fraction: float | None = None
    pad_colour: tuple[int, int, int] | None = None
    size: tuple[int, int]
    interpolation: Literal["bilinear", "bicubic", "nearest"]
    coordinates: Literal["half_pixel", "asymmetric", "align_corners"] = "half_pixel"
    antialias: bool
    channels: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    @property
    def fit_text(self) -> str:
        """The fit in words."""
        if self.fit == "pad":
            return f"pad to a square with the colour {self.pad_colour}"
        if self.fit == "squash":
            return "squash to a square"
        if self.crop_fraction == 1:
            return "crop to the centred square"
        return f"crop to the centred square, {self.crop_fraction:g} of the shorter side"

    def cropped_fraction(self, height: int, width: int) -> float:
        """Return the share of an image's area that the crop leaves out."""
        if self.crop_fraction is None:
            return 0.0
        return 1 - crop_side(height, width, self.crop_fraction) ** 2 / (height * width)
