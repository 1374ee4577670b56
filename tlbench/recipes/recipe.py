"""A recipe: a published experiment, how to repeat it, and the figures to compare with.

The records are what a TOML file is read into, key by key; see ``docs/recipes.md``.
"""

import re
import tomllib
import typing
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import asdict

from tlbench.core.errors import ConfigError, TlbenchError
from tlbench.core.registry import unknown_name
from tlbench.model import ExportOptions

Protocol = Literal["holdout", "folds"]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a recipe's file: each key is known, each value of its type."""


class Source(_Record, frozen=True, kw_only=True):
    """Where an experiment was published."""

    text: str
    url: str


class Export(_Record, frozen=True, kw_only=True):
    """How the backbone is exported; None leaves it to the backbone, as `tlbench export` does."""

    input_size: int | None = None
    layer: str | None = None
    pooling: Literal["avg", "max", "none"] | None = None
    resize: str | None = None
    fit: Literal["crop", "squash", "pad"] | None = None
    crop_fraction: float | None = None

    def __post_init__(self) -> None:
        fraction = 1.0 if self.crop_fraction is None else self.crop_fraction
        ExportOptions(fit=self.fit, crop_fraction=fraction)  # checks the two together

    @property
    def chosen(self) -> dict[str, int | float | str]:
        """What is not left to the backbone."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Figure(_Record, frozen=True, kw_only=True):
    """A published accuracy, and which of the row's results it is compared with.

    Attributes
    ----------
    fraction : float
        As published.
    rounding_fraction : float
        Step that it was rounded to: 0.0001 for 87.41 %, 0.01 for "about 59 %".
    deviation_fraction : float or None
        Standard deviation over the folds, as published.
    deviation_divisor : {"n", "n-1"}
        What the squares were divided by: numpy's default is n.
    features : str
        ``"backbone"``, or one of the row's baselines.
    head : str
        One of the row's heads.
    protocol : {"holdout", "folds"}
        The accuracy on the test split, or the mean over the row's folds.
    not_measured : str or None
        Why tlbench measures nothing in its place; the figure is shown all the same.
    differs : tuple of str
        Known differences between the measurement and the experiment, which rule out a verdict.
    """

    name: str
    fraction: float
    rounding_fraction: float = 0.0001
    deviation_fraction: float | None = None
    deviation_divisor: Literal["n", "n-1"] = "n-1"
    features: str = "backbone"
    head: str = ""
    protocol: Protocol = "holdout"
    not_measured: str | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("fraction", "rounding_fraction", "deviation_fraction"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                msg = f"{name} of figure {self.name!r} must be a fraction from 0 to 1, got {value}."
                raise ConfigError(msg)
        if self.deviation_fraction is not None and self.protocol != "folds":
            msg = f"Figure {self.name!r} has a deviation, so its protocol must be 'folds'."
            raise ConfigError(msg)


class Speed(_Record, frozen=True, kw_only=True):
    """A published time per image, from *low_s* to *high_s*: information, never judged."""

    name: str
    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        if not 0 < self.low_s <= self.high_s:
            msg = f"Speed {self.name!r} needs 0 < low_s <= high_s, got {self.low_s}, {self.high_s}."
            raise ConfigError(msg)


class Row(_Record, frozen=True, kw_only=True):
    """One run of a recipe.

    Attributes
    ----------
    name : str
        Its name in ``tlbench reproduce``.
    backbone, dataset : str
        As ``tlbench run`` takes them.
    n_train, n_test : int
        Images of the published experiment.
    heads : dict
        Parameters of each head; those left out have the head's defaults.
    baselines : tuple of str
        Feature baselines that the heads are fitted on as well.
    folds : int or None
        Folds of a cross-validation over train and test images together, besides the hold-out.
    differs : tuple of str
        As in `Figure`, for all of the row's figures.
    """

    name: str
    backbone: str
    dataset: str
    n_train: int
    n_test: int
    heads: dict[str, Any]  # checked below: msgspec names no key of a table whose keys are free
    export: Export = Export()
    baselines: tuple[str, ...] = ()
    folds: int | None = None
    figures: tuple[Figure, ...] = ()
    speeds: tuple[Speed, ...] = ()
    differs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ConfigError(f"row {self.name!r}: {problem}")

    def _problems(self) -> Iterator[str]:
        yield from self._head_problems()
        if not self.heads or not self.figures:
            yield "at least one head and one figure are needed."
        if min(self.n_train, self.n_test) < 1:
            yield "n_train and n_test must be at least 1."
        features = ("backbone", *self.baselines)
        for figure in (one for one in self.figures if one.not_measured is None):
            name = f"figure {figure.name!r}"
            if figure.head not in self.heads:
                yield f"{name} is of head {figure.head!r}, the row has {', '.join(self.heads)}."
            if figure.features not in features:
                yield f"{name} is of {figure.features!r}, the row has {', '.join(features)}."
            if figure.protocol == "folds" and self.folds is None:
                yield f"{name} is a mean over folds, and the row has none: set folds."

    def _head_problems(self) -> Iterator[str]:
        for head, params in self.heads.items():
            if not isinstance(params, dict):
                yield f"heads.{head} must be a table of names and values, got {params!r}."
                return
            for name, value in params.items():
                if not isinstance(value, bool | int | float | str):
                    yield f"heads.{head}.{name} must be a single value, got {value!r}."

    @property
    def head_params(self) -> tuple[str, ...]:
        """The parameters as text, as ``tlbench run`` takes them: ``softmax.C=0.01``."""
        return tuple(
            f"{head}.{name}={value}"
            for head, params in self.heads.items()
            for name, value in params.items()
        )


class Recipe(_Record, frozen=True, kw_only=True):
    """A published experiment.

    Attributes
    ----------
    name, title : str
        Its name in ``tlbench reproduce``, and what it was.
    source : Source
        Where it was published.
    protocol : str
        What was done, for people.
    rows : tuple of Row
        The runs that repeat it; the first is the nearest to the original.
    notes : tuple of str
        What a reader must know besides, without changing a verdict.
    """

    name: str
    title: str
    source: Source
    protocol: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        if not names or len(set(names)) < len(names):
            msg = f"A recipe needs rows of different names, got {', '.join(names) or 'none'}."
            raise ConfigError(msg)

    @property
    def summary(self) -> str:
        """One line for ``tlbench list recipes``."""
        figure = self.rows[0].figures[0]
        return f"{self.title}: {100 * figure.fraction:.4g} % published"


# The record that a key of a recipe's file holds.
_RECORDS = {"": Recipe, "source": Source, "rows": Row, "export": Export}
_RECORDS |= {"figures": Figure, "speeds": Speed}


def read_recipe(path: Path | Traversable) -> Recipe:
    """Read a recipe's file; raise ConfigError, or UnknownNameError for an unknown key."""
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
        raise ConfigError(f"{source} is not a TOML file: {error}.") from error
    try:
        return msgspec.convert(document, Recipe)
    except msgspec.ValidationError as error:  # types, and what the records themselves refuse
        raise _explained(str(error), document, source) from error


