"""The frozen TensorFlow graphs that are backbones: ``frozen:FILE.pb`` and ``inceptionv3-2015``."""

import gzip
import hashlib
import tarfile
import tempfile
import zlib
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tlbench.core.errors import ConfigError, DownloadError, ExportError, StorageError, one_line

if TYPE_CHECKING:  # `tlbench list backbones` imports this module: nothing heavy here
    from exporters.frozen.graph import FrozenGraph
    from tlbench.core.progress import Listener
    from tlbench.model import ExportOptions, ModelCard, Weights

_REFUSED = {
    "weights": "the file already contains the weights; leave out weights=...",
    "input_size": "the graph resizes to a size of its own; leave out input_size",
    "resize": "the graph has a resize of its own; leave out resize=...",
    "antialias": "the graph has a resize of its own; leave out antialias=...",
    "layer": "name a tensor of the graph as output_tensor, not with layer=...",
    "top": "which tensor holds the logits is unknown; name it as output_tensor, without top=True",
}
_REQUIRES = ("tensorflow", "tf2onnx")
_IMAGE, _FEATURES, _SOFTMAX = "DecodeJpeg", "pool_3", "softmax"
# The operators that identify the graph.
_OPERATORS = {_IMAGE: "DecodeJpeg", _FEATURES: "AvgPool", _SOFTMAX: "Softmax"}
_REFUSED_2015 = {
    "input_size": "the graph itself resizes to 299 pixels; leave out input_size",
    "resize": "the graph has a resize of its own; leave out resize=...",
    "antialias": "the graph has a resize of its own; leave out antialias=...",
}

# The file of http://download.tensorflow.org/models/image/imagenet/, by TLS from the same bucket.
# No published digest of it is known. The download is checked against the MD5 that the bucket itself
# states, the certificate vouches for its origin, and the SHA-256 found goes into the card.
URL = (
    "https://storage.googleapis.com/download.tensorflow.org/models/image/imagenet/"
    "inception-2015-12-05.tgz"
)
# The size that tensorflow/models' classify_image.py printed after downloading the file.
ARCHIVE_BYTES = 88_931_400
MEMBER = "classify_image_graph_def.pb"
_GZIP = b"\x1f\x8b"  # the archive begins with it, a graph does not
_LARGEST_BYTES = 1 << 30  # the graph has 96 MB; a damaged archive must not fill the memory


@dataclass(frozen=True, slots=True)
class FrozenBackbone:
    """A frozen graph in a file; without a file, the entry that ``tlbench list`` shows."""

    path: Path | None = None
    summary = "Any frozen TensorFlow graph, as frozen:FILE.pb"
    requires = _REQUIRES

    @property
    def name(self) -> str:
        """Name on the command line, without folders."""
        return "frozen" if self.path is None else f"frozen:{self.path.name}"

    def with_argument(self, argument: str) -> "FrozenBackbone":
        """Return the backbone of the file *argument*."""
        return replace(self, path=Path(argument).expanduser())

    def export(
        self, options: "ExportOptions", destination: Path, listener: "Listener"
    ) -> "ModelCard":
        """Write the ONNX file and return its card; see `tlbench.model.Backbone`."""
        if self.path is None or not self.path.name:
            msg = (
                "The backbone frozen needs a file. Name it as frozen:FILE.pb, with "
                "input_tensor=NAME and output_tensor=NAME."
            )
            raise ConfigError(msg)
        if not options.input_tensor or not options.output_tensor:
            msg = (
                f"{self.name} needs input_tensor=NAME, the tensor that takes the image, and "
                "output_tensor=NAME, the tensor that becomes the features."
            )
            raise ConfigError(msg)
        from exporters.common.options import (
            ONNX_ONLY,
            PREPROCESSING_KNOWN,
            TORCH_ONLY,
            refuse_options,
        )
        from exporters.frozen.export import FrozenSource, export_graph
        from tlbench.model import Weights

        known = ONNX_ONLY | TORCH_ONLY | PREPROCESSING_KNOWN
        refuse_options(self.name, options, **known, **_REFUSED)
        content = read_file(self.path)
        digest = hashlib.sha256(content).hexdigest()
        label, licence = self.path.name, "stated by its author"
        source = FrozenSource(
            name=self.name,
            label=label,
            content=content,
            weights=Weights(kind="file", sha256=digest, origin=label, licence=licence),
            input_tensor=options.input_tensor,
            output_tensor=options.output_tensor,
        )
        return export_graph(source, options, destination, listener)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inception2015:
    """Inception-v3 as the frozen graph of 2015-12-05, which the experiments of 2016 used.

    Its features are not those of Keras's InceptionV3, which has other weights.
    """

    url: str = URL  # of the archive
    archive_bytes: int = ARCHIVE_BYTES
    n_features: int = 2048  # of pool_3
    name = "inceptionv3-2015"
    summary = "Inception-v3 of 2015-12-05, 299 px, 2048 features"
    requires = _REQUIRES

    def export(
        self, options: "ExportOptions", destination: Path, listener: "Listener"
    ) -> "ModelCard":
        """Download the graph unless it is there, and export it as `FrozenBackbone.export` does."""
        from exporters.common.options import (
            FROZEN_ONLY,
            ONNX_ONLY,
            PREPROCESSING_KNOWN,
            TORCH_ONLY,
            refuse_options,
        )
        from exporters.frozen.export import FrozenSource, export_graph

        known = FROZEN_ONLY | ONNX_ONLY | TORCH_ONLY | PREPROCESSING_KNOWN
        refuse_options(self.name, options, **known, **_REFUSED_2015)
        content, weights = self._weights(options, listener)
        source = FrozenSource(
            name=self.name,
            label=MEMBER,
            content=content,
            weights=weights,
            input_tensor=_IMAGE,
            output_tensor=options.layer or _FEATURES,
            option="layer",
            softmax=_SOFTMAX,
            n_features=None if options.layer else self.n_features,
            check=_check,
        )
        return export_graph(source, options, destination, listener)

    def _weights(self, options: "ExportOptions", listener: "Listener") -> "tuple[bytes, Weights]":
        from exporters.common.session import require_frameworks
        from tlbench.model import Weights

        if options.weights == "random":
            msg = (
                f"{self.name} has no random weights: its architecture is in the same file. Give "
                "weights=imagenet or weights=PATH; for latency alone, the backbone inceptionv3 has "
                "the same layers."
            )
            raise ConfigError(msg)
        if options.weights == "imagenet":
            require_frameworks()
            content = fetch_archive(
                options.download_dir, listener, url=self.url, size_bytes=self.archive_bytes
            )
            origin, licence = self.url, "stated in the LICENSE file of the archive"
        else:
            path = Path(options.weights).expanduser()
            content = read_file(path)
            origin, licence = path.name, "stated by its author"
        if options.weights == "imagenet" or content.startswith(_GZIP):
            digest = hashlib.sha256(content).hexdigest()
            content = read_member(content, origin)
            origin = f"{MEMBER} in {origin}, sha256 {digest}"
        return content, Weights(
            kind="imagenet" if options.weights == "imagenet" else "file",
            sha256=hashlib.sha256(content).hexdigest(),
            origin=origin,
            licence=licence,
        )


