"""The source files of both packages, parsed."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sources():
    """Syntax trees by path from the repository's root, with slashes."""
    found = {
        path.relative_to(REPOSITORY).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for package in ("tlbench", "exporters")
        for path in sorted((REPOSITORY / package).rglob("*.py"))
    }
    assert len(found) > 50  # an empty search would pass every test
    return found
