"""A sweep as a TOML file, whose keys are the parameters of `tlbench.sweep`."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlbench.core.errors import ConfigError
from tlbench.core.registry import unknown_name
from tlbench.datasets import Columns
from tlbench.model import ExportOptions
from tlbench.workflows.config import QUICK_TIMING, RunConfig, TimingConfig
from tlbench.workflows.sweep_config import AXES, SweepConfig

_COLUMNS = ("path_column", "label_column", "split_column")
# Types of the keys of a TOML file.
_LISTS: dict[str, type] = dict.fromkeys((*AXES, "baselines", "head_params"), str)
_LISTS |= {"input_sizes": int, "batch_sizes": int}
_SCALARS: dict[str, type] = {
    "dataset": str,
    "path_column": str,
    "label_column": str,
    "split_column": str,
    "crop_fraction": float,
    "threads": int,
    "limit_train": int,
    "limit_test": int,
    "seed": int,
    "strict": bool,
    "rounds": int,
    "against": str,
}


def sweep_timing(*, spin: bool = True, costs: bool = True) -> TimingConfig:
    """Return how the cells of a sweep are timed, as far as that is not the grid's business."""
    return replace(QUICK_TIMING, spin=spin, costs=costs)


def make_sweep_config(settings: Mapping[str, Any], **base: Any) -> SweepConfig:
    """Return the configuration that the keys of a TOML file mean, with further fields of *base*.

    What a file cannot say, such as where the data are, is in *base*, by the names of `RunConfig`.
    """
    given: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in settings.items()
    }
    given.pop("against", None)
    columns = Columns(**{name: given.pop(name, None) for name in _COLUMNS})
    export = ExportOptions(crop_fraction=float(given.pop("crop_fraction", 1.0)))
    grid = {name: given.pop(name) for name in (*AXES, "rounds") if name in given}
    shared: dict[str, Any] = {"columns": columns, "export": export} | given | base
    return SweepConfig(**grid, base=RunConfig(**shared))


def read_sweep_file(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, by the names of the parameters of `tlbench.sweep`.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not TOML, or has a value of a wrong type.
    UnknownNameError
        For an unknown key; the message suggests the nearest known one.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The sweep {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The sweep {path} is not a TOML file: {error}.") from error
    for key, value in document.items():
        if key in _LISTS:
            kind = _LISTS[key]
            if not isinstance(value, list) or not all(_is(one, kind) for one in value):
                several = _NAMES[kind].removeprefix("a ") + ("" if kind is str else "s")
                raise ConfigError(f"{path}: '{key}' must be a list of {several}, got {value!r}.")
        elif key in _SCALARS:
            kind = _SCALARS[key]
            if not _is(value, kind):
                raise ConfigError(f"{path}: '{key}' must be {_NAMES[kind]}, got {value!r}.")
        else:
            raise unknown_name(f"key in {path}", key, [*_LISTS, *_SCALARS])
    return document


_NAMES: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def _is(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind
