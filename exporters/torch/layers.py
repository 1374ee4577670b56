"""Find the layer whose output becomes the features, by running the network."""

import difflib
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils import _pytree as pytree

from exporters.torch.factory import described
from tlbench.core.errors import ConfigError, ExportError, UnknownNameError
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions


@dataclass(frozen=True, slots=True)
class FeatureLayer:
    """Where the features are: the input or output of a module, or the network's own output."""

    module: str | None  # its path; None for the output of the network
    is_input: bool = False

    @property
    def text(self) -> str:
        """The layer, for the card."""
        if self.module is None:
            return "output of the network"
        return f"input of {self.module}" if self.is_input else self.module


def run(network: torch.nn.Module, images: torch.Tensor, name: str) -> Any:  # noqa: ANN401 - its choice
    """Return what the network gives for images; ExportError if it fails."""
    try:
        return network(images)
    except Exception as error:
        msg = (
            f"{name} does not run on float32 images of shape {tuple(images.shape)}: "
            f"{described(error)} It must take a batch of images and nothing else; some networks "
            "need another input_size."
        )
        raise ExportError(msg) from error


def find_layer(
    network: torch.nn.Module,
    images: torch.Tensor,
    name: str,
    options: ExportOptions,
    listener: Listener,
) -> FeatureLayer:
    """Return the layer that the options name, or else the input of the last linear layer.

    ConfigError or UnknownNameError if there is none.
    """
    names = [path for path, _ in network.named_modules() if path]
    if options.layer is not None:
        if options.layer not in names:
            raise _unknown_layer(name, options.layer, names)
        return FeatureLayer(options.layer)
    last = _last_linear(network, images, name)
    if last is not None:
        return FeatureLayer(last, is_input=True)
    if options.top:
        msg = (
            f"{name} does not end in a linear layer, so that the layer before its logits is "
            f"unknown. Name it with layer=...; the last modules are {_last(names)}."
        )
        raise ConfigError(msg)
    listener.warn(
        f"{name} does not end in a linear layer: its output becomes the features. If that is a "
        f"classification, choose a layer before it; the last modules are {_last(names)}."
    )
    return FeatureLayer(None)


def _last_linear(network: torch.nn.Module, images: torch.Tensor, name: str) -> str | None:
    """Return the path of the linear layer that runs last, if its output is the network's."""
    called: list[tuple[str, torch.Size]] = []

    def note(_module: torch.nn.Module, _inputs: object, output: torch.Tensor, *, path: str) -> None:
        called.append((path, output.shape))

    hooks = [
        module.register_forward_hook(partial(note, path=path))
        for path, module in network.named_modules()
        if path and isinstance(module, torch.nn.Linear)
    ]
    try:
        output = run(network, images, name)
    finally:
        for hook in hooks:
            hook.remove()
    leaves = pytree.tree_leaves(output)
    ends = [leaf.shape for leaf in leaves if isinstance(leaf, torch.Tensor)]
    # In a network without a classifier, the last one may be part of a block.
    path, shape = called[-1] if called else (None, None)
    return path if shape in ends else None


def _unknown_layer(name: str, layer: str, names: list[str]) -> UnknownNameError:
    near = difflib.get_close_matches(layer, names, n=8, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}? Close matches: {', '.join(near)}." if near else ""
    # There are hundreds of names: too many to list them all, as is done elsewhere.
    return UnknownNameError(
        f"{name} has no module {layer!r} among its {len(names)}.{hint} The last ones are "
        f"{_last(names)}."
    )


def _last(names: list[str]) -> str:
    return ", ".join(names[-8:]) or "none"
