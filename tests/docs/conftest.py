"""The documents: those that the tests read, and the folder of the tests' own modules."""

import sys
from pathlib import Path

import pytest
from one_processor import all_processors

sys.path.insert(0, str(Path(__file__).parent))  # for documents.py


@pytest.fixture(autouse=True)
def warm_cache(own_cache, shared_cache, monkeypatch):
    """The commands of a page find what those of other pages computed."""
    monkeypatch.setenv("TLBENCH_CACHE", str(shared_cache))


@pytest.fixture(autouse=True)
def whole_machine():
    """Pages say how many threads there were."""
    with all_processors():
        yield
