"""From what the user typed to an ONNX file: a path, or a backbone exported on first use."""

import contextlib
import os
from importlib import metadata
from pathlib import Path

from tlbench import __version__
from tlbench.errors import ModelError, StorageError
from tlbench.hashing import sha256_file, sha256_value
from tlbench.model import BACKBONES, Backbone, ExportOptions, OnnxModel
from tlbench.progress import Listener
from tlbench.registry import unknown_name

__all__ = ["export_backbone", "resolve_model"]


def export_backbone(
    name: str, options: ExportOptions, destination: Path, listener: Listener
) -> OnnxModel:
    """Export the backbone *name* to *destination*; see `tlbench.model.Backbone.export`."""
    backbone = BACKBONES.load(name)
    if destination.is_dir():
        msg = f"{destination} is a folder. Name a file after -o."
        raise StorageError(msg)
    backbone.export(options, destination, listener)
    return OnnxModel(destination)


def resolve_model(
    model: str, *, cache_dir: Path, listener: Listener, options: ExportOptions | None = None
) -> OnnxModel:
    """Return the model that *model* means.

    Parameters
    ----------
    model : str
        A path that ends in ``.onnx``, or the name of a backbone, which is exported into
        ``cache_dir/models`` unless the same export lies there already.

    Raises
    ------
    ModelError
        If the file is missing or no ONNX model.
    UnknownNameError
        If there is no backbone of that name.
    """
    path = Path(model).expanduser()
    if path.suffix.lower() == ".onnx" or os.sep in model or path.is_file():
        return OnnxModel(path)
    if model not in BACKBONES.names():
        raise unknown_name("backbone", model, BACKBONES.names())
    options = options or ExportOptions()
    destination = (
        cache_dir / "models" / f"{model}-{_export_key(BACKBONES.load(model), options)}.onnx"
    )
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
        return export_backbone(model, options, destination, listener)
    except StorageError as error:
        msg = f"{error} (The cache is chosen with --cache-dir or TLBENCH_CACHE.)"
        raise StorageError(msg) from error


def _export_key(backbone: Backbone, options: ExportOptions) -> str:
    """Identify an export: options, exporting software, content of a weights file."""
    versions = {"tlbench": __version__, "onnx": metadata.version("onnx")}
    for distribution in backbone.requires:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[distribution] = metadata.version(distribution)
    weights = options.weights
    if weights not in {"imagenet", "random"} and Path(weights).is_file():
        weights = sha256_file(Path(weights))
    values = {slot: getattr(options, slot) for slot in ExportOptions.__slots__} | {
        "weights": weights
    }
    return sha256_value([backbone.name, values, versions])[:16]
