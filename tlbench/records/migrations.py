"""Bring saved runs of earlier schema versions up to the present one."""

from collections.abc import Callable
from typing import Any

from tlbench.core.errors import ResultError
from tlbench.records.run import SCHEMA_VERSION

Document = dict[str, Any]


def _from_1(document: Document) -> Document:
    """Version 2 only adds fields, and the one that it gave a new shape was always null."""
    return document | {"schema_version": 2, "breakdown": None}


def _from_2(document: Document) -> Document:
    """Version 3 only adds fields."""
    return document | {"schema_version": 3}


# The step under key n takes a document of version n to n + 1.
_STEPS: dict[int, Callable[[Document], Document]] = {1: _from_1, 2: _from_2}


def migrate(document: object, source: str) -> Document:
    """Return *document* in the present schema.

    Raises
    ------
    ResultError
        If it is no object with a schema version that this tlbench knows.
    """
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(version, int):
        raise ResultError(f"{source} is no saved run: it has no schema_version.")
    if not 1 <= version <= SCHEMA_VERSION:
        known = f"{source} has schema version {version}; this tlbench reads 1 to {SCHEMA_VERSION}."
        hint = "Upgrade tlbench to read it." if version > 0 else "The file is damaged."
        raise ResultError(f"{known} {hint}")
    while version < SCHEMA_VERSION:
        document = _STEPS[version](document)
        version += 1
    return document
