"""What a classifier head is: its name, its default parameters, and how its estimator is built."""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol, TypeAlias

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError, MissingDependencyError, UnknownNameError
from tlbench.core.registry import Registry, unknown_name

ParamValue: TypeAlias = int | float | bool | str | None
Params: TypeAlias = Mapping[str, ParamValue]

_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}


class Classifier(Protocol):
    """The part of a scikit-learn estimator that tlbench uses."""

    def fit(self, X: FloatArray, y: LabelArray, /) -> Any:  # noqa: ANN401, N803 - scikit-learn's own signature
        """Learn from features (n_images, n_features) and labels (n_images,)."""

    def predict(self, X: FloatArray, /) -> Any:  # noqa: ANN401, N803 - scikit-learn's own signature
        """Return one label for each row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """The parameter of a head that a search chooses, and the values it tries."""

    parameter: str  # a numeric one
    values: tuple[float, ...]  # at least two, from the strongest penalty to the weakest
    # For a Pipeline whose last step has ``warm_start``: that step's name for the parameter. Each
    # fit then starts from the previous solution; empty: every value is fitted from scratch.
    warm_argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """An entry of the group ``tlbench.heads``. Importing it must not import scikit-learn.

    Parameters
    ----------
    name : str
        Name on the command line, without a dot.
    summary : str
        One line for ``tlbench list heads``.
    defaults : mapping
        Every parameter that a user can set. The type of the default is the type of the parameter;
        a default of None accepts None, a number or a word.
    build : callable
        ``build(params, seed)`` returns an unfitted scikit-learn estimator or Pipeline. *params* has
        a value for each name in *defaults*; equal arguments give equal predictions.
    adapt : callable
        ``adapt(params, labels)`` sees the training labels (n_train,) before the fit and returns the
        parameters to use, with one note for each parameter that it had to change. It raises
        ConfigError where the user has to decide.
    search : SearchSpace or None
        What a search chooses; None if no parameter is worth searching.
    lay_out : callable
        ``lay_out(params, shape)`` sees the shape of one image's features before they are flattened
        into a row, (n_features,) or (H, W, C), or None if it is unknown, and returns the parameters
        to use; a head that needs a map keeps the shape among them. It raises ConfigError if the
        head cannot be fitted on features of this shape.
    requires : tuple of str
        Distributions that a fit needs beyond the base install. Their versions are part of the key
        under which predictions are stored.
    extra : str
        The extra of tlbench that installs them, if there is one.
    storable : bool
        Whether name, parameters and versions determine what a fit gives, so that its predictions
        may be taken from the store. False for code that tlbench cannot identify.
    """

    name: str
    summary: str
    defaults: Params
    build: Callable[[Params, int], Classifier]
    adapt: Callable[[Params, LabelArray], tuple[Params, tuple[str, ...]]] = lambda p, _: (p, ())
    search: SearchSpace | None = None
    lay_out: Callable[[Params, tuple[int, ...] | None], Params] = lambda p, _: p
    requires: tuple[str, ...] = ()
    extra: str = ""
    storable: bool = True


HEADS: Registry[Head] = Registry("heads")


def check_requirements(head: Head) -> None:
    """Raise MissingDependencyError unless the head can be fitted here. Nothing is imported."""
    missing = []
    for name in head.requires:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        what = f"'tlbench[{head.extra}]'" if head.extra else " ".join(missing)
        msg = (
            f"Head {head.name!r} needs {', '.join(missing)}, which is not installed. "
            f"Run: pip install {what}"
        )
        raise MissingDependencyError(msg)


def parse_params(texts: Sequence[str]) -> dict[str, str]:
    """Return name and value, as text, of each ``"C=0.01"`` or ``"softmax.C=0.01"``."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (equals and name and value):
            msg = (
                "head_params must have the form NAME=VALUE or HEAD.NAME=VALUE, "
                f"got {text!r}. Example: C=0.01."
            )
            raise ConfigError(msg)
        if name in found:
            msg = f"head_params sets {name} twice: {found[name]!r} and {value!r}. Keep one."
            raise ConfigError(msg)
        found[name] = value
    return found


def resolve_params(head: Head, overrides: Params) -> dict[str, ParamValue]:
    """Return every parameter of one head; see `resolve_head_params`."""
    return resolve_head_params([head], overrides)[head.name]


def resolve_head_params(
    heads: Sequence[Head], overrides: Params
) -> dict[str, dict[str, ParamValue]]:
    """Return for each head's name all its parameters, *overrides* in place of defaults.

    A key of *overrides* is ``NAME`` or, with precedence, ``HEAD.NAME``.
    """
    resolved = {head.name: dict(head.defaults) for head in heads}
    # Plain names first, so that HEAD.NAME wins in whatever order the two are given.
    for key, value in sorted(overrides.items(), key=lambda item: "." in item[0]):
        for head, name in _targets(heads, key):
            resolved[head.name][name] = _convert(f"{head.name}.{name}", head.defaults[name], value)
    return resolved


def _targets(heads: Sequence[Head], key: str) -> list[tuple[Head, str]]:
    """Return the heads and the parameter that *key* names; never an empty list."""
    prefix, dot, name = key.partition(".")
    if not dot:
        targets = [(head, key) for head in heads if key in head.defaults]
        if not targets:
            raise _unknown_param(heads, key)
        return targets
    chosen = [head for head in heads if head.name == prefix]
    if not chosen:
        raise unknown_name("head among the chosen ones", prefix, [head.name for head in heads])
    if name not in chosen[0].defaults:
        raise _unknown_param(chosen, name)
    return [(chosen[0], name)]


def _unknown_param(heads: Sequence[Head], name: str) -> UnknownNameError:
    known = sorted({param for head in heads for param in head.defaults})
    return unknown_name(f"parameter of {', '.join(head.name for head in heads)}", name, known)


def _convert(name: str, default: ParamValue, value: ParamValue) -> ParamValue:
    """Return *value* with the type of *default*, or raise ConfigError."""
    text = str(value).strip()
    try:
        return _parse(default, text)
    except ValueError as error:
        expected = {bool: "true or false", int: "a whole number", float: "a finite number"}
        wanted = expected.get(type(default), "none, a finite number or a word")
        msg = f"Parameter {name} must be {wanted}, got {text!r}. Its default is {default}."
        raise ConfigError(msg) from error


def _parse(default: ParamValue, text: str) -> ParamValue:
    if isinstance(default, bool):  # before int: a bool is an int
        if text.lower() not in _WORDS:
            raise ValueError(text)
        return _WORDS[text.lower()]
    if isinstance(default, int):
        return int(text)
    if isinstance(default, float):
        return _finite(text)
    if isinstance(default, str):
        return text
    return _guess(text)


def _guess(text: str) -> ParamValue:
    """Read a value of unknown type: none, a whole number, a number or a word."""
    if text.lower() == "none":
        return None
    with contextlib.suppress(ValueError):
        return int(text)
    try:
        float(text)
    except ValueError:
        return text
    return _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # neither JSON nor any solver here accepts it
        raise ValueError(text)
    return number
