"""The command line in this process: arguments in; exit code, stdout and stderr out."""

import pytest

QUICK = ("--limit-train", "200", "--limit-test", "100", "--heads", "centroid", "--no-latency")


@pytest.fixture
def quick():
    """Options of a run that takes a second."""
    return QUICK
