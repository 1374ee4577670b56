"""Declared preprocessing: for a network whose own framework does not state it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporters.common.fit import SquareFit, choose_fit
from exporters.common.hugging_face import HUGGING_FACE_KEYS, hugging_face_statement
from exporters.common.preprocess import DeclaredPixels, Resize, choose_resize
from exporters.common.statement import Fields, Statement, Triple, chooses_fit
from exporters.common.timm import timm_statement
from tlbench.core.errors import ConfigError
from tlbench.model import ExportOptions

_LARGEST_BYTES = 1 << 20  # such files have about 1 kB
_KINDS = "a preprocessor_config.json of Hugging Face, or a config.json of timm (pretrained_cfg)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """All of a preprocessing, but for the size if only the network itself can tell."""

    size: tuple[int, int] | None
    fit: SquareFit
    resize: Resize
    pixels: DeclaredPixels


def declare(name: str, options: ExportOptions, stated: Statement | None = None) -> Declared:
    """Return the preprocessing of the backbone *name* as it is declared.

    What the options say explicitly wins over the file ``options.preprocess``, and that over
    *stated*, which comes from the network's library. ``fit`` and ``crop_fraction`` are chosen
    together, and so are ``resize`` and ``antialias``; where neither option nor file says it, the
    centred square is resized bilinearly.

    Raises
    ------
    ConfigError
        If nothing states what the pixels become: a guess would give wrong features in silence.
    """
    if options.preprocess is not None:
        stated = read_preprocess_file(options.preprocess, options)
    stated = stated or Statement()
    explicit = Statement(scale=options.scale, mean=_three(options.mean), std=_three(options.std))
    if not (stated.is_of_pixels or explicit.is_of_pixels):
        file = options.preprocess
        silent = "nothing says" if file is None else f"{file.name} does not say"
        msg = (
            f"{name}: {silent} which pixel values the network expects. Give "
            "preprocess=FILE, a preprocessor_config.json of Hugging Face or a config.json of timm; "
            "or scale=..., mean=... and std=...: pixels x from 0 to 255 become "
            "(x * scale - mean) / std. scale=1 alone passes them on as they are."
        )
        raise ConfigError(msg)
    fit, resize = stated.fit, stated.resize
    if fit is None or chooses_fit(options):
        fit = choose_fit(options)
    if resize is None or options.resize is not None:
        resize = choose_resize(options.resize, antialias=options.antialias)
    elif options.antialias:
        resize = choose_resize(resize.interpolation, antialias=True)
    size = stated.size
    if options.input_size is not None:
        size = (options.input_size, options.input_size)
    channels = stated.channels or "RGB"
    if options.channels is not None:
        channels = "BGR" if options.channels == "bgr" else "RGB"
    scale = options.scale if options.scale is not None else stated.scale
    pixels = DeclaredPixels(
        scale=1.0 if scale is None else scale,
        mean=explicit.mean or stated.mean or (0.0, 0.0, 0.0),
        std=explicit.std or stated.std or (1.0, 1.0, 1.0),
        channels=channels,
    )
    return Declared(size=size, fit=fit, resize=resize, pixels=pixels)


def _three(values: tuple[float, ...] | None) -> Triple | None:
    if values is None:
        return None
    red, green, blue = values * 3 if len(values) == 1 else values
    return red, green, blue


def read_preprocess_file(path: Path, options: ExportOptions) -> Statement:
    """Return what a preprocessing file states; what the *options* replace need not be in it.

    Raises
    ------
    ConfigError
        If the file cannot be read, is of neither kind, does not state the size or what the pixels
        become, or asks for something that the graph cannot do.
    """
    label = path.name
    document = _document(path)
    config = document.get("pretrained_cfg")
    if isinstance(config, Mapping):
        return timm_statement(Fields(label, config), options)
    if config is not None:
        raise ConfigError(f"{label}: 'pretrained_cfg' must be an object, found {config!r:.80}.")
    if isinstance(document.get("input_size"), list):  # a pretrained_cfg by itself
        return timm_statement(Fields(label, document), options)
    if HUGGING_FACE_KEYS.intersection(document):
        return hugging_face_statement(Fields(label, document), options)
    found = ", ".join(map(repr, list(document)[:8])) or "none"
    raise ConfigError(f"{label} is not a preprocessing file. Give {_KINDS}. Found keys: {found}.")


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Give {_KINDS}."
        raise ConfigError(msg) from error
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(f"{path.name} is larger than {_LARGEST_BYTES:,} bytes. Give {_KINDS}.")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{path.name} is not JSON ({error!s:.100}). Give {_KINDS}."
        raise ConfigError(msg) from error
    if not isinstance(document, dict):
        msg = f"{path.name} must hold a JSON object, found {document!r:.60}. Give {_KINDS}."
        raise ConfigError(msg)
    return document
