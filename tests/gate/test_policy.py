"""The policy file: every rule can be set, and nothing else can."""

import msgspec
import pytest

from tlbench.core.errors import ConfigError, GateError, UnknownNameError
from tlbench.gate import AccuracyPolicy, DriftPolicy, LatencyPolicy, Policy, read_policy


@pytest.fixture
def policy(tmp_path):
    """Read a policy from this text."""

    def read(text):
        path = tmp_path / "gate.toml"
        path.write_text(text, encoding="utf-8")
        return read_policy(path)

    return read


WHOLE = """
[accuracy]
test = "two-sided"
alpha = 0.05
negligible_points = 0
max_drop_points = 2
must_find_points = 3.5
floors_percent = { "backbone.softmax" = 86.5 }

[latency]
judge = false
max_ratio = 1.1
not_judged = "fail"

[drift]
judge = false
smallest_cosine = 0.99
"""


def test_every_rule_can_be_set(policy):
    """No field keeps its default."""
    found, default = policy(WHOLE), Policy()
    assert found.accuracy.floors_percent == {"backbone.softmax": 86.5}
    for table in ("accuracy", "latency", "drift"):
        ours, theirs = getattr(found, table), getattr(default, table)
        for field in msgspec.structs.fields(ours):
            assert getattr(ours, field.name) != getattr(theirs, field.name), field.name


@pytest.mark.parametrize("text", ["", "[accuracy]\n", "[accuracy]\nalpha = 0.01\n"])
def test_what_is_left_out_keeps_its_default(policy, text):
    assert policy(text) == Policy()


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("[acuracy]", "'accuracy'"),
        ("[accuracy]\nalhpa = 0.01", "'alpha'"),
        ("[accuracy]\nmax_drop = 1", "'max_drop_points'"),
        ("[accuracy]\nfloor_percent = {}", "'floors_percent'"),
        ("[latency]\nmax-ratio = 1.2", "'max_ratio'"),
        ("[drift]\nmin_cosine = 0.9", "'smallest_cosine'"),
        ("alpha = 0.01", "Known: accuracy, latency, drift"),
    ],
)
def test_a_wrong_name_comes_with_the_nearest_right_one(policy, text, nearest):
    with pytest.raises(UnknownNameError, match=nearest) as caught:
        policy(text)
    assert "gate.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accuracy = 3", r"gate.toml: accuracy must be a table, \[accuracy\], got 3"),
        ("[accuracy", "gate.toml is not a TOML file"),
        ("[accuracy]\nalpha = 'low'", "accuracy.alpha is wrong: Expected `float`, got `str`"),
        ("[accuracy]\nalpha = true", "Expected `float`"),
        ("[accuracy]\ntest = 'mcnemar'", "Invalid enum value 'mcnemar'"),
        ("[accuracy]\nalpha = 0", "gate.toml: accuracy.alpha must be above 0"),
        ("[accuracy]\nalpha = 1", "at most 0.5, got 1"),
        ("[accuracy]\nalpha = nan", "got nan"),
        ("[accuracy]\nnegligible_points = -1", "at least 0"),
        ("[accuracy]\nmax_drop_points = 101", "at most 100"),
        ("[accuracy]\nmust_find_points = 0", "above 0"),
        ("[accuracy.floors_percent]\n'backbone.softmax' = 0.86", "Did you mean 86"),
        ("[accuracy.floors_percent]\n'backbone.softmax' = 101", "at most 100"),
        ("[latency]\nmax_ratio = 0.9", "at least 1"),
        ("[latency]\nnot_judged = 'pass'", "Invalid enum value"),
        ("[latency]\njudge = 1", "Expected `bool`"),
        ("[drift]\nsmallest_cosine = 2", "at most 1"),
    ],
)
def test_values_that_make_no_sense_are_refused(policy, text, said):
    with pytest.raises(GateError, match=said):
        policy(text)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(GateError, match="cannot be read: No such file"):
        read_policy(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("rules", "values", "said"),
    [
        (AccuracyPolicy, {"alpha": 0}, "accuracy.alpha must be above 0 and at most 0.5, got 0"),
        (AccuracyPolicy, {"floors_percent": {"a.b": 0.9}}, "Did you mean 90"),
        (LatencyPolicy, {"max_ratio": 0.5}, "latency.max_ratio must be at least 1"),
        (DriftPolicy, {"smallest_cosine": 2}, "drift.smallest_cosine must be at least -1"),
    ],
)
def test_values_are_checked_in_python_too(rules, values, said):
    """A policy that was made without a file is as strict."""
    with pytest.raises(ConfigError, match=said):
        rules(**values)


RANGES = {
    "accuracy.alpha": (AccuracyPolicy, "alpha", "above 0", 1e-9, 0.5),
    "accuracy.negligible_points": (AccuracyPolicy, "negligible_points", "at least 0", 0, 99),
    "accuracy.max_drop_points": (AccuracyPolicy, "max_drop_points", "at least 0", 0, 100),
    "accuracy.must_find_points": (AccuracyPolicy, "must_find_points", "above 0", 1e-9, 100),
    "latency.max_ratio": (LatencyPolicy, "max_ratio", "at least 1", 1, 1000),
    "drift.smallest_cosine": (DriftPolicy, "smallest_cosine", "at least -1", -1, 1),
}


@pytest.mark.parametrize(("name", "case"), RANGES.items(), ids=RANGES)
def test_each_rule_has_its_range(name, case):
    """Both ends are allowed; what lies beyond is refused by the rule's own name."""
    rules, field, bound, lowest, highest = case
    for allowed in (lowest, highest):
        assert getattr(rules(**{field: allowed}), field) == allowed
    below = 0 if bound == "above 0" else lowest - 0.25
    for refused in (below, highest + 0.25):
        message = f"{name} must be {bound} and at most {highest:g}, got {refused:g}."
        with pytest.raises(ConfigError) as caught:
            rules(**{field: refused})
        assert str(caught.value) == message


@pytest.mark.parametrize("floor", [0, 1.01, 100])
def test_a_floor_is_a_percentage(floor):
    assert AccuracyPolicy(floors_percent={"a.b": floor}).floors_percent == {"a.b": floor}


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        (1, 'accuracy.floors_percent."a.b" must be a percentage, got 1. Did you mean 100?'),
        (0.9, 'accuracy.floors_percent."a.b" must be a percentage, got 0.9. Did you mean 90?'),
        (-1, 'accuracy.floors_percent."a.b" must be at least 0 and at most 100, got -1.'),
        (100.5, 'accuracy.floors_percent."a.b" must be at least 0 and at most 100, got 100.5.'),
    ],
)
def test_a_floor_that_is_no_percentage_is_refused(floor, said):
    with pytest.raises(ConfigError) as caught:
        AccuracyPolicy(floors_percent={"c.d": 50, "a.b": floor})
    assert str(caught.value) == said
