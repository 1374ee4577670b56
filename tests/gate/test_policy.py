"""The policy file: every rule can be set, and nothing else."""

import dataclasses

import pytest

from tlbench.core.errors import GateError, UnknownNameError
from tlbench.gate import Policy, read_policy


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
        for field in dataclasses.fields(ours):
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
        ("accuracy = 3", "is a table"),
        ("[accuracy", "no TOML"),
        ("[accuracy]\nalpha = 'low'", "Expected `float`"),
        ("[accuracy]\nalpha = true", "Expected `float`"),
        ("[accuracy]\ntest = 'mcnemar'", "Invalid enum value 'mcnemar'"),
        ("[accuracy]\nalpha = 0", "accuracy.alpha is above 0"),
        ("[accuracy]\nalpha = 1", "at most 0.5, not 1"),
        ("[accuracy]\nalpha = nan", "not nan"),
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
