"""Check the export options before the work begins: nothing is ignored in silence."""

from dataclasses import fields

from exporters.common.session import Frameworks
from tlbench.core.errors import ConfigError
from tlbench.model import ExportOptions

# Resize takes the spatial axes alone since opset 18; every ONNX Runtime since 1.14 reads it.
DEFAULT_OPSET = 18
_TENSORS = (
    "--input and --output name tensors of a frozen graph (frozen:FILE.pb), and this is none; the "
    "file to write is given with -o"
)
# Of the backbones that know their own ends.
FROZEN_ONLY = {"input_tensor": _TENSORS, "output_tensor": _TENSORS}


def refuse_options(name: str, options: ExportOptions, **reasons: str) -> None:
    """Raise ConfigError if an option is set that the backbone *name* has no use for.

    Parameters
    ----------
    reasons : str
        By the option's name in `ExportOptions`: why it is refused, without a full stop.
    """
    for field in fields(ExportOptions):
        if field.name in reasons and getattr(options, field.name) != field.default:
            raise ConfigError(f"{name}: {reasons[field.name]}.")


def check_opset(opset: int | None) -> int:
    """Return the opset to export with; raise ConfigError for one whose Resize lacks axes."""
    import onnx

    newest: int = onnx.defs.onnx_opset_version()
    if opset is None:
        return DEFAULT_OPSET
    if not DEFAULT_OPSET <= opset <= newest:
        msg = f"--opset {opset} is not possible: the resize needs {DEFAULT_OPSET} to {newest}."
        raise ConfigError(msg)
    return opset


def supported_opset(frameworks: Frameworks, opset: int | None) -> int:
    """Return the opset to export with; raise ConfigError for one that tf2onnx does not write."""
    opset = check_opset(opset)
    newest = max(frameworks.tf2onnx.constants.OPSET_TO_IR_VERSION)
    if opset > newest:
        msg = (
            f"--opset {opset} is not possible: tf2onnx {frameworks.tf2onnx.__version__} writes "
            f"opsets up to {newest}. Leave out --opset."
        )
        raise ConfigError(msg)
    return opset
