"""Groups of options: a command that takes one as an object has all its options on its line."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import wraps
from typing import Any


@dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """Options that several commands share: a field for each, with typer's annotation and default.

    No slots here and in what derives from it: `settings` reads the fields with ``vars``.
    """

    def settings(self) -> dict[str, Any]:
        """Return the fields of `tlbench.workflows.RunConfig` that the options mean."""
        return dict(vars(self))


def flatten_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return *command* as typer needs it: with an option in place of each field of its groups.

    A parameter whose annotation is a dataclass is a group. Its options stand where it stood, and
    the command receives the object that is made of their values.
    """
    signature = inspect.signature(command)
    options: list[inspect.Parameter] = []
    groups: dict[str, tuple[Callable[..., object], list[str]]] = {}
    for name, parameter in signature.parameters.items():
        kind = parameter.annotation
        if isinstance(kind, type) and is_dataclass(kind):
            found = inspect.signature(kind).parameters
            groups[name] = (kind, list(found))
            options += found.values()
        else:
            options.append(parameter)

    @wraps(command)
    def flat(**values: Any) -> None:
        made = {
            name: kind(**{option: values.pop(option) for option in names})
            for name, (kind, names) in groups.items()
        }
        command(**values, **made)

    flat.__annotations__ = {option.name: option.annotation for option in options}
    vars(flat)["__signature__"] = signature.replace(parameters=options)
    return flat
