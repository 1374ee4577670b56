"""From what the user typed to an ONNX file: a path, or a backbone exported on first use."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from importlib import metadata
from pathlib import Path

from tlbench import __version__
from tlbench.core.errors import ConfigError, ModelError, StorageError
from tlbench.core.hashing import sha256_file, sha256_value
from tlbench.core.progress import Listener
from tlbench.model.backbone import (
    BACKBONES,
    Backbone,
    BackboneWithArgument,
    ExportOptions,
    IdentifiedBackbone,
)
from tlbench.model.file import OnnxModel
from tlbench.model.precision import PRECISIONS, ConversionRequest

_FILES = (".pb", ".onnx")  # that a backbone's argument may name


def export_backbone(
    backbone: str | Backbone, options: ExportOptions, destination: Path, listener: Listener
) -> OnnxModel:
    """Return the model that a backbone, given by name or as an object, writes at *destination*."""
    backbone = find_backbone(backbone)
    _refuse_folder(destination)
    backbone.export(options, destination, listener)
    return OnnxModel(destination)


def convert_model(
    source: OnnxModel, request: ConversionRequest, destination: Path, listener: Listener
) -> OnnxModel:
    """Return *source* converted to another precision, written at *destination*."""
    check_convertible(source, request.precision)
    precision = PRECISIONS.load(request.precision)
    _refuse_folder(destination)
    precision.convert(source, destination, request.options, listener)
    return OnnxModel(destination)


def find_backbone(name: str | Backbone) -> Backbone:
    """Return the backbone *name*, which may carry an argument: ``frozen:FILE.pb``."""
    if not isinstance(name, str):
        return name
    name, colon, argument = name.partition(":")
    backbone = BACKBONES.load(name)
    if not colon:
        return backbone
    if not isinstance(backbone, BackboneWithArgument):
        msg = f"Backbone {name} takes nothing after a colon, but got {argument!r} there."
        raise ConfigError(msg)
    return backbone.with_argument(argument)


def file_stem(name: str) -> str:
    """Return the name, without a suffix, of a file made from the backbone or file *name*."""
    _, colon, argument = name.partition(":")
    last = Path(argument.rpartition(":")[2] if colon else name)
    # What follows a dot belongs to the names of functions and of timm's weights.
    return (last.stem if last.suffix.lower() in _FILES else last.name) or name.rstrip(":")


def is_file_name(model: str) -> bool:
    """Tell whether *model* means a file and not the name of a backbone."""
    if _has_argument(model):  # onnx:FILE.onnx
        return False
    path = Path(model).expanduser()
    return path.suffix.lower() == ".onnx" or os.sep in model or path.is_file()


def resolve_model(
    model: str,
    *,
    cache_dir: Path,
    listener: Listener,
    options: ExportOptions | None = None,
    conversion: ConversionRequest | None = None,
) -> OnnxModel:
    """Return the model that a path or a backbone's name stands for.

    Parameters
    ----------
    model : str
        A path that ends in ``.onnx``, or the name of a backbone, which is exported into
        ``cache_dir/models`` unless the same export is already there.
    options : ExportOptions or None
        How a backbone is exported; each set of options has its own file.
    conversion : ConversionRequest or None
        The precision to convert the model to, also kept in ``cache_dir/models``; None for the
        precision that it has.

    Raises
    ------
    ModelError
        If the file is missing or is not an ONNX model.
    UnknownNameError
        If no backbone has this name.
    ConfigError
        If *model* is a file and *options* ask for another export, if *conversion* cannot start from
        it, or if the backbone's name carries an argument that needs options of its own.
    """
    options = options or ExportOptions()
    if is_file_name(model):
        changed = [
            f"{field.name}={value!r}"
            for field in fields(options)
            if (value := getattr(options, field.name)) != field.default
        ]
        if changed:
            msg = (
                f"{', '.join(changed)} applies to the export of a backbone that is given by its "
                f"name, but {model} is a file that is already exported. Name a backbone, or leave "
                "these options out."
            )
            raise ConfigError(msg)
        source = OnnxModel(Path(model).expanduser())
        if conversion is None:
            return source
        return convert_on_first_use(source, conversion, cache_dir=cache_dir, listener=listener)
    backbone = find_backbone(model)  # it may not exist, or take no argument
    identity: str | None = ""
    if isinstance(backbone, IdentifiedBackbone):
        identity = backbone.identity()
    elif _has_argument(model):
        msg = (
            f"{model} needs export options of its own, so it is not exported on first use. Run "
            f"`tlbench export {model}` with those options. Then measure {file_stem(model)}.onnx."
        )
        raise ConfigError(msg)
    options = replace(options, download_dir=cache_dir / "downloads")
    folder = cache_dir / "models"
    key = _export_key(backbone, options, identity)

    def export(destination: Path) -> OnnxModel:
        exported = export_backbone(backbone, options, destination, listener)
        if _export_key(backbone, options, identity) != key:  # it would be served for the old one
            destination.unlink(missing_ok=True)
            files = [options.weights, *([str(options.preprocess)] if options.preprocess else [])]
            msg = f"{' or '.join(files)} changed while {model} was exported. Try again."
            raise ModelError(msg)
        return exported

    stem = f"{model.partition(':')[0]}-{file_stem(model)}" if _has_argument(model) else model
    file = folder / f"{stem}-{key}.onnx"
    source = export(file) if identity is None else _cached_or_made(file, export, listener)
    if conversion is None:
        return source
    return convert_on_first_use(
        source, conversion, cache_dir=cache_dir, listener=listener, stem=stem
    )


def _has_argument(model: str) -> bool:
    name, colon, _ = model.partition(":")
    return bool(colon) and name in BACKBONES.names()


def check_convertible(source: OnnxModel, precision: str) -> None:
    """Raise ConfigError for a file that tlbench did not write, or that is not in float32."""
    if source.card is None:
        msg = (
            f"precision={precision!r} converts models that tlbench has written and verified, but "
            f"{source.path} has no model card. Export it first, as the backbone "
            f"onnx:{source.path}, and convert the file that comes of it."
        )
        raise ConfigError(msg)
    if source.card.precision != "fp32":
        msg = (
            f"{source.card.backbone} is {source.card.precision} already, and a conversion starts "
            "from fp32. Leave precision out, or export the network in float32 first."
        )
        raise ConfigError(msg)


def convert_on_first_use(
    source: OnnxModel,
    request: ConversionRequest,
    *,
    cache_dir: Path,
    listener: Listener,
    stem: str | None = None,
) -> OnnxModel:
    """Return *source* at another precision, from the cache or written into it as ``STEM-...``."""
    name = f"{stem or source.path.stem}-{request.precision}-{_conversion_key(source, request)}.onnx"
    return _cached_or_made(
        cache_dir / "models" / name,
        lambda destination: convert_model(source, request, destination, listener),
        listener,
    )


def _refuse_folder(destination: Path) -> None:
    if destination.is_dir():
        raise StorageError(f"{destination} is a folder. Give the path of the file to write.")


def _cached_or_made(
    destination: Path, make: Callable[[Path], OnnxModel], listener: Listener
) -> OnnxModel:
    """Return the model at *destination* in the cache, and make it first if it is not there."""
    if destination.is_file():
        try:
            cached = OnnxModel(destination)
            if cached.card is not None:
                return cached
            problem = "it has no card"
        except ModelError as error:
            problem = str(error)
        listener.warn(f"{destination} is damaged ({problem}); it is exported again.")
        with contextlib.suppress(OSError):
            destination.unlink()
    try:
        return make(destination)
    except StorageError as error:
        msg = f"{error} Choose another cache with cache_dir or the variable TLBENCH_CACHE."
        raise StorageError(msg) from error


def _conversion_key(source: OnnxModel, request: ConversionRequest) -> str:
    """Identify a conversion: the file it starts from, the images it sees, the software."""
    options = request.options
    return sha256_value(
        [
            request.precision,
            source.sha256,
            asdict(options.sample),
            options.reduce_range,
            options.min_cosine,
            PRECISIONS.load(request.precision).software(),
        ]
    )[:16]


def _export_key(backbone: Backbone, options: ExportOptions, identity: str | None) -> str:
    """Identify an export: options, exporting software, content of a weights file."""
    versions = {"tlbench": __version__, "onnx": metadata.version("onnx")}
    for distribution in backbone.requires:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[distribution] = metadata.version(distribution)
    weights = options.weights
    if weights not in {"imagenet", "random"} and (path := Path(weights).expanduser()).is_file():
        weights = sha256_file(path)
    stated = options.preprocess
    known = sha256_file(stated) if stated is not None and stated.is_file() else str(stated)
    values = asdict(options) | {"weights": weights, "preprocess": known}
    del values["download_dir"]  # where a download is kept changes nothing
    # JSON would take a tuple for a list, and a number that is a key for its text.
    values["factory_args"] = repr(sorted((options.factory_args or {}).items()))
    return sha256_value([backbone.name, identity, values, versions])[:16]
