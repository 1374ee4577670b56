"""The policy of a gate: its rules, their defaults, and the TOML file that changes them."""
# Points and percents, because people write and read this file; everything else counts in fractions.

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from tlbench.core.errors import ConfigError, GateError
from tlbench.core.registry import unknown_name


def _check_range(
    name: str, value: float | None, low: float, high: float, *, above: bool = False
) -> None:
    if value is None or (low <= value <= high and not (above and value == low)):  # NaN is neither
        return
    bound = f"above {low:g}" if above else f"at least {low:g}"
    raise ConfigError(f"{name} must be {bound} and at most {high:g}, got {value:g}.")


class _Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules of one table of the file."""


class AccuracyPolicy(_Rules, frozen=True, kw_only=True):
    """Rules for every entry of predictions in the baseline.

    Attributes
    ----------
    test : McNemar's exact test of a drop; ``"two-sided"`` spends half of *alpha* on improvements
    alpha : highest probability that a run without a true drop fails, all entries together: each of
        k entries is tested at alpha / k
    negligible_points : an observed drop up to this never fails the test, however significant it is
    max_drop_points : largest observed drop that passes, significant or not
    must_find_points : fail if a true drop of this size would be found with less than 95 % power
    floors_percent : lowest accuracy by entry; entries that the baseline lacks may be named
    """

    test: Literal["one-sided", "two-sided", "none"] = "one-sided"
    alpha: float = 0.01
    negligible_points: float = 0.5
    max_drop_points: float | None = None
    must_find_points: float | None = None
    floors_percent: dict[str, float] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_range("accuracy.alpha", self.alpha, 0, 0.5, above=True)
        _check_range("accuracy.negligible_points", self.negligible_points, 0, 99)
        _check_range("accuracy.max_drop_points", self.max_drop_points, 0, 100)
        _check_range("accuracy.must_find_points", self.must_find_points, 0, 100, above=True)
        for entry, floor in self.floors_percent.items():
            name = f'accuracy.floors_percent."{entry}"'
            _check_range(name, floor, 0, 100)
            if 0 < floor <= 1:
                msg = f"{name} must be a percentage, got {floor:g}. Did you mean {100 * floor:g}?"
                raise ConfigError(msg)


class LatencyPolicy(_Rules, frozen=True, kw_only=True):
    """Rule for every timing in the baseline.

    Attributes
    ----------
    judge : False ignores all timings, also those that the run lacks
    max_ratio : fail if the whole interval of the run's time over the baseline's is above this
    not_judged : what a timing counts as that cannot be compared: another machine, another number
        of threads, an INVALID timing, too few samples
    """

    judge: bool = True
    max_ratio: float = 1.5  # wide: intervals do not cover differences between days
    not_judged: Literal["skip", "fail"] = "skip"

    def __post_init__(self) -> None:
        _check_range("latency.max_ratio", self.max_ratio, 1, 1000)


class DriftPolicy(_Rules, frozen=True, kw_only=True):
    """Rule for every drift of features that the run knows.

    Attributes
    ----------
    judge : False ignores all drifts
    smallest_cosine : lowest cosine that any image's features may have with the reference features
    """

    judge: bool = True
    smallest_cosine: float = 0.85

    def __post_init__(self) -> None:
        _check_range("drift.smallest_cosine", self.smallest_cosine, -1, 1)


class Policy(_Rules, frozen=True, kw_only=True):
    """All rules of a gate, one attribute for each table of the file, with their defaults."""

    accuracy: AccuracyPolicy = AccuracyPolicy()
    latency: LatencyPolicy = LatencyPolicy()
    drift: DriftPolicy = DriftPolicy()


def read_policy(path: Path) -> Policy:
    """Return the policy in a TOML file; a rule that is left out keeps its default.

    Parameters
    ----------
    path : Path
        File with the tables ``[accuracy]``, ``[latency]`` and ``[drift]``.

    Returns
    -------
    Policy
        All rules.

    Raises
    ------
    GateError
        If the file cannot be read, is not TOML, or has a value of a wrong type or out of range.
    UnknownNameError
        For an unknown table or key; the message suggests the nearest known one.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GateError(f"The policy {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GateError(f"The policy {path} is not a TOML file: {error}.") from error
    _check_names(document, path)
    try:
        return msgspec.convert(document, Policy)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ConfigError):  # from __post_init__
            raise GateError(f"{path}: {error.__cause__}") from error
        problem, _, key = str(error).removesuffix("`").rpartition(" - at `$.")
        raise GateError(f"{path}: {key} is wrong: {problem}.") from error


def _check_names(document: dict[str, Any], path: Path) -> None:
    tables = Policy()
    for name, table in document.items():
        if name not in Policy.__struct_fields__:
            raise unknown_name(f"table in {path}", name, list(Policy.__struct_fields__))
        if not isinstance(table, dict):
            raise GateError(f"{path}: {name} must be a table, [{name}], got {table!r}.")
        known = list(getattr(tables, name).__struct_fields__)
        for key in table:
            if key not in known:
                raise unknown_name(f"key in [{name}] of {path}", key, known)
