"""The networks of PyTorch that are backbones: ``torch:MODULE:FACTORY`` and ``timm:NAME``."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tlbench.core.errors import ConfigError

if TYPE_CHECKING:  # `tlbench list backbones` imports this module: nothing heavy here
    from exporters.torch.factory import Factory
    from tlbench.core.progress import Listener
    from tlbench.model import ExportOptions, ModelCard

_REFUSED = {
    "layout": "PyTorch's networks take (N, C, H, W); leave out layout=...",
}
_SUMMARIES = {
    "torch": "Any PyTorch network, as torch:MODULE:FACTORY",
    "timm": "Any network of timm, as timm:NAME",
}


@dataclass(frozen=True, slots=True)
class TorchBackbone:
    """A network that a function makes; without an argument, the entry that `tlbench list` shows."""

    kind: Literal["torch", "timm"]
    argument: str | None = None

    @property
    def name(self) -> str:
        """Name on the command line."""
        return self.kind if self.argument is None else f"{self.kind}:{self.argument}"

    @property
    def summary(self) -> str:
        """One line for `tlbench list backbones`."""
        return _SUMMARIES[self.kind]

    @property
    def requires(self) -> tuple[str, ...]:
        """The distributions of the exporter, and that of the network."""
        return ("torch", "onnxscript", *(("timm",) if self.kind == "timm" else ()))

    def with_argument(self, argument: str) -> "TorchBackbone":
        """Return the backbone of the network *argument*."""
        return replace(self, argument=argument)

    def identity(self) -> str | None:
        """Return the versions of the network's code; None for code that can be edited in place."""
        from importlib import metadata

        from exporters.torch.factory import distributions_of

        found = distributions_of(self.factory(None).module)
        return ", ".join(f"{name} {metadata.version(name)}" for name in found) or None

    def export(
        self, options: "ExportOptions", destination: Path, listener: "Listener"
    ) -> "ModelCard":
        """Write the ONNX file and return its card; see `tlbench.model.Backbone`."""
        from exporters.common.options import FROZEN_ONLY, ONNX_ONLY, refuse_options
        from exporters.torch.session import torch_session

        refuse_options(self.name, options, **FROZEN_ONLY, **ONNX_ONLY, **_REFUSED)
        factory = self.factory(options)
        with torch_session():
            from exporters.torch.export import export_network

            return export_network(self.described(options), factory, options, destination, listener)

    def described(self, options: "ExportOptions") -> str:
        """Return the name with the arguments that make it another network."""
        given = options.factory_args or {}
        arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{self.name}({arguments})" if arguments else self.name

    def factory(self, options: "ExportOptions | None") -> "Factory":
        """Return the function that makes the network; ConfigError if it is not named rightly."""
        from exporters.torch.factory import Factory, parse_factory

        arguments = dict((options and options.factory_args) or {})
        if self.kind == "torch":
            return parse_factory(self.name, self.argument or "", arguments)
        if not self.argument:
            raise ConfigError("timm needs the name of a network, such as timm:resnet50.a1_in1k.")
        if "model_name" in arguments:
            msg = f"{self.name} names the network already. Leave 'model_name' out of factory_args."
            raise ConfigError(msg)
        return Factory("timm", "create_model", {"model_name": self.argument, **arguments})


TORCH = TorchBackbone("torch")
TIMM = TorchBackbone("timm")
