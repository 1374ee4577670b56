"""Check the export options before any work begins, so that none is ignored in silence."""

from dataclasses import fields

from exporters.common.session import Frameworks
from tlbench.core.errors import ConfigError
from tlbench.model import ExportOptions, TrainingOptions

# Resize takes the spatial axes alone since opset 18; every ONNX Runtime since 1.14 reads it.
DEFAULT_OPSET = 18
# For `refuse_options`: of the backbones whose input and features are known.
FROZEN_ONLY = {
    "input_tensor": "input_tensor names a tensor of a frozen graph (frozen:FILE.pb); leave it out",
    "output_tensor": (
        "output_tensor names a tensor of a frozen graph (frozen:FILE.pb), not the file to write; "
        "leave it out"
    ),
}
ONNX_ONLY = {
    "top_output": (
        "top_output names a tensor of an ONNX file (onnx:FILE.onnx); leave it out, and ask for the "
        "logits with top=True"
    ),
}
TORCH_ONLY = {
    "factory_args": (
        "factory_args are for a function that makes a network (torch:MODULE:FACTORY, timm:NAME); "
        "leave them out"
    ),
}
# Of the backbones whose preprocessing is known, and in the graph.
PREPROCESSING_KNOWN = {
    name: f"its preprocessing is known and part of the graph; leave out {name}=..."
    for name in ("scale", "mean", "std", "channels", "preprocess")
} | {"layout": "the layout of its input is known; leave out layout=..."}


def refuse_options(name: str, options: ExportOptions | TrainingOptions, **reasons: str) -> None:
    """Raise ConfigError if an option is set that the network *name* cannot use, and say why."""
    for field in fields(options):
        if field.name in reasons and getattr(options, field.name) != field.default:
            raise ConfigError(f"{name}: {reasons[field.name]}.")


def check_opset(opset: int | None) -> int:
    """Return the opset to export with; raise ConfigError for one whose Resize lacks axes."""
    import onnx

    newest: int = onnx.defs.onnx_opset_version()
    if opset is None:
        return DEFAULT_OPSET
    if not DEFAULT_OPSET <= opset <= newest:
        msg = f"opset must be from {DEFAULT_OPSET} to {newest} (for the resize), got {opset}."
        raise ConfigError(msg)
    return opset


def check_opset_of_tf2onnx(frameworks: Frameworks, opset: int | None) -> int:
    """Return the opset to export with; raise ConfigError for one that tf2onnx does not write."""
    opset = check_opset(opset)
    newest = max(frameworks.tf2onnx.constants.OPSET_TO_IR_VERSION)
    if opset > newest:
        msg = (
            f"opset must be at most {newest}, the newest that tf2onnx "
            f"{frameworks.tf2onnx.__version__} writes, got {opset}."
        )
        raise ConfigError(msg)
    return opset
