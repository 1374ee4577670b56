"""Records to JSON and back, and the JSON Schemas of the documents that other programs read."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tlbench.core.errors import ResultError, TlbenchError
from tlbench.records.run import SCHEMA_VERSION, RunResult

T = TypeVar("T")


def plain_value(value: Any) -> Any:  # noqa: ANN401 - any record or JSON value
    """Return *value* as JSON's own types: records become objects, tuples lists, paths text."""
    return msgspec.json.decode(_encode(value, str))


def derive(kind: type[T], source: object, **more: Any) -> T:
    """Return a record of *kind* with the fields that it shares with *source*, and *more*."""
    shared = {name: getattr(source, name) for name in kind.__annotations__ if hasattr(source, name)}
    return kind(**(shared | more))


def encode_document(record: Any) -> bytes:  # noqa: ANN401 - any record
    """Return a record as JSON text: indented, fields in the order of the record, UTF-8."""
    return msgspec.json.format(_encode(record), indent=2) + b"\n"


def encode_compact(record: Any) -> bytes:  # noqa: ANN401 - any record
    """Return a record as JSON text on one line, for long lists of numbers."""
    return _encode(record) + b"\n"


def _encode(value: Any, enc_hook: Callable[[Any], Any] | None = None) -> bytes:  # noqa: ANN401 - see above
    try:
        return msgspec.json.encode(value, enc_hook=enc_hook)
    except UnicodeEncodeError:  # names of files and folders that are not UTF-8
        return msgspec.json.encode(_utf8(msgspec.to_builtins(value, enc_hook=enc_hook)))


def _utf8(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    r"""Return *value* with bytes that are not UTF-8 written out, as in ``caf\udce9.onnx``."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, list | tuple):
        return [_utf8(item) for item in value]
    if isinstance(value, dict):
        return {_utf8(key): _utf8(item) for key, item in value.items()}
    return value


def decode_document(
    content: bytes,
    record: type[T],
    source: str,
    *,
    version: int,
    expected: str,
    advice: str,
    error_type: type[TlbenchError],
) -> T:
    """Return the record in a JSON document; raise *error_type* if it does not hold *expected*."""
    try:
        document = msgspec.json.decode(content)
        found = document.get("schema_version") if isinstance(document, dict) else None
        if type(found) is not int:
            raise error_type(f"{source} is not {expected}: it has no schema_version. {advice}")
        if found != version:
            other = "Another version of tlbench wrote it: use that version, or measure again."
            hint = other if found > 0 else "The file is damaged."
            raise error_type(
                f"{source} has schema version {found}; this tlbench reads version {version}. {hint}"
            )
        return msgspec.convert(document, record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise error_type(f"{source} is not {expected}: {error}. {advice}") from error


def encode_run(run: RunResult) -> bytes:
    """Return the text of ``run.json``."""
    return encode_document(run)


def decode_run(content: bytes, source: str) -> RunResult:
    """Return the run in the text of a ``run.json``; raise ResultError if it cannot be used."""
    return decode_document(
        content,
        RunResult,
        source,
        version=SCHEMA_VERSION,
        expected="a saved run",
        advice="Name the run.json, the folder or the id of a run.",
        error_type=ResultError,
    )


def document_schema(document: type, version: int) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document, which admits one *version* only."""
    schema = msgspec.json.schema(document)
    for definition in schema["$defs"].values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    record = schema["$defs"][document.__name__]
    # A record has a default for it, but a file without it does not say what the rest means.
    record["properties"]["schema_version"] = {"const": version}
    if "schema_version" not in record["required"]:
        record["required"].append("schema_version")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``run.json``."""
    return document_schema(RunResult, SCHEMA_VERSION)
