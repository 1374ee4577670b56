"""The backbone ``onnx:FILE.onnx``: a network that somebody else exported."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.core.errors import ConfigError

if TYPE_CHECKING:  # `tlbench list backbones` imports this module: nothing heavy here
    from tlbench.core.progress import Listener
    from tlbench.model import ExportOptions, ModelCard

_REFUSED = {
    "weights": "the file already contains the weights; leave out weights=...",
    "input_tensor": "its image input is found by itself; leave out input_tensor",
    "output_tensor": "name the tensor of the features as layer=..., not as output_tensor",
}


@dataclass(frozen=True, slots=True)
class OnnxBackbone:
    """A network in an ONNX file; without a file, the entry that ``tlbench list`` shows."""

    path: Path | None = None
    summary = "Any image network in an ONNX file, as onnx:FILE.onnx"
    requires = ()

    @property
    def name(self) -> str:
        """Name on the command line, without folders."""
        return "onnx" if self.path is None else f"onnx:{self.path.name}"

    def with_argument(self, argument: str) -> "OnnxBackbone":
        """Return the backbone of the file *argument*."""
        return replace(self, path=Path(argument).expanduser())

    def export(
        self, options: "ExportOptions", destination: Path, listener: "Listener"
    ) -> "ModelCard":
        """Write the ONNX file and return its card; see `tlbench.model.Backbone`."""
        if self.path is None or not self.path.name:
            raise ConfigError("The backbone onnx needs a file. Name it as onnx:FILE.onnx.")
        if destination.exists() and self.path.exists() and destination.samefile(self.path):
            msg = (
                f"{destination} is the file that is read, and would be lost. Give another "
                "path as file=..."
            )
            raise ConfigError(msg)
        from exporters.common.options import TORCH_ONLY, refuse_options
        from exporters.onnx.export import export_file

        refuse_options(self.name, options, **TORCH_ONLY, **_REFUSED)
        return export_file(self.name, self.path, options, destination, listener)


ONNX = OnnxBackbone()
