"""JSON Schemas of the documents that other programs read, made from the records themselves."""

from typing import Any

import msgspec


def document_schema(document: type, version: int) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document, as published in the documentation.

    Parameters
    ----------
    document : type
        The record, or another type of msgspec with a field ``schema_version``.
    version : int
        The one version that the schema admits.
    """
    schema = msgspec.json.schema(document)
    record = schema["$defs"][document.__name__]
    # A record has a default for it, but a file without it says nothing of the rest.
    record["properties"]["schema_version"] = {"const": version}
    if "schema_version" not in record["required"]:
        record["required"].append("schema_version")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
