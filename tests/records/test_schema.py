"""The published JSON Schema is the one that tlbench reads by."""

import json
from pathlib import Path

import jsonschema
import pytest

from tlbench.records import encode_run
from tlbench.records.run import SCHEMA_VERSION

PUBLISHED = Path(__file__).parents[2] / "docs" / "schema" / f"run-v{SCHEMA_VERSION}.schema.json"


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))


def test_golden_file_is_valid(validator, golden_path):
    """What was published describes what was saved."""
    validator.validate(json.loads(golden_path.read_bytes()))


def test_encoded_run_is_valid(validator, golden_run):
    """What is saved now is described as well."""
    validator.validate(json.loads(encode_run(golden_run)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), SCHEMA_VERSION + 1),
        (("id",), 5),
        (("accuracy", 0, "interval", "low"), "0.8"),
        (("latency", 0, "verdict"), "PERHAPS"),
    ],
    ids=str,
)
def test_wrong_values_are_invalid(validator, golden_path, path, value):
    """The schema refuses what tlbench refuses."""
    document = json.loads(golden_path.read_bytes())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not validator.is_valid(document)


@pytest.mark.parametrize("name", ["schema_version", "id", "environment"])
def test_required_parts_are_required(validator, golden_path, name):
    """The schema requires what tlbench requires."""
    document = json.loads(golden_path.read_bytes())
    del document[name]
    assert not validator.is_valid(document)
