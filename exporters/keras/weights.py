"""Build a Keras network with the weights that were asked for."""

import hashlib
import mmap
import sys
from pathlib import Path
from typing import Any

from exporters.common.parity import probe_batches
from exporters.common.preprocess import BILINEAR, NEAREST, Resize, nearest_rows
from exporters.common.session import Frameworks
from exporters.keras.backbone import KerasBackbone
from exporters.keras.download import watched_downloads
from exporters.keras.randomise import randomise
from tlbench.core.arrays import ImageArray
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.hashing import sha256_file
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, Weights

_SUFFIXES = (".weights.h5", ".h5", ".hdf5", ".keras")
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"

_CALIBRATION_SEED = 1  # other images than those that the export is verified on


def preprocess(
    frameworks: Frameworks,
    row: KerasBackbone,
    size: int,
    images: ImageArray,
    resize: Resize = BILINEAR,
) -> Any:  # noqa: ANN401 - a tensor
    """Resize and preprocess images (N, H, W, 3) by TensorFlow and Keras alone."""
    tf, module = frameworks.tf, getattr(frameworks.keras.applications, row.module)
    if resize is BILINEAR:
        return module.preprocess_input(tf.image.resize(images, (size, size), method="bilinear"))
    if resize is NEAREST:
        # Not tf.image.resize: where a position falls between two pixels it rounds otherwise.
        for axis in (1, 2):
            images = tf.gather(images, nearest_rows(images.shape[axis], size), axis=axis)
        return module.preprocess_input(tf.cast(images, tf.float32))
    # Without antialiasing tf.image.resize rounds the position between two pixels to 1/1024, which
    # is wrong by 0.13 grey levels. This is the operator that it runs with antialiasing: the exact
    # kernel, and the same images where they are enlarged.
    height, width = images.shape[1:3]
    return module.preprocess_input(
        tf.raw_ops.ScaleAndTranslate(
            images=tf.cast(images, tf.float32),
            size=(size, size),
            scale=(size / height, size / width),
            translation=(0.0, 0.0),
            kernel_type="keyscubic",
            antialias=False,
        )
    )


def construct(
    frameworks: Frameworks,
    row: KerasBackbone,
    options: ExportOptions,
    *,
    top: bool,
    weights: str | None = None,
) -> Any:  # noqa: ANN401 - a Keras model; Keras has no stubs
    """Build the architecture, with *weights* as Keras's constructors take them.

    The classifier, with ``top``, gives logits. Names that Keras makes up are the same each time.
    """
    frameworks.start_over()
    size = options.input_size or row.input_size
    pooling = options.pooling if row.pools_before_layer and options.pooling != "none" else None
    return getattr(frameworks.keras.applications, row.constructor)(
        include_top=top,
        weights=weights,
        input_shape=(size, size, 3),
        pooling=None if top or options.layer else pooling,
        **({"classifier_activation": None} if top else {}),
    )


def build_network(
    frameworks: Frameworks,
    row: KerasBackbone,
    options: ExportOptions,
    *,
    top: bool,
    listener: Listener,
) -> tuple[Any, Weights]:
    """Build the network and load its weights.

    Parameters
    ----------
    top : bool
        Whether the classifier is needed. Without it, a file may hold one all the same: the network
        is then built with it.

    Returns
    -------
    model : keras.Model
    weights : Weights
        For the card.

    Raises
    ------
    ConfigError
        If ImageNet's classifier is wanted at another input size.
    ExportError
        If the weights cannot be downloaded, or a file is missing or does not fit.
    """
    if options.weights == "random":
        model = construct(frameworks, row, options, top=top)
        size = options.input_size or row.input_size
        images = probe_batches(_CALIBRATION_SEED)[0]
        randomise(model, options.seed, preprocess(frameworks, row, size, images))
        licence = "none: no trained weights (the architecture is Keras's, Apache-2.0)"
        return model, Weights(
            kind="random", sha256=None, origin=f"seed {options.seed}", licence=licence
        )
    if options.weights == "imagenet":
        return _imagenet(frameworks, row, options, top=top, listener=listener)
    path = Path(options.weights).expanduser()
    _check_file(path)
    weights = Weights(
        kind="file", sha256=sha256_file(path), origin=path.name, licence="as its author says"
    )
    return _from_file(frameworks, row, options, path, top=top, listener=listener), weights