def _explained(text: str, document: Any, source: str) -> TlbenchError:  # noqa: ANN401 - any TOML
    """Return msgspec's message as an error of ours: which key of which file, and what it holds."""
    text, _, path = text.removesuffix("`").partition(" - at `$")
    text, path = text.removesuffix("."), path.removeprefix(".")
    place = f"{path} of {source}" if path else source
    wrong = text.partition("`")[2].removesuffix("`")
    if text.startswith("Object contains unknown field"):
        known = _RECORDS[_last_key(path)].__struct_fields__
        return unknown_name(f"key in {place}:", wrong, list(known))
    if text.startswith("Object missing required field"):
        return ConfigError(f"{place} lacks the key {wrong!r}. Add it; see docs/recipes.md.")
    found = document
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        found = found[key or int(index)]
    if text.startswith("Invalid enum value"):
        parent, _, key = path.rpartition(".")
        hint = typing.get_type_hints(_RECORDS[_last_key(parent)])[key]
        return unknown_name(f"{path} in {source}:", found, _words(hint))
    ending = "" if isinstance(found, dict | list) else f", found {found!r}"
    return ConfigError(": ".join(filter(None, [source, path, f"{text}{ending}."])))


def _last_key(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]


def _words(hint: Any) -> list[str]:  # noqa: ANN401 - a type
    """Return the words of a `Literal`, which may be one of several types."""
    parts = typing.get_args(hint)
    return [word for part in parts for word in ([part] if isinstance(part, str) else _words(part))]
