"""What timm and torchvision state of their networks: weights, preprocessing, licence."""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exporters.common.fit import SquareFit
from exporters.common.preprocess import choose_resize
from exporters.common.statement import BYTE, Fields, Statement, chooses_fit
from exporters.common.timm import timm_statement
from exporters.torch.factory import Factory
from tlbench.core.errors import UnknownNameError
from tlbench.model import ExportOptions

# The argument that asks for the library's own weights, and its value.
_PRETRAINED: Mapping[str, tuple[str, Any]] = {
    "timm": ("pretrained", True),
    "torchvision": ("weights", "DEFAULT"),
}


def library_of(factory: Factory) -> str | None:
    """Return ``"timm"`` or ``"torchvision"`` for a function with which it makes its networks."""
    library = factory.module.partition(".")[0]
    if library in _PRETRAINED:
        factory.find()  # with the errors of a module that cannot be imported
    if library == "timm":
        is_known = factory.path == "create_model" or _timm().is_model(factory.path)
    elif library == "torchvision":
        is_known = factory.path in importlib.import_module("torchvision.models").list_models()
    else:
        is_known = False
    return library if is_known else None


def check_name(factory: Factory) -> None:
    """Raise UnknownNameError for a network that timm does not have, with the most similar names."""
    name = factory.arguments.get("model_name")
    if library_of(factory) != "timm" or factory.path != "create_model" or not isinstance(name, str):
        return
    architecture, _, _ = name.partition(".")
    if ":" in name or _timm().is_model(architecture):  # hf-hub:OWNER/NAME is looked up by timm
        return
    near = difflib.get_close_matches(architecture, _timm().list_models(), n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise UnknownNameError(f"timm has no network {architecture!r}.{hint}")


def weights_argument(factory: Factory) -> str | None:
    """Return the name of the argument with which the library loads weights, None for others."""
    return None if (library := library_of(factory)) is None else _PRETRAINED[library][0]


def with_pretrained(factory: Factory) -> Factory:
    """Return the factory with the argument that asks for the library's own weights."""
    name, value = _PRETRAINED[library_of(factory) or ""]
    return replace(factory, arguments={**factory.arguments, name: value})


def stated_preprocessing(
    factory: Factory,
    network: Any,  # noqa: ANN401 - a torch.nn.Module
    options: ExportOptions,
) -> Statement | None:
    """Return the preprocessing that the network's library states, None if it states none."""
    if (config := timm_config(network)) is not None:
        return timm_statement(Fields("timm's pretrained_cfg", config), options)
    if library_of(factory) == "torchvision":
        return _torchvision_statement(factory, options)
    return None


def timm_config(network: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - a torch.nn.Module
    """Return the ``pretrained_cfg`` that timm attaches to its networks."""
    config = getattr(network, "pretrained_cfg", None)
    return config if isinstance(config, Mapping) and "mean" in config else None


def licence_of(factory: Factory, network: Any) -> str:  # noqa: ANN401 - a torch.nn.Module
    """Return the licence of the library's own weights, as far as the library states it."""
    licence = (timm_config(network) or {}).get("license")
    if isinstance(licence, str) and licence:
        return licence
    library = library_of(factory)
    return "unknown" if library is None else f"not stated by {library}"


def origin_of(factory: Factory, network: Any) -> str:  # noqa: ANN401 - a torch.nn.Module
    """Return which of the library's own weights a network has."""
    if (config := timm_config(network)) is not None:
        names = [config.get("architecture"), config.get("tag")]
        return f"timm's {'.'.join(str(name) for name in names if name)}"
    kinds = importlib.import_module("torchvision.models").get_model_weights(factory.path)
    return f"torchvision's {kinds[_torchvision_weights(factory)]}"


def _torchvision_weights(factory: Factory) -> str:
    chosen = factory.arguments.get("weights")
    return chosen.rpartition(".")[2] if isinstance(chosen, str) else "DEFAULT"


def _torchvision_statement(factory: Factory, options: ExportOptions) -> Statement | None:
    """Return the transforms of the chosen weights, or of the architecture's default weights."""
    models = importlib.import_module("torchvision.models")
    kinds = models.get_model_weights(factory.path)
    preset = kinds[_torchvision_weights(factory)].transforms()
    if not all(hasattr(preset, key) for key in ("crop_size", "resize_size", "mean", "std")):
        return None  # a detector's, or another task's
    (size,), (resized,) = preset.crop_size, preset.resize_size
    fields = Fields(f"torchvision's {kinds.__name__}", vars(preset))
    if size > resized and not chooses_fit(options):
        raise fields.needs_fit(f"a crop of {size} pixels is larger than the image of {resized}")
    filter_name = preset.interpolation.value
    return Statement(
        size=(size, size),
        fit=SquareFit("crop", min(size / resized, 1.0)),
        resize=choose_resize(filter_name, antialias=bool(preset.antialias)),
        scale=BYTE,
        mean=fields.three("mean"),
        std=fields.three("std", positive=True),
        channels="RGB",
    )


def _timm() -> Any:  # noqa: ANN401 - a module
    return importlib.import_module("timm")
