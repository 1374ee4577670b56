"""Give a Keras network its weights: ImageNet's, those of a file, or random ones."""

import contextlib
import hashlib
import mmap
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.common.parity import probe_batches
from exporters.common.session import Frameworks
from exporters.keras.network import KerasNetwork, construct, leaf_layers, preprocess
from tlbench.core.errors import ConfigError, ExportError, one_line
from tlbench.core.hashing import sha256_file
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, Weights

_SUFFIXES = (".weights.h5", ".h5", ".hdf5", ".keras")
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_SILENT_NETWORK_S = 30.0
_CALIBRATION_SEED = 1  # other images than those that the export is verified on
# Mean and standard deviation of ImageNet's pixels, which the trained EfficientNets hold.
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_DEPTHWISE = ("DepthwiseConv2D", "depthwise_kernel")


def build_network(
    frameworks: Frameworks,
    network: KerasNetwork,
    options: ExportOptions,
    *,
    top: bool,
    listener: Listener,
) -> tuple[Any, Weights]:
    """Return the Keras model with its weights, and what the card says of them.

    A weights file may hold a classifier even if *top* does not need it: it is then built, too.
    """
    if options.weights == "random":
        model = construct(frameworks, network, options, top=top)
        size = options.input_size or network.input_size
        images = probe_batches(_CALIBRATION_SEED)[0]
        randomise(model, options.seed, preprocess(frameworks, network, size, images))
        licence = "none: no trained weights (the architecture is Keras's, Apache-2.0)"
        return model, Weights(
            kind="random", sha256=None, origin=f"seed {options.seed}", licence=licence
        )
    if options.weights == "imagenet":
        return _imagenet(frameworks, network, options, top=top, listener=listener)
    path = Path(options.weights).expanduser()
    _check_file(path)
    weights = Weights(
        kind="file", sha256=sha256_file(path), origin=path.name, licence="stated by its author"
    )
    model = _from_file(frameworks, network, options, path, top=top, listener=listener)
    if sha256_file(path) != weights.sha256:  # Keras has read it in between
        raise ExportError(f"Weights {path} changed while they were read. Export again.")
    return model, weights


def _imagenet(
    frameworks: Frameworks,
    network: KerasNetwork,
    options: ExportOptions,
    *,
    top: bool,
    listener: Listener,
) -> tuple[Any, Weights]:
    if top and options.input_size not in {None, network.input_size}:
        msg = (
            f"The ImageNet classifier of {network.name} takes {network.input_size} pixels, not "
            f"{options.input_size}. Leave out input_size, or top=True and the classifier's layers."
        )
        raise ConfigError(msg)
    with watched_downloads(listener) as download:
        try:
            model = construct(frameworks, network, options, top=top, weights="imagenet")
        except Exception as error:
            if download.error is None:
                raise
            msg = (
                f"The ImageNet weights of {network.name} cannot be downloaded: {_reason(error)}. "
                f"Put {download.name} from {download.origin} at {download.path}, "
                "or give the file with weights=PATH."
            )
            raise ExportError(msg) from error
    return model, Weights(
        kind="imagenet",
        sha256=sha256_file(download.path),
        origin=download.origin,
        licence=network.licence,
    )


def _check_file(path: Path) -> None:
    if not path.is_file():
        msg = (
            f"weights={path} does not exist. Give 'imagenet', 'random', or the path of a Keras "
            f"weights file ({', '.join(_SUFFIXES)})."
        )
        raise ExportError(msg)
    if not path.name.endswith(_SUFFIXES):
        msg = (
            f"Keras does not load weights from a file named {path}: the name must end in "
            f"{', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}."
        )
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
    network: KerasNetwork,
    options: ExportOptions,
    path: Path,
    *,
    top: bool,
    listener: Listener,
) -> Any:  # noqa: ANN401 - a Keras model; Keras has no stubs
    reasons = []
    for with_top in (True,) if top else (False, True):
        try:
            if network.rescales_imagenet and _has_imagenet_architecture(frameworks, network, path):
                # Only with weights="imagenet" does Keras build the architecture of this file.
                with watched_downloads(listener, serve=path):
                    return construct(frameworks, network, options, top=with_top, weights="imagenet")
            model = construct(frameworks, network, options, top=with_top)
            model.load_weights(path)
        # For a file that does not fit Keras raises whatever error comes first.
        except (ValueError, KeyError, OSError, TypeError, AttributeError, IndexError) as error:
            reasons.append(f"{'with' if with_top else 'without'} classifier: {_reason(error)}")
        else:
            return model
    msg = (
        f"{path} does not fit {network.name} at {options.input_size or network.input_size} pixels "
        f"({'; '.join(reasons)}). Give the weights of {network.class_path}, with 1000 classes or "
        "without classifier."
    )
    raise ExportError(msg)


def _has_imagenet_architecture(frameworks: Frameworks, network: KerasNetwork, path: Path) -> bool:
    constructor = getattr(frameworks.keras.applications, network.constructor)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "md5").hexdigest()
    known = sys.modules[constructor.__module__].WEIGHTS_HASHES.values()
    if any(digest in digests for digests in known):
        return True
    # HDF5 keeps names as plain bytes. A file saved from a network that was built with
    # weights="imagenet" holds that of the second Rescaling layer.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"rescaling_1") >= 0


