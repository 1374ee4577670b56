"""Preprocessing as timm states it in a network's ``pretrained_cfg``."""

from exporters.common.fit import SQUASH, SquareFit
from exporters.common.statement import BYTE, Fields, Statement, chooses_fit, whole_number
from tlbench.model import ExportOptions

TIMM_KEYS = frozenset(("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std"))
_TIMM_HARMLESS = frozenset(
    (
        *("url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source", "architecture"),
        *("tag", "custom_load", "min_input_size", "fixed_input_size", "num_classes"),
        *("test_input_size", "test_crop_pct", "test_pool_size", "pool_size", "label_offset"),
        *("label_names", "label_descriptions", "first_conv", "classifier", "license"),
        *("description", "origin_url", "paper_name", "paper_ids", "notes"),
    )
)


def timm_statement(fields: Fields, options: ExportOptions) -> Statement:
    """Return what a ``pretrained_cfg`` asks for; what the *options* replace need not be in it."""
    fields.refuse_unknown(TIMM_KEYS | _TIMM_HARMLESS)
    size = fields.get("input_size")
    if size is None and options.input_size is None:
        raise fields.needs_size("'input_size' is missing")
    edges = None
    if options.input_size is None:
        found = [whole_number(edge) for edge in size] if isinstance(size, list | tuple) else []
        if len(found) != 3 or found[0] != 3 or min(edge or 0 for edge in found) < 1:  # noqa: PLR2004
            raise fields.wrong("input_size", "three channels, height and width, as [3, 224, 224]")
        edges = (found[1] or 0, found[2] or 0)
    return Statement(
        size=edges,
        fit=None if chooses_fit(options) else _timm_fit(fields),
        resize=fields.filter("interpolation", options),
        scale=BYTE,  # timm's images are always from 0 to 1
        mean=fields.three("mean") if options.mean is None else None,
        std=fields.three("std", positive=True) if options.std is None else None,
        channels="RGB",
    )


def _timm_fit(fields: Fields) -> SquareFit:
    mode = "center" if fields.get("crop_mode") is None else fields.get("crop_mode")
    fraction = fields.number("crop_pct")
    if mode not in {"center", "squash", "border"}:
        raise fields.wrong("crop_mode", "'center', 'squash' or 'border'")
    if mode == "center" and fraction <= 1:
        return SquareFit("crop", fraction)
    if mode == "squash" and fraction == 1:
        return SQUASH
    raise fields.needs_fit(f"'crop_mode' is {mode!r} with a 'crop_pct' of {fraction:g}")
