"""The contract of a backbone: an entry that writes an ONNX file when it is asked to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener
from tlbench.core.registry import Registry, unknown_name
from tlbench.model.card import ModelCard

Fit: TypeAlias = Literal["crop", "squash", "pad"]
_FITS = ("crop", "squash", "pad")
_CHANNELS = ("rgb", "bgr")
_LAYOUTS = ("nchw", "nhwc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The options of an export; None leaves the choice to the backbone.

    Attributes
    ----------
    weights : str
        ``"imagenet"``, ``"random"``, or the path of a weights file of the source framework.
    input_size : int or None
        Height and width that the graph resizes images to, pixels.
    layer : str or None
        Layer whose output becomes the features.
    pooling : {"avg", "max", "none"}
        How a spatial output is pooled; ``"none"`` keeps it, flattened in (H, W, C) order.
    top : bool
        Whether to add the ``logits`` of the original classifier.
    opset : int or None
        ONNX opset of the file.
    seed : int
        Seed of random weights.
    resize : {"bilinear", "bicubic", "nearest"} or None
        How the graph resizes images.
    antialias : bool
        Whether the resize averages over the pixels that it merges, as Pillow does.
    fit : {"crop", "squash", "pad"} or None
        How images that are not square become square: the centred square is cut out, the image is
        resized regardless of its proportions, or it is padded with black.
    crop_fraction : float
        Side of the square that a crop keeps, as a fraction of the image's shorter side.
    scale, mean, std : float, tuple of float, tuple of float, or None
        For a network whose framework does not state its preprocessing: pixels x from 0 to 255
        become ``(x * scale - mean) / std``; a tuple has one value for all channels, or three.
    channels : {"rgb", "bgr"} or None
        For such a network: the order of the channels that it takes, and of *mean* and *std*.
    layout : {"nchw", "nhwc"} or None
        For such a network: the order of the axes of its input; None where its shape tells.
    preprocess : Path or None
        For such a network: a file that states its preprocessing, a ``preprocessor_config.json`` of
        Hugging Face or a ``config.json`` of timm. The other options win over it.
    top_output : str or None
        For an ONNX file: the tensor that holds the logits.
    factory_args : mapping or None
        For ``torch:`` and ``timm:``: the arguments that the function gets which makes the network.
    input_tensor, output_tensor : str or None
        For a graph that does not name its own ends: the tensor that takes the image, and the tensor
        that becomes the features.
    download_dir : Path or None
        Where a downloaded file is kept; None keeps none. It does not change what is exported.
    """

    weights: str = "imagenet"
    input_size: int | None = None
    layer: str | None = None
    pooling: Literal["avg", "max", "none"] = "avg"
    top: bool = False
    opset: int | None = None
    seed: int = 0
    resize: Literal["bilinear", "bicubic", "nearest"] | None = None
    antialias: bool = False
    fit: Fit | None = None
    crop_fraction: float = 1.0
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: Literal["rgb", "bgr"] | None = None
    layout: Literal["nchw", "nhwc"] | None = None
    preprocess: Path | None = None
    top_output: str | None = None
    factory_args: Mapping[str, Any] | None = None
    input_tensor: str | None = None
    output_tensor: str | None = None
    download_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.input_size is not None and self.input_size < 1:
            raise ConfigError(f"input_size must be at least 1, got {self.input_size}.")
        if self.fit is not None and self.fit not in _FITS:
            raise unknown_name("fit", self.fit, list(_FITS))
        if not 0 < self.crop_fraction <= 1:  # NaN, too
            msg = (
                "crop_fraction must be greater than 0 and at most 1, which keeps the whole shorter "
                f"side; got {self.crop_fraction:g}."
            )
            raise ConfigError(msg)
        if self.crop_fraction != 1 and self.fit not in {None, "crop"}:
            msg = (
                f"crop_fraction={self.crop_fraction:g} belongs to fit='crop', but fit={self.fit!r} "
                "keeps the whole image. Leave one of the two out."
            )
            raise ConfigError(msg)
        self._check_declared()
        for name, value in (self.factory_args or {}).items():
            if not name.isidentifier() or not _is_literal(value):
                msg = (
                    "factory_args takes names with texts, numbers, True, False, None, or lists, "
                    f"tuples and dictionaries of these; got {name}={value!r:.60}."
                )
                raise ConfigError(msg)

    def _check_declared(self) -> None:
        for name, known in (("channels", _CHANNELS), ("layout", _LAYOUTS)):
            if (chosen := getattr(self, name)) is not None and chosen not in known:
                raise unknown_name(name, chosen, list(known))
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            raise ConfigError(f"scale must be greater than 0 and finite, got {self.scale:g}.")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is None:
                continue
            shown = ", ".join(f"{value:g}" for value in values)
            if len(values) not in {1, 3} or not all(map(math.isfinite, values)):
                msg = f"{name} must be one number, or three, one for each channel; got {shown}."
                raise ConfigError(msg)
            if name == "std" and min(values) <= 0:
                raise ConfigError(f"std must be greater than 0, got {shown}.")


def _is_literal(value: object) -> bool:
    """Tell whether a value is written as Python reads it: its text then identifies it."""
    if isinstance(value, list | tuple):
        return all(map(_is_literal, value))
    if isinstance(value, dict):
        return all(map(_is_literal, (*value, *value.values())))
    return value is None or type(value) in {bool, int, float, str}


@runtime_checkable
class Backbone(Protocol):
    """An entry of the group ``tlbench.backbones``. Importing it must not import its framework."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def summary(self) -> str:
        """One line: family, input size, number of features, licence of the weights."""

    @property
    def requires(self) -> tuple[str, ...]:
        """Distributions that an export needs beyond the base install."""

    def export(self, options: ExportOptions, destination: Path, listener: Listener) -> ModelCard:
        """Write the ONNX file and return its card.

        Raises
        ------
        ExportError, MissingDependencyError, ConfigError
            Nothing is left at *destination* then.
        """


@runtime_checkable
class BackboneWithArgument(Backbone, Protocol):
    """A backbone whose name carries an argument after a colon: ``frozen:FILE.pb``."""

    def with_argument(self, argument: str) -> Backbone:
        """Return the backbone for this argument."""


@runtime_checkable
class IdentifiedBackbone(Backbone, Protocol):
    """A backbone with an argument that every command exports on first use."""

    def identity(self) -> str | None:
        """Return what the export depends on besides the options and `requires`.

        None if nothing identifies it, as with code that can be edited: no export is used again.
        """


BACKBONES: Registry[Backbone] = Registry("backbones")