def _reason(error: Exception, limit: int = 240) -> str:
    text = one_line(error).rstrip(".") or type(error).__name__
    return text if len(text) <= limit else f"{text[:limit]}..."


@dataclass(slots=True)
class Download:
    """The file that Keras asked for: its URL, its path, and the error if it did not arrive."""

    name: str = ""
    origin: str = ""
    path: Path = field(default_factory=Path)
    error: Exception | None = None


@contextlib.contextmanager
def watched_downloads(listener: Listener, serve: Path | None = None) -> Iterator[Download]:
    """Record the weights file that Keras asks for inside the block, or give it *serve* instead."""
    # The networks download their weights through this module's attribute; Keras has no public hook.
    from keras.src.utils import file_utils

    download = Download()
    fetch, timeout = file_utils.get_file, socket.getdefaulttimeout()

    def get_file(fname: str, origin: str, **options: Any) -> str:
        if serve is not None:
            return str(serve)
        folder = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
        download.name, download.origin = fname, origin
        download.path = folder / options.get("cache_subdir", "datasets") / fname
        listener.finish()  # of the task "build", which this interrupts
        listener.start(f"load {fname}" if download.path.is_file() else f"download {fname}")
        try:
            # Keras reads KERAS_HOME when it is imported, and goes to /tmp when there is no folder.
            folder.mkdir(parents=True, exist_ok=True)
            download.path = Path(fetch(fname, origin, cache_dir=str(folder), **options))
        except Exception as error:
            download.error = error
            raise
        return str(download.path)

    file_utils.get_file = get_file
    # Keras sets no timeout: behind a firewall that drops packets it would wait forever.
    socket.setdefaulttimeout(_SILENT_NETWORK_S if timeout is None else timeout)
    try:
        yield download
    finally:
        file_utils.get_file = fetch
        socket.setdefaulttimeout(timeout)


def randomise(model: Any, seed: int, pixels: Any) -> None:  # noqa: ANN401 - Keras has no stubs
    """Draw every weight of *model* anew, so that random weights behave like trained ones.

    Keras's initial values do not: MobileNet's features would be 1e-19, ConvNeXt's blocks scaled by
    1e-6, and the converter would leave out normalisations that are identities and biases of zero.
    Here kernels keep the signal's variance (He et al. 2015, doi:10.1109/ICCV.2015.123), and batch
    normalisations restore it layer by layer (Mishkin and Matas 2016, arXiv:1511.06422) on *pixels*,
    a few preprocessed images, rounded so coarsely that two machines find the same values.
    """
    generator = np.random.default_rng(seed)
    layers = list(leaf_layers(model))
    inside = any(type(layer).__name__ in {"Rescaling", "Normalization"} for layer in layers)
    # Some networks take pixels in the hundreds: their first kernel compensates for it.
    scale = 1.0 if inside else max(1.0, float(np.abs(pixels).max()) / 2)
    for layer in layers:
        kind = type(layer).__name__
        for variable in layer.weights:
            name = variable.path.rsplit("/", 1)[-1]
            values = _draw(generator, kind, name, tuple(variable.shape))
            if name.endswith("kernel"):
                values, scale = values / scale, 1.0
            variable.assign(values.astype(variable.dtype))
    with contextlib.ExitStack() as stack:
        for layer in layers:
            if type(layer).__name__ == "BatchNormalization":
                layer.call = _calibrating(layer, layer.call)
                stack.callback(delattr, layer, "call")
        model(pixels, training=False)


def _draw(
    generator: np.random.Generator, kind: str, name: str, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    if kind == "Normalization":
        constants = {"mean": _MEAN, "variance": _STD**2, "count": np.zeros(())}
        return np.asarray(constants[name], dtype=np.float64)
    if name.endswith("kernel"):
        depthwise = kind in _DEPTHWISE or name in _DEPTHWISE
        fan_in = np.prod(shape[: -2 if depthwise else -1])
        return generator.normal(0, np.sqrt(2 / fan_in), shape)
    if name in {"gamma", "moving_variance"}:
        return generator.uniform(0.75, 1.25, shape)
    if name in {"beta", "bias", "moving_mean"}:
        return generator.normal(0, 0.05, shape)
    if kind == "LayerScale":
        return generator.uniform(0.25, 0.5, shape)
    raise AssertionError(f"no rule for the random values of {name} in {kind}")


def _calibrating(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ANN401
    def calibrate(inputs: Any, **options: Any) -> Any:  # noqa: ANN401 - tensors
        # About zero, not about the mean: networks of centred signals amplify every rounding error.
        power = np.square(np.asarray(inputs, dtype=np.float64)).mean()
        if power > 0:
            deviation = 2 ** (np.round(2 * np.log2(power)) / 4)  # a quarter of an octave
            layer.moving_mean.assign(layer.moving_mean.numpy() * deviation)
            layer.moving_variance.assign(layer.moving_variance.numpy() * deviation**2)
        return call(inputs, **options)

    return calibrate
