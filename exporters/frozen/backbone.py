"""``frozen:FILE.pb``: any frozen TensorFlow graph of raw images as a backbone."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from exporters.common.options import refuse_options
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, ModelCard, Weights

_INSIDE = "the graph in the file has its own; leave out --"
_REFUSED = {
    "weights": f"{_INSIDE}weights",
    "input_size": f"{_INSIDE}input-size",
    "resize": f"{_INSIDE}resize",
    "layer": "a tensor of the graph is named with --output, not --layer",
    "top": "which tensor the logits are is not known; name it with --output, without --top",
}


@dataclass(frozen=True, slots=True)
class FrozenBackbone:
    """A frozen graph in a file; without a file, what ``tlbench list`` shows."""

    path: Path | None = None

    @property
    def name(self) -> str:
        """Name on the command line, without folders."""
        return "frozen" if self.path is None else f"frozen:{self.path.name}"

    @property
    def summary(self) -> str:
        """One line for `tlbench list backbones`."""
        return "frozen:FILE.pb is a TensorFlow graph, with --input and --output"

    @property
    def requires(self) -> tuple[str, ...]:
        """Distributions that an export needs."""
        return ("tensorflow", "tf2onnx")

    def with_argument(self, argument: str) -> "FrozenBackbone":
        """Return the backbone of the file *argument*."""
        return replace(self, path=Path(argument).expanduser())

    def export(self, options: ExportOptions, destination: Path, listener: Listener) -> ModelCard:
        """Convert the graph and verify it; see `exporters.frozen.export.export_graph`."""
        if self.path is None or not self.path.name:
            msg = (
                "frozen needs a file: tlbench export frozen:FILE.pb --input NAME --output NAME "
                "-o FILE.onnx."
            )
            raise ConfigError(msg)
        if not options.input_tensor or not options.output_tensor:
            msg = (
                f"{self.name} needs --input NAME, the tensor that takes the image, and --output "
                "NAME, the tensor of the features."
            )
            raise ConfigError(msg)
        refuse_options(self.name, options, **_REFUSED)
        content = read_file(self.path)
        from exporters.frozen.export import FrozenSource, export_graph

        source = FrozenSource(
            name=self.name,
            label=self.path.name,
            content=content,
            weights=Weights(
                kind="file",
                sha256=hashlib.sha256(content).hexdigest(),
                origin=self.path.name,
                licence="as its author says",
            ),
            input_tensor=options.input_tensor,
            output_tensor=options.output_tensor,
        )
        return export_graph(source, options, destination, listener)


def read_file(path: Path) -> bytes:
    """Return a file's bytes; raise ExportError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Give the .pb file of a frozen graph."
        raise ExportError(msg) from error


FROZEN = FrozenBackbone()
