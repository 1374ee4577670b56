"""The command line in this process: arguments in; exit code, stdout and stderr out."""

import pytest

QUICK = ("--limit-train", "200", "--limit-test", "100", "--heads", "centroid", "--no-latency")
BRIEF = ("--min-samples", "11", "--min-duration", "0", "--max-duration", "1", "--no-costs")


@pytest.fixture
def quick():
    """Options of a run that takes a second."""
    return QUICK


@pytest.fixture
def brief():
    """Options of a timing that takes a second."""
    return BRIEF
