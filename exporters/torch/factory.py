"""Find the function that returns a network, and call it."""

import difflib
import importlib
import importlib.util
import inspect
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from tlbench.core.errors import ConfigError, ExportError, MissingDependencyError, one_line

_EXAMPLE = "torch:torchvision.models:resnet50"
_LONGEST = 300  # of another library's message, characters


@dataclass(frozen=True, slots=True)
class Factory:
    """A function that returns a network: where it is, and the arguments that it gets."""

    module: str  # dotted, as in an import
    path: str  # of the function inside the module, dotted if need be: EfficientNet.from_name
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.module}.{self.path}({given})"

    def find(self) -> Callable[..., Any]:
        """Import the module and return the function.

        Raises
        ------
        ConfigError, MissingDependencyError, ExportError
            If there is no such module or function, or the module fails when it is imported.
        """
        found: Any = self._imported()
        parts = self.path.split(".")
        for position, part in enumerate(parts):
            owner = ".".join((self.module, *parts[:position]))
            try:
                found = getattr(found, part)
            except AttributeError as error:
                names = [name for name in dir(found) if not name.startswith("_")]
                near = difflib.get_close_matches(part, names, n=3, cutoff=0.6)
                hint = f" Did you mean {' or '.join(near)}?" if near else ""
                raise ConfigError(f"{owner} has no {part!r}.{hint}") from error
        if not callable(found) or _is_network(found):
            what = "a network" if _is_network(found) else f"of type {type(found).__name__}"
            msg = (
                f"{self.module}.{self.path} is {what}, not a function that returns a network. "
                "Write a function without arguments that returns it, and name that."
            )
            raise ConfigError(msg)
        function: Callable[..., Any] = found
        return function

    def _imported(self) -> Any:  # noqa: ANN401 - a module
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if self.module != missing and not self.module.startswith(f"{missing}."):
                msg = (
                    f"{self.module} cannot be imported, because it needs the module {missing!r}, "
                    "which is not installed. Install it."
                )
                raise MissingDependencyError(msg) from error
            how = "Install it, or work in the folder that holds it."
            if missing == "timm":
                how = "Install it: pip install 'tlbench[timm]'"
            msg = (
                f"There is no module {missing!r} in this environment, nor in the working "
                f"directory. {how}"
            )
            raise MissingDependencyError(msg) from error
        except (Exception, SystemExit) as error:  # whatever foreign code does
            msg = f"{self.module} fails while it is imported: {described(error)}"
            raise ExportError(msg) from error

    def make(self) -> Any:  # noqa: ANN401 - torch.nn.Module has no types here
        """Call the function, and return the network: ready for inference, on the CPU, float32."""
        import torch

        function = self.find()
        self._check_arguments(function)
        try:
            network = function(**self.arguments)
        except (Exception, SystemExit) as error:
            raise ExportError(f"{self} failed: {described(error)}") from error
        if not isinstance(network, torch.nn.Module):
            hint = ""
            if isinstance(network, tuple | list) and any(map(_is_network, network)):
                hint = " Write a function that returns the network alone, and name that."
            msg = f"{self} returned {kind_of(network)}, not a torch.nn.Module.{hint}"
            raise ConfigError(msg)
        try:
            return network.to("cpu", torch.float32).eval()
        except Exception as error:
            msg = f"The network of {self} cannot be put on the CPU as float32: {described(error)}"
            raise ExportError(msg) from error

    def _check_arguments(self, function: Callable[..., Any]) -> None:
        try:
            signature = inspect.signature(function)
        except (ValueError, TypeError):  # written in C: the call itself will tell
            return
        try:
            signature.bind(**self.arguments)
        except TypeError as error:
            known = [
                name
                for name, parameter in signature.parameters.items()
                if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
            ]
            wrong = [name for name in self.arguments if name not in known]
            near = difflib.get_close_matches(wrong[0], known, n=1) if wrong else []
            hint = f" Did you mean {near[0]!r}?" if near else ""
            msg = (
                f"{self.module}.{self.path} cannot be called with these factory_args: {error}."
                f"{hint} Its parameters: {', '.join(known) or 'none'}."
            )
            raise ConfigError(msg) from error


def parse_factory(name: str, argument: str, arguments: Mapping[str, Any]) -> Factory:
    """Return the factory that ``MODULE:FACTORY`` names; *name* is the backbone's, for errors."""
    module, _, path = argument.partition(":")
    if not module or not path:
        msg = f"{name} needs MODULE:FACTORY after the colon, such as {_EXAMPLE}."
        raise ConfigError(msg)
    for part, what in ((module, "module"), (path, "function")):
        if not all(word.isidentifier() for word in part.split(".")):
            msg = (
                f"{name}: {part!r} is not the name of a {what} as Python writes it. Give "
                f"MODULE:FACTORY, such as {_EXAMPLE}; for a file net.py of the working directory "
                "the module is net."
            )
            raise ConfigError(msg)
    return Factory(module, path, dict(arguments))


def distributions_of(module: str) -> list[str]:
    """Return the installed distributions that a module comes from; none for other code.

    Code that can be edited in place has no version that would identify it.
    """
    top = module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    places = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    origin = spec.origin if spec is not None else None
    if origin is None or places.isdisjoint(Path(origin).resolve().parents):
        return []
    return sorted(set(metadata.packages_distributions().get(top, [])))


def described(error: BaseException) -> str:
    """Return what foreign code raised, on one line: the type and the message."""
    message = one_line(error)
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST]}..."
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _is_network(value: object) -> bool:
    import torch

    return isinstance(value, torch.nn.Module)


def kind_of(value: object) -> str:
    """Return what a value is, for an error."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} of {', '.join(map(str, value)) or 'nothing'}"
    return "None" if value is None else f"an object of type {type(value).__name__}"
