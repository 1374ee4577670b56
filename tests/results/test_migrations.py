"""Files of every earlier version are brought up step by step."""

from pathlib import Path

import pytest

from tlbench.core.errors import ResultError
from tlbench.records import decode_run, migrations
from tlbench.records.migrations import migrate
from tlbench.records.run import SCHEMA_VERSION

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def three_versions(monkeypatch):
    """Make as if this tlbench wrote version 3, with a step from each version before."""

    def step(version):
        return lambda document: (
            document
            | {
                "schema_version": version + 1,
                "steps": [*document.get("steps", []), version],
            }
        )

    monkeypatch.setattr(migrations, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(migrations, "_STEPS", {1: step(1), 2: step(2)})


def test_present_version_is_left_alone():
    """There is nothing to do for a file of today."""
    document = {"schema_version": SCHEMA_VERSION, "id": "x"}
    assert migrate(document, "run.json") == document


@pytest.mark.usefixtures("three_versions")
@pytest.mark.parametrize(("version", "steps"), [(1, [1, 2]), (2, [2])])
def test_steps_are_taken_in_order(version, steps):
    """A file passes through every version between its own and the present one, once."""
    migrated = migrate({"schema_version": version}, "run.json")
    assert migrated == {"schema_version": 3, "steps": steps}


@pytest.mark.usefixtures("three_versions")
def test_later_version_is_refused_before_any_step():
    """A file from the future is no file of today with another number."""
    with pytest.raises(ResultError, match="version 4; this tlbench reads 1 to 3"):
        migrate({"schema_version": 4}, "run.json")


def test_every_earlier_version_has_a_step():
    """A new schema version without its step would make old runs unreadable."""
    assert set(migrations._STEPS) == set(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_golden_file_of_every_version_is_read(version):
    """A file that some tlbench once wrote stays readable."""
    path = GOLDEN / f"run-v{version}.json"
    assert decode_run(path.read_bytes(), str(path)).schema_version == SCHEMA_VERSION
