"""Refuse the export options that mean nothing to a backbone, instead of ignoring them."""

from dataclasses import fields

from tlbench.core.errors import ConfigError
from tlbench.model import ExportOptions

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
