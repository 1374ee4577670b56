"""Preprocessing as Hugging Face's image processors state it in preprocessor_config.json."""

from collections.abc import Mapping

from exporters.common.fit import SQUASH, SquareFit
from exporters.common.statement import BYTE, Fields, Statement, chooses_fit, whole_number
from tlbench.core.errors import ConfigError
from tlbench.model import ExportOptions

HUGGING_FACE_KEYS = frozenset(
    (
        *("do_resize", "size", "resample", "do_center_crop", "crop_size", "crop_pct"),
        *("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
        *("do_flip_channel_order", "default_to_square"),
    )
)
_HARMLESS = frozenset(
    (
        *("image_processor_type", "feature_extractor_type", "processor_class", "auto_map"),
        *("_processor_class", "_valid_processor_keys", "data_format", "input_data_format"),
        *("do_convert_rgb", "return_tensors", "device", "disable_grouping", "transformers_version"),
    )
)
# Classes of Hugging Face for which a single number is the shorter side.
_SHORTER_SIDE = ("CLIP", "ChineseCLIP", "ConvNext", "Bit", "MobileNet", "MobileViT", "PoolFormer")
# From this size on, Hugging Face's ConvNext squashes, and before it crops.
_CONVNEXT_SQUASHES = 384


def hugging_face_statement(fields: Fields, options: ExportOptions) -> Statement:
    """Return what an image processor does; what the *options* replace need not be stated."""
    fields.refuse_unknown(HUGGING_FACE_KEYS | _HARMLESS)
    said = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
    size, fit = _sized(fields, options)
    if all(fields.get(key) is None for key in said):
        return Statement(size=size, fit=fit, resize=fields.filter("resample", options))
    scale = 1.0
    if fields.flag("do_rescale", default=True):  # the default of all image processors
        scale = BYTE if fields.get("rescale_factor") is None else fields.number("rescale_factor")
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    stated = fields.get("image_mean") is not None or fields.get("image_std") is not None
    normalises = fields.flag("do_normalize", default=stated)
    if normalises:
        mean = fields.three("image_mean") if options.mean is None else mean
        std = fields.three("image_std", positive=True) if options.std is None else std
    flips = fields.flag("do_flip_channel_order", default=False)
    if flips and normalises and options.channels is None and len({*mean}) + len({*std}) > 2:  # noqa: PLR2004
        msg = (
            f"{fields.label}: 'do_flip_channel_order' with values for each channel may mean either "
            "order of those. Choose channels='rgb' or channels='bgr'."
        )
        raise ConfigError(msg)
    return Statement(
        size=size,
        fit=fit,
        resize=fields.filter("resample", options),
        scale=scale,
        mean=mean,
        std=std,
        channels="BGR" if flips else "RGB",
    )


def _sized(
    fields: Fields, options: ExportOptions
) -> tuple[tuple[int, int] | None, SquareFit | None]:
    """Return the size of the network's input and the fit, which follow from the same keys."""
    if not fields.flag("do_resize", default=True):
        if options.input_size is None:
            raise fields.needs_size("'do_resize' is false")
        if fields.flag("do_center_crop", default=False) and not chooses_fit(options):
            raise fields.needs_fit("a square of a fixed number of pixels is cut out")
        return None, None
    if fields.get("size") is None:
        if options.input_size is None:
            raise fields.needs_size("'size' is missing")
        if fields.get("crop_size") is not None and not chooses_fit(options):
            raise fields.needs_fit("'crop_size' without 'size' is a fixed number of pixels")
        return None, None
    height, width, is_shorter = _resized_to(fields)
    crops = fields.flag("do_center_crop", default=fields.get("crop_size") is not None)
    cut = _edges(fields, "crop_size") if crops else None
    if crops and cut is None:
        raise fields.wrong("crop_size", "a number of pixels, or height and width")
    if is_shorter:
        return _shorter_side(fields, options, height, cut)
    if cut not in {None, (height, width)} and not chooses_fit(options):
        raise fields.needs_fit(f"images are squashed to {height}x{width} and then cropped")
    return cut or (height, width), SQUASH


def _shorter_side(
    fields: Fields, options: ExportOptions, edge: int, cut: tuple[int, int] | None
) -> tuple[tuple[int, int], SquareFit]:
    """Resize the shorter side to *edge*, then cut: a crop of that fraction, then a resize."""
    resized: float = edge
    if fields.get("crop_pct") is not None or _class_of(fields).startswith("ConvNext"):
        if cut is None and edge >= _CONVNEXT_SQUASHES:
            return (edge, edge), SQUASH
        percentage = fields.number("crop_pct")
        resized = int(edge / percentage)
    height, width = cut or (edge, edge)
    if chooses_fit(options):
        return (height, width), SquareFit()
    if height != width:
        raise fields.needs_fit(f"a rectangle of {height}x{width} pixels is cut out")
    if height > resized:
        raise fields.needs_fit(
            f"the shorter side becomes {resized:g} pixels, and a crop of {height} pixels is padded"
        )
    return (height, width), SquareFit("crop", height / resized)


def _resized_to(fields: Fields) -> tuple[int, int, bool]:
    """Return height and width of the resize, and whether they are the shorter side's alone."""
    size = fields.get("size")
    if isinstance(size, Mapping):
        edge = whole_number(size.get("shortest_edge"))
        if set(size) == {"shortest_edge"} and edge is not None and edge > 0:
            return edge, edge, True
    edges = _edges(fields, "size")
    if edges is None:
        raise fields.wrong("size", "a number of pixels, shortest_edge, or height and width")
    if whole_number(size) is None:
        return (*edges, False)
    is_square = _class_of(fields).startswith("DeiT") or (
        not fields.flag("do_center_crop", default=fields.get("crop_size") is not None)
        and not _class_of(fields).startswith(_SHORTER_SIDE)
    )
    return (*edges, not fields.flag("default_to_square", default=is_square))


def _edges(fields: Fields, key: str) -> tuple[int, int] | None:
    value = fields.get(key)
    values = [value, value]
    if isinstance(value, Mapping):
        if set(value) != {"height", "width"}:
            return None
        values = [value["height"], value["width"]]
    elif isinstance(value, list) and len(value) == 2:  # noqa: PLR2004 - height and width
        values = value
    height, width = map(whole_number, values)
    if height is None or width is None or min(height, width) < 1:
        return None
    return height, width


def _class_of(fields: Fields) -> str:
    name = fields.get("image_processor_type") or fields.get("feature_extractor_type") or ""
    return name if isinstance(name, str) else ""
