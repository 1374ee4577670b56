"""Make images square: the nodes of the graph for any height and width, and the same in numpy."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tlbench.model import SIDES_PREFIX, ExportOptions, Fit, crop_ratio, crop_side

if TYPE_CHECKING:  # a row of `tlbench list backbones` imports this module: nothing heavy here
    import onnx

    from tlbench.core.arrays import ImageArray


@dataclass(frozen=True, slots=True)
class SquareFit:
    """How images that are not square become square.

    ``crop`` cuts the centred square out, whose side is *crop_fraction* of the shorter side in whole
    pixels; ``pad`` adds black up to the longer side; ``squash`` leaves it to the resize. Where a
    remainder is odd, the top or left gets the smaller half.
    """

    name: Fit = "crop"
    crop_fraction: float = 1.0

    def side(self, height: int, width: int) -> int:
        """Return the side of the square in raw pixels; the shorter one for ``squash``."""
        if self.name == "pad":
            return max(height, width)
        return crop_side(height, width, self.crop_fraction if self.name == "crop" else 1.0)

    def apply(self, images: "ImageArray") -> "ImageArray":
        """Return images (N, H, W, 3) cropped or padded by numpy, as the graph is to do it."""
        import numpy as np

        height, width = images.shape[1:3]
        side = self.side(height, width)
        if self.name == "crop":
            top, left = (height - side) // 2, (width - side) // 2
            return images[:, top : top + side, left : left + side]
        if self.name == "pad":
            top, left = (side - height) // 2, (side - width) // 2
            edges = ((top, side - height - top), (left, side - width - left))
            return np.pad(images, ((0, 0), *edges, (0, 0)))
        return images


SQUASH = SquareFit("squash")


def choose_fit(options: ExportOptions, default: Fit = "crop") -> SquareFit:
    """Return the fit that the options ask for; raise ConfigError for a fraction without a crop."""
    options = replace(options, fit=options.fit or default)  # which checks the two together
    return SquareFit(options.fit or default, options.crop_fraction)


def fit_nodes(fit: SquareFit) -> "tuple[list[onnx.NodeProto], list[onnx.TensorProto]]":
    """Return the nodes of a fit in order, and their constants; the last node gives the images.

    A crop reads ``images``, bytes (N, H, W, 3); a padding reads ``pixels``, float32 (N, 3, H, W),
    and the sides of ``images``. All arithmetic is of whole numbers.
    """
    if fit.name == "squash":
        return [], []
    import numpy as np
    from onnx import helper, numpy_helper

    nodes: list[onnx.NodeProto] = []
    constants: dict[str, onnx.TensorProto] = {}

    def constant(value: int | list[int]) -> str:
        name = f"{SIDES_PREFIX}{'_'.join(map(str, np.atleast_1d(value)))}"
        constants[name] = numpy_helper.from_array(np.array(value, dtype=np.int64).reshape(-1), name)
        return name

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        made = helper.make_node(operator, inputs, [output], name=output, **attributes)
        nodes.append(made)
        return output

    def whole(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        return node(operator, inputs, f"{SIDES_PREFIX}{output}", **attributes)

    sides = whole("Shape", ["images"], "sides", start=1, end=3)
    if fit.name == "pad":
        side = whole("ReduceMax", [sides], "longer")
        rest = whole("Sub", [side, sides], "rest")
        begin = whole("Div", [rest, constant(2)], "begin")
        end = whole("Sub", [rest, begin], "end")
        pads = whole("Concat", [begin, end], "pads", axis=0)
        node("Pad", ["pixels", pads, "", constant([2, 3])], "padded")
        return nodes, list(constants.values())
    side = whole("ReduceMin", [sides], "shorter")
    numerator, denominator = crop_ratio(fit.crop_fraction)
    if numerator != denominator:
        doubled = whole("Mul", [side, constant(2 * numerator)], "doubled")
        raised = whole("Add", [doubled, constant(denominator)], "raised")
        rounded = whole("Div", [raised, constant(2 * denominator)], "rounded")
        side = whole("Max", [rounded, constant(1)], "side")
    rest = whole("Sub", [sides, side], "rest")
    begin = whole("Div", [rest, constant(2)], "begin")
    end = whole("Add", [begin, side], "end")
    node("Slice", ["images", begin, end, constant([1, 2])], "cropped")
    return nodes, list(constants.values())
