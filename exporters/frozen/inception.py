"""``inceptionv3-2015``: the Inception-v3 of the frozen graph of 2015-12-05."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.common.options import FROZEN_ONLY, refuse_options
from exporters.common.session import require_frameworks
from exporters.frozen.archive import (
    ARCHIVE_BYTES,
    MEMBER,
    URL,
    fetch_archive,
    is_archive,
    read_member,
)
from exporters.frozen.backbone import read_file
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, ModelCard, Weights

if TYPE_CHECKING:
    from exporters.frozen.graphdef import FrozenGraph


_IMAGE, _FEATURES, _SOFTMAX = "DecodeJpeg", "pool_3", "softmax"
# What the nodes of the graph are known to be.
_OPERATORS = {_IMAGE: "DecodeJpeg", _FEATURES: "AvgPool", _SOFTMAX: "Softmax"}
_REFUSED = FROZEN_ONLY | {
    "input_size": "the graph resizes to 299 pixels itself; leave out --input-size",
    "resize": "the graph has its own resize; leave out --resize",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inception2015:
    """The network that the experiments of 2016 ran. Its features are not those of Keras's weights.

    Attributes
    ----------
    url : str
        Where the archive is downloaded from.
    archive_bytes : int
        Its size.
    n_features : int
        Of ``pool_3``.
    """

    url: str = URL
    archive_bytes: int = ARCHIVE_BYTES
    n_features: int = 2048

    @property
    def name(self) -> str:
        """Name on the command line."""
        return "inceptionv3-2015"

    @property
    def summary(self) -> str:
        """One line for `tlbench list backbones`."""
        return "299 px, 2048 features; licence: the LICENSE file of its archive"

    @property
    def requires(self) -> tuple[str, ...]:
        """Distributions that an export needs."""
        return ("tensorflow", "tf2onnx")

    def export(self, options: ExportOptions, destination: Path, listener: Listener) -> ModelCard:
        """Get the graph, convert and verify it; see `exporters.frozen.export.export_graph`."""
        refuse_options(self.name, options, **_REFUSED)
        content, weights = self._weights(options, listener)
        from exporters.frozen.export import FrozenSource, export_graph

        source = FrozenSource(
            name=self.name,
            label=MEMBER,
            content=content,
            weights=weights,
            input_tensor=_IMAGE,
            output_tensor=options.layer or _FEATURES,
            option="--layer",
            softmax=_SOFTMAX,
            n_features=None if options.layer else self.n_features,
            check=_check,
        )
        return export_graph(source, options, destination, listener)

    def _weights(self, options: ExportOptions, listener: Listener) -> tuple[bytes, Weights]:
        if options.weights == "random":
            msg = (
                f"{self.name} has no random weights: its architecture is in the same file. Give "
                "--weights imagenet or PATH; for latency alone, inceptionv3 has the same layers."
            )
            raise ConfigError(msg)
        if options.weights == "imagenet":
            require_frameworks()
            content = fetch_archive(
                options.download_dir, listener, url=self.url, size_bytes=self.archive_bytes
            )
            kind, origin, licence = "imagenet", self.url, "as the LICENSE file of the archive says"
        else:
            path = Path(options.weights).expanduser()
            content = read_file(path)
            kind, origin, licence = "file", path.name, "as its author says"
        if options.weights == "imagenet" or is_archive(content):
            digest = hashlib.sha256(content).hexdigest()
            content = read_member(content, origin)
            origin = f"{MEMBER} in {origin}, sha256 {digest}"
        return content, Weights(
            kind="imagenet" if kind == "imagenet" else "file",
            sha256=hashlib.sha256(content).hexdigest(),
            origin=origin,
            licence=licence,
        )


def _check(graph: "FrozenGraph") -> None:
    for name, operator in _OPERATORS.items():
        found = graph.nodes[name].op if name in graph.nodes else None
        if found != operator:
            msg = (
                f"{graph.label} is not the graph of 2015-12-05: its node {name!r} is "
                f"{found or 'missing'}, expected {operator}. Export another graph with "
                "frozen:FILE.pb, --input and --output."
            )
            raise ExportError(msg)


INCEPTIONV3_2015 = Inception2015()
