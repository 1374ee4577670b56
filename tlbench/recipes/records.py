"""What a recipe says: a published experiment, how to repeat it, and the figures to hold it against.

The records are what a TOML file is read into, key by key; see ``docs/recipes.md``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tlbench.core.errors import ConfigError

ParamValue = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an experiment was published."""

    text: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """How the backbone is exported; None leaves it to the backbone, as `tlbench export` does."""

    input_size: int | None = None
    layer: str | None = None
    pooling: Literal["avg", "max", "none"] | None = None
    resize: str | None = None

    @property
    def chosen(self) -> dict[str, int | str]:
        """What is not left to the backbone."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A published accuracy, and which of the row's results it is held against.

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
        In what the measurement is known to differ from the experiment, so that no verdict is
        possible on this figure.
    """

    name: str
    fraction: float
    rounding_fraction: float = 0.0001
    deviation_fraction: float | None = None
    deviation_divisor: Literal["n", "n-1"] = "n-1"
    features: str = "backbone"
    head: str = ""
    protocol: Literal["holdout", "folds"] = "holdout"
    not_measured: str | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("fraction", "rounding_fraction", "deviation_fraction"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                msg = f"{name} of figure {self.name!r} is a fraction from 0 to 1, not {value}."
                raise ConfigError(msg)
        if self.deviation_fraction is not None and self.protocol != "folds":
            msg = f"Figure {self.name!r} has a deviation, so its protocol must be 'folds'."
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """A published time for one image, from *low_s* to *high_s*: information, never judged."""

    name: str
    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        if not 0 < self.low_s <= self.high_s:
            msg = f"Speed {self.name!r} needs 0 < low_s <= high_s, not {self.low_s}, {self.high_s}."
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run of a recipe.

    Attributes
    ----------
    name : str
        What ``--row`` calls it.
    dataset : str
        As for ``tlbench run --dataset``.
    n_train, n_test : int
        Images of the published experiment.
    heads : dict
        Parameters of each head; those left out have the head's defaults.
    baselines : tuple of str
        Feature baselines that the heads are fitted on as well.
    folds : int or None
        Parts of a cross-validation over train and test images together, besides the hold-out.
    differs : tuple of str
        As in `Figure`, for all of the row's figures.
    """

    name: str
    backbone: str
    dataset: str
    n_train: int
    n_test: int
    heads: dict[str, dict[str, ParamValue]]
    export: Export = field(default_factory=Export)
    baselines: tuple[str, ...] = ()
    folds: int | None = None
    figures: tuple[Figure, ...] = ()
    speeds: tuple[Speed, ...] = ()
    differs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.heads or not self.figures:
            raise ConfigError(f"Row {self.name!r} needs at least one head and one figure.")
        if min(self.n_train, self.n_test) < 1:
            raise ConfigError(f"Row {self.name!r} needs n_train and n_test of at least 1.")
        for problem in self._problems():
            raise ConfigError(f"Row {self.name!r}: {problem}")

    def _problems(self) -> Iterator[str]:
        features = ("backbone", *self.baselines)
        for figure in self.figures:
            if figure.not_measured is not None:
                continue
            name = f"figure {figure.name!r}"
            if figure.head not in self.heads:
                yield f"{name} is of head {figure.head!r}, the row has {', '.join(self.heads)}."
            if figure.features not in features:
                yield f"{name} is of {figure.features!r}, the row has {', '.join(features)}."
            if figure.protocol == "folds" and self.folds is None:
                yield f"{name} is a mean over folds, and the row has none: set folds."

    @property
    def head_params(self) -> tuple[str, ...]:
        """The parameters as ``--head-param`` takes them."""
        return tuple(
            f"{head}.{name}={value}"
            for head, params in self.heads.items()
            for name, value in params.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A published experiment.

    Attributes
    ----------
    name, title : str
        What ``tlbench reproduce`` calls it, and what it was.
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
            msg = f"A recipe needs rows of different names, not {', '.join(names) or 'none'}."
            raise ConfigError(msg)

    @property
    def summary(self) -> str:
        """One line for ``tlbench list recipes``."""
        figure = self.rows[0].figures[0]
        return f"{self.title}: {100 * figure.fraction:.4g} % published"
