"""What a run must hold to pass: the policy, its defaults, and the file it comes from.

Points and percents, because people write and read this file; everything else counts in fractions.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import msgspec

from tlbench.core.errors import ConfigError, GateError
from tlbench.core.registry import unknown_name

WhenNotJudged = Literal["skip", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyPolicy:
    """Rules for every entry of predictions in the baseline.

    Attributes
    ----------
    test : {"one-sided", "two-sided", "none"}
        McNemar's exact test of a drop; "two-sided" spends half of alpha on improvements.
    alpha : float
        Highest chance that a run without a true drop fails, all entries together: each of k entries
        is tested at alpha / k.
    negligible_points : float
        An observed drop up to this never fails the test, however significant.
    max_drop_points : float or None
        Largest observed drop that passes, significant or not.
    must_find_points : float or None
        Fail where a true drop of so many points would not be found with 95 % power.
    floors_percent : dict of str to float
        Least accuracy by entry, in percent; entries that the baseline lacks may be named.
    """

    test: Literal["one-sided", "two-sided", "none"] = "one-sided"
    alpha: float = 0.01
    negligible_points: float = 0.5
    max_drop_points: float | None = None
    must_find_points: float | None = None
    floors_percent: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPolicy:
    """Rule for every timing in the baseline.

    Attributes
    ----------
    judge : bool
        False leaves timings alone, also those that the run lacks.
    max_ratio : float
        A run fails where its time over that of the baseline is above this for certain: the whole
        interval.
    not_judged : {"skip", "fail"}
        What becomes of a timing that cannot be compared: another machine, other threads, an INVALID
        timing, too few samples.
    """

    judge: bool = True
    max_ratio: float = 1.5
    not_judged: WhenNotJudged = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPolicy:
    """Rule for every drift of features that the run knows.

    Attributes
    ----------
    judge : bool
        False leaves drifts alone.
    smallest_cosine : float
        Least value of the smallest cosine between an image's features and the reference's.
    """

    judge: bool = True
    smallest_cosine: float = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All rules; without a file, these defaults."""

    accuracy: AccuracyPolicy = field(default_factory=AccuracyPolicy)
    latency: LatencyPolicy = field(default_factory=LatencyPolicy)
    drift: DriftPolicy = field(default_factory=DriftPolicy)

    def __post_init__(self) -> None:
        rules, latency, drift = self.accuracy, self.latency, self.drift
        _within("accuracy.alpha", rules.alpha, 0, 0.5, open_low=True)
        _within("accuracy.negligible_points", rules.negligible_points, 0, 99)
        if rules.max_drop_points is not None:
            _within("accuracy.max_drop_points", rules.max_drop_points, 0, 100)
        if rules.must_find_points is not None:
            _within("accuracy.must_find_points", rules.must_find_points, 0, 100, open_low=True)
        for entry, floor in rules.floors_percent.items():
            name = f'accuracy.floors_percent."{entry}"'
            _within(name, floor, 0, 100)
            if 0 < floor <= 1:
                msg = f"{name} is {floor:g}: floors are percents. Did you mean {100 * floor:g}?"
                raise ConfigError(msg)
        _within("latency.max_ratio", latency.max_ratio, 1, 1000)
        _within("drift.smallest_cosine", drift.smallest_cosine, -1, 1)


def _within(name: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
    if not low <= value <= high or (open_low and value == low):  # NaN is not either
        bound = f"above {low:g}" if open_low else f"at least {low:g}"
        raise ConfigError(f"{name} is {bound} and at most {high:g}, not {value:g}.")


_TABLES = {"accuracy": AccuracyPolicy, "latency": LatencyPolicy, "drift": DriftPolicy}


def read_policy(path: Path) -> Policy:
    """Read a policy from a TOML file; what it leaves out keeps its default.

    Raises
    ------
    GateError
        If the file cannot be read, is no TOML, or has a value of a wrong type or out of bounds.
    UnknownNameError
        For an unknown table or key, with the nearest right one.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GateError(f"The policy {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GateError(f"The policy {path} is no TOML file: {error}.") from error
    _check_names(f"table in {path}", document, list(_TABLES))
    tables: dict[str, Any] = {}
    for name, kind in _TABLES.items():
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise GateError(f"{name} in {path} is a table, [{name}], not {table!r}.")
        _check_names(f"key in [{name}] of {path}", table, [one.name for one in fields(kind)])
        try:
            tables[name] = msgspec.convert(table, kind)
        except msgspec.ValidationError as error:
            raise GateError(f"[{name}] of {path}: {error}.") from error
    try:
        return Policy(**tables)
    except ConfigError as error:
        raise GateError(f"{path}: {error}") from error


def _check_names(kind: str, table: Mapping[str, Any], known: list[str]) -> None:
    for name in table:
        if name not in known:
            raise unknown_name(kind, name, known)
