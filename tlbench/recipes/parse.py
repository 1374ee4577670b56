"""Read a recipe from TOML, strictly: every key must be known, every value of its type."""

import tomllib
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

from tlbench.core.errors import ConfigError, TlbenchError
from tlbench.core.registry import unknown_name
from tlbench.recipes.records import Recipe


def read_recipe(path: Path | Traversable) -> Recipe:
    """Read a recipe's file.

    Raises
    ------
    ConfigError
        If it cannot be read, is no TOML, lacks a key, or a value does not fit.
    UnknownNameError
        If a key is unknown; the message names the nearest right one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"The recipe {path} cannot be read: {error.strerror}. Check the path."
        raise ConfigError(msg) from error
    return parse_recipe(content, str(path))


def parse_recipe(content: bytes, source: str) -> Recipe:
    """Read a recipe from the bytes of its file; *source* names it in errors."""
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is no TOML file: {error}.") from error
    for problem in _problems(document, Recipe, "", source):
        raise problem
    try:
        return msgspec.convert(document, Recipe)
    except msgspec.ValidationError as error:  # types, and what the records themselves refuse
        raise ConfigError(f"{source}: {_explain(str(error), document)}.") from error


def _problems(value: Any, kind: Any, where: str, source: str) -> Iterator[TlbenchError]:  # noqa: ANN401
    """Yield what is wrong with keys and words in *value*, where *kind* is wanted."""
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind) and isinstance(value, dict):
        yield from _record_problems(value, kind, where, source)
    elif origin is tuple and isinstance(value, list):
        for i, item in enumerate(value):
            yield from _problems(item, options[0], f"{where}[{i}]", source)
    elif origin is dict:
        yield from _table_problems(value, options[1], where, source)
    elif origin is typing.Literal and isinstance(value, str) and value not in options:
        yield unknown_name(f"{where} in {source}:", value, list(options))
    elif origin in {typing.Union, types.UnionType}:
        for option in options:
            if typing.get_origin(option) is typing.Literal:
                yield from _problems(value, option, where, source)
        if isinstance(value, dict | list):
            yield ConfigError(f"{source}: {where} is a single value, not {value!r}.")


def _table_problems(value: Any, kind: Any, where: str, source: str) -> Iterator[TlbenchError]:  # noqa: ANN401
    """Yield what is wrong with the values of a table whose keys are free."""
    if not isinstance(value, dict):
        yield ConfigError(f"{source}: {where} is a table of names and values, not {value!r}.")
        return
    for name, item in value.items():
        yield from _problems(item, kind, f"{where}.{name}", source)


def _record_problems(
    value: dict[str, Any],
    kind: Any,  # noqa: ANN401 - a record's class
    where: str,
    source: str,
) -> Iterator[TlbenchError]:
    """Yield unknown and missing keys of a record, then what is wrong with its values."""
    hints = typing.get_type_hints(kind)
    known = {one.name: one for one in fields(kind)}
    place = f"{where} of {source}" if where else source
    for name in value:
        if name not in known:
            yield unknown_name(f"key in {place}:", name, list(known))
    for name, one in known.items():
        if name in value:
            path = f"{where}.{name}" if where else name
            yield from _problems(value[name], hints[name], path, source)
        elif one.default is MISSING and one.default_factory is MISSING:
            yield ConfigError(f"{place} lacks the key {name!r}. Add it; see docs/recipes.md.")


def _explain(text: str, document: Any) -> str:  # noqa: ANN401 - any TOML
    """Return msgspec's text, with the value that was found where it names a single one."""
    text, _, path = text.partition(" - at `$")
    path = path.removesuffix("`").removeprefix(".")
    text = text.removesuffix(".")
    found = document
    for step in _steps(path):
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return f"{path}: {text}"
    if not path or isinstance(found, dict | list):
        return f"{path}: {text}" if path else text
    return f"{path}: {text}, found {found!r}"


def _steps(path: str) -> Iterator[str | int]:
    """Split msgspec's ``rows[0].figures[1].name`` into keys and positions."""
    for part in path.replace("[", ".").replace("]", "").split("."):
        if part:
            yield int(part) if part.isdigit() else part
