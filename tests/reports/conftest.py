"""The golden run, which every report is made of."""

from pathlib import Path

import pytest

from tlbench.records import decode_run
from tlbench.records.run import SCHEMA_VERSION

GOLDEN = Path(__file__).parents[1] / "golden" / f"run-v{SCHEMA_VERSION}.json"


@pytest.fixture(scope="session")
def golden_run():
    """A run with every kind of result."""
    return decode_run(GOLDEN.read_bytes(), str(GOLDEN))
