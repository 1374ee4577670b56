"""The golden run, and a strategy that makes any run."""

import dataclasses
import types
import typing
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tlbench.records import RunResult, decode_run
from tlbench.records.run import SCHEMA_VERSION

GOLDEN = Path(__file__).parents[1] / "golden"

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_FLOAT = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no NaN or infinity
_INT = st.integers(-(2**63), 2**63 - 1)
_JSON = st.recursive(
    st.none() | st.booleans() | _INT | _FLOAT | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)
_PLAIN = {
    str: _TEXT,
    int: _INT,
    float: _FLOAT,
    bool: st.booleans(),
    type(None): st.none(),
    typing.Any: _JSON,
}


def _values(kind):
    """Return a strategy for a type as the records use them."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _records(kind)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    inner = [_values(argument) for argument in arguments if argument is not Ellipsis]
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(inner)
    if origin is dict:
        return st.dictionaries(*inner, max_size=2)
    if origin is tuple:
        is_open = arguments[-1] is Ellipsis
        return st.lists(*inner, max_size=2).map(tuple) if is_open else st.tuples(*inner)
    return _PLAIN[kind]


def _records(kind):
    """Return a strategy for a record with every field set, those with defaults included."""
    hints = typing.get_type_hints(kind)
    fields = {name: _values(hint) for name, hint in hints.items()}
    if "schema_version" in fields:
        fields["schema_version"] = st.just(SCHEMA_VERSION)
    if "card_version" in fields:
        fields["card_version"] = st.just(1)
    return st.builds(kind, **fields)


@pytest.fixture(scope="session")
def any_run():
    """A strategy for runs with arbitrary content: draw from it."""
    return _records(RunResult)


@pytest.fixture(scope="session")
def golden_path():
    return GOLDEN / f"run-v{SCHEMA_VERSION}.json"


@pytest.fixture(scope="session")
def golden_run(golden_path):
    return decode_run(golden_path.read_bytes(), str(golden_path))