def _imagenet(
    frameworks: Frameworks,
    row: KerasBackbone,
    options: ExportOptions,
    *,
    top: bool,
    listener: Listener,
) -> tuple[Any, Weights]:
    if top and options.input_size not in {None, row.input_size}:
        msg = (
            f"The ImageNet classifier of {row.name} takes {row.input_size} pixels, not "
            f"{options.input_size}. Leave out --input-size, or --top and layers of the classifier."
        )
        raise ConfigError(msg)
    with watched_downloads(listener) as download:
        try:
            model = construct(frameworks, row, options, top=top, weights="imagenet")
        except Exception as error:
            if download.error is None:
                raise
            msg = (
                f"The ImageNet weights of {row.name} cannot be downloaded: {_one_line(error)}. "
                f"Put {download.name} from {download.origin} at {download.path}, "
                "or give the file with --weights PATH."
            )
            raise ExportError(msg) from error
    return model, Weights(
        kind="imagenet",
        sha256=sha256_file(download.path),
        origin=download.origin,
        licence=row.licence,
    )


def _check_file(path: Path) -> None:
    if not path.is_file():
        msg = (
            f"No weights file at {path}. Give --weights imagenet, random, or a Keras weights "
            f"file ({', '.join(_SUFFIXES)})."
        )
        raise ExportError(msg)
    if not path.name.endswith(_SUFFIXES):
        msg = f"{path} is no name that Keras loads weights from: it ends in none of {_SUFFIXES}."
        raise ExportError(msg)
    expected = _ZIP if path.name.endswith(".keras") else _HDF5
    with path.open("rb") as file:
        found = file.read(len(expected))
    if found != expected:
        kind = "a Keras archive" if expected is _ZIP else "an HDF5 file"
        msg = f"{path} is not {kind}: it begins with {found!r}. Save the weights with Keras again."
        raise ExportError(msg)


def _from_file(
    frameworks: Frameworks,
    row: KerasBackbone,
    options: ExportOptions,
    path: Path,
    *,
    top: bool,
    listener: Listener,
) -> Any:  # noqa: ANN401 - a Keras model; Keras has no stubs
    reasons = []
    for with_top in (True,) if top else (False, True):
        try:
            if row.rescales_imagenet and _is_of_imagenet_architecture(frameworks, row, path):
                # Only with weights="imagenet" does Keras build the architecture of this file.
                with watched_downloads(listener, serve=path):
                    return construct(frameworks, row, options, top=with_top, weights="imagenet")
            model = construct(frameworks, row, options, top=with_top)
            model.load_weights(path)
        # Keras reports a file that does not fit by whatever fails first.
        except (ValueError, KeyError, OSError, TypeError, AttributeError, IndexError) as error:
            reasons.append(f"{'with' if with_top else 'without'} classifier: {_one_line(error)}")
        else:
            return model
    msg = (
        f"{path} does not fit {row.name} at {options.input_size or row.input_size} pixels "
        f"({'; '.join(reasons)}). Give the weights of {row.class_path}, with 1000 classes or "
        "without classifier."
    )
    raise ExportError(msg)


def _is_of_imagenet_architecture(frameworks: Frameworks, row: KerasBackbone, path: Path) -> bool:
    constructor = getattr(frameworks.keras.applications, row.constructor)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "md5").hexdigest()
    known = sys.modules[constructor.__module__].WEIGHTS_HASHES.values()
    if any(digest in digests for digests in known):
        return True
    # HDF5 keeps names as plain bytes: a file saved from a network that was built with
    # weights="imagenet" has the second Rescaling layer among them.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"rescaling_1") >= 0


def _one_line(error: Exception, limit: int = 240) -> str:
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= limit else f"{text[:limit]}..."