def read_file(path: Path) -> bytes:
    """Return a file's bytes; raise ExportError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Give the file of a frozen graph (.pb)."
        raise ExportError(msg) from error


def _check(graph: "FrozenGraph") -> None:
    for name, operator in _OPERATORS.items():
        found = graph.nodes[name].op if name in graph.nodes else None
        if found != operator:
            msg = (
                f"{graph.label} is not the graph of 2015-12-05: its node {name!r} is "
                f"{found or 'missing'}, expected {operator}. Export other graphs as frozen:FILE.pb."
            )
            raise ExportError(msg)


def fetch_archive(
    folder: Path | None, listener: "Listener", *, url: str = URL, size_bytes: int = ARCHIVE_BYTES
) -> bytes:
    """Return the archive from *folder*, or else from *url*: then it is kept in *folder*, if any."""
    from tlbench.core.download import download
    from tlbench.core.files import write_atomically

    name = url.rpartition("/")[2]
    kept = None if folder is None else folder / name
    if kept is not None and kept.is_file() and kept.stat().st_size == size_bytes:
        return kept.read_bytes()
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as temporary:
            path = download(url, Path(temporary) / name, listener, sha256=None)
            content = path.read_bytes()
        if len(content) == size_bytes and kept is not None:
            # Not moved: pooch makes files that only their owner may read, and caches are shared.
            write_atomically(kept, content, advice="Choose another cache_dir.")
    except DownloadError as error:
        msg = f"{error} Give the file, or the {MEMBER} in it, with weights=PATH."
        raise ExportError(msg) from error
    except StorageError:
        raise
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}. Choose another cache_dir."
        raise StorageError(msg) from error
    if len(content) != size_bytes:
        msg = (
            f"{url} has {len(content):,} bytes, not {size_bytes:,}: it is another file. Give the "
            f"file of 2015-12-05, or the {MEMBER} in it, with weights=PATH."
        )
        raise ExportError(msg)
    return content


def read_member(content: bytes, label: str) -> bytes:
    """Return the graph in the archive, which must hold it once and nothing but plain files."""
    found = []
    try:
        with tarfile.open(fileobj=BytesIO(content), mode="r:gz") as tar:
            for entry in tar:
                parts = PurePosixPath(entry.name).parts
                if entry.isdir() and not parts:  # "." itself
                    continue
                if not entry.isreg() or len(parts) != 1 or parts[0] in {"..", "/"}:
                    msg = f"{label} holds {entry.name[:120]!r}, which does not belong in it."
                    raise ExportError(msg)
                if parts[0] == MEMBER:
                    if entry.size > _LARGEST_BYTES:
                        raise ExportError(f"{MEMBER} in {label} has {entry.size:,} bytes.")
                    file = tar.extractfile(entry)
                    assert file is not None  # it is a regular file
                    found.append(file.read())
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        reason = one_line(error).rstrip(".") or type(error).__name__
        raise ExportError(f"{label} is damaged: {reason}. Download it again.") from error
    if len(found) != 1:
        msg = f"{label} must hold {MEMBER} once, but holds it {len(found)} times."
        raise ExportError(msg)
    return found[0]


FROZEN = FrozenBackbone()
INCEPTIONV3_2015 = Inception2015()
