"""What the documents say of the gate is what it does, and the project's own files can be used."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from tlbench.gate import Policy, read_policy
from tlbench.records import Baseline, document_schema, read_baseline, unpack_labels
from tlbench.records.baseline import BASELINE_VERSION

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "gating.md").read_text(encoding="utf-8")
BASELINES = sorted((ROOT / "baselines").glob("*.json"))


def _policy_block():
    return re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL)[1]


def test_the_policy_in_the_guide_is_the_default(tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text(_policy_block(), encoding="utf-8")
    assert read_policy(path) == Policy()


def test_every_rule_is_in_the_guide():
    """Also those that have no default: they stand as comments."""
    names = set(
        re.findall(r"^(?:# )?(?:\[accuracy\.)?(\w+)(?: =|\])", _policy_block(), re.MULTILINE)
    )
    fields = {
        name
        for table in (Policy().accuracy, Policy().latency, Policy().drift)
        for name in table.__struct_fields__
    }
    assert fields <= names


def test_help_states_the_defaults(tlbench):
    """A reader of --help learns the rules."""
    text = " ".join(tlbench("gate", "--help").out.split())
    policy = Policy()
    assert f"one-sided; {100 * policy.accuracy.alpha:g} % for all entries together" in text
    assert f"more than {policy.accuracy.negligible_points:g} points were lost" in text
    assert f"more than {policy.latency.max_ratio:g} times as long" in text
    assert f"below {policy.drift.smallest_cosine:g}" in text


@pytest.mark.parametrize("path", BASELINES, ids=lambda path: path.stem)
def test_committed_baselines_are_valid_and_whole(path):
    """The schema holds, and the predictions are as many as they say."""
    schema = document_schema(Baseline, BASELINE_VERSION)
    jsonschema.Draft202012Validator(schema).validate(json.loads(path.read_bytes()))
    found = read_baseline(path)
    for one in found.accuracy:
        assert len(unpack_labels(one.predictions, one.entry)) == found.data.n_test


def test_the_projects_own_gate_has_a_baseline_and_a_policy():
    """.ci/run names both."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "baselines/efficientnet-lite0-cifar10.json" in script
    assert ROOT / "baselines" / "efficientnet-lite0-cifar10.json" in BASELINES
    policy = read_policy(ROOT / ".ci" / "gate.toml")
    entries = [one.entry for one in read_baseline(BASELINES[0]).accuracy]
    assert set(entries) <= set(policy.accuracy.floors_percent)
