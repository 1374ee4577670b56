"""Records to JSON and back."""

from collections.abc import Callable
from typing import Any

import msgspec

from tlbench.core.errors import ResultError
from tlbench.records.run import SCHEMA_VERSION, RunResult
from tlbench.records.schema import document_schema


def plain_value(value: Any) -> Any:  # noqa: ANN401 - any record or JSON value
    """Return *value* as JSON's own types: records become objects, tuples lists, paths text."""
    return msgspec.json.decode(_encode(value, str))


def encode_run(run: RunResult) -> bytes:
    """Return the text of ``run.json``: indented, keys in the order of the record, UTF-8."""
    return msgspec.json.format(_encode(run), indent=2) + b"\n"


def _encode(value: Any, enc_hook: Callable[[Any], Any] | None = None) -> bytes:  # noqa: ANN401 - see above
    try:
        return msgspec.json.encode(value, enc_hook=enc_hook)
    except UnicodeEncodeError:  # names of files and folders that are no UTF-8
        return msgspec.json.encode(_utf8(msgspec.to_builtins(value, enc_hook=enc_hook)))


def _utf8(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    r"""Return *value* with bytes that are no UTF-8 written out, as in ``caf\udce9.onnx``."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, list | tuple):
        return [_utf8(item) for item in value]
    if isinstance(value, dict):
        return {_utf8(key): _utf8(item) for key, item in value.items()}
    return value


def decode_run(content: bytes, source: str) -> RunResult:
    """Return the run in the text of a ``run.json``; raise ResultError if it cannot be used."""
    try:
        document = msgspec.json.decode(content)
        version = document.get("schema_version") if isinstance(document, dict) else None
        if type(version) is not int:
            raise ResultError(f"{source} is not a saved run: it has no schema_version.")
        if version != SCHEMA_VERSION:
            hint = "Upgrade tlbench to read it." if version > 0 else "The file is damaged."
            msg = (
                f"{source} has schema version {version}; this tlbench reads version "
                f"{SCHEMA_VERSION}. {hint}"
            )
            raise ResultError(msg)
        return msgspec.convert(document, RunResult)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ResultError(f"{source} is not a saved run: {error}.") from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``run.json``, as published in the documentation."""
    return document_schema(RunResult, SCHEMA_VERSION)
