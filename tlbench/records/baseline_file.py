"""Baselines as files: JSON with packed predictions, written whole and read strictly."""

import base64
import binascii
import contextlib
import tempfile
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import GateError, StorageError
from tlbench.records.baseline import BASELINE_VERSION, Baseline, PackedLabels
from tlbench.records.schema import document_schema

_DTYPES = ("uint8", "uint16", "uint32")


def pack_labels(labels: LabelArray) -> PackedLabels:
    """Return labels in the smallest unsigned type, compressed.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64

    Raises
    ------
    GateError
        If there are none, or one is negative or beyond 32 bits.
    """
    if not len(labels) or labels.min() < 0 or labels.max() > np.iinfo(_DTYPES[-1]).max:
        raise GateError("Labels are numbers from 0 to 4,294,967,295, at least one; found others.")
    dtype = next(name for name in _DTYPES if labels.max() <= np.iinfo(name).max)
    content = labels.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    data = base64.b64encode(zlib.compress(content, 9)).decode()
    return PackedLabels(n=len(labels), dtype=dtype, data=data)  # type: ignore[arg-type]


def unpack_labels(packed: PackedLabels, what: str) -> LabelArray:
    """Return the labels again, int64.

    Parameters
    ----------
    what : str
        What they are, for the error.

    Raises
    ------
    GateError
        If the data are damaged or not as many as they say.
    """
    dtype = np.dtype(packed.dtype).newbyteorder("<")
    size = packed.n * dtype.itemsize
    try:
        unpacker = zlib.decompressobj()
        # One byte more than is wanted: a file that unpacks to gigabytes is never unpacked.
        content = unpacker.decompress(base64.b64decode(packed.data, validate=True), size + 1)
    except (zlib.error, binascii.Error, ValueError) as error:
        raise GateError(f"{what} cannot be unpacked: {error}. Save the baseline again.") from error
    if len(content) != size or not unpacker.eof:
        raise GateError(f"{what} are not {packed.n} labels. Save the baseline again.")
    return np.frombuffer(content, dtype).astype(np.int64)


def encode_baseline(baseline: Baseline) -> bytes:
    """Return the text of a baseline; the same run gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n"


def decode_baseline(content: bytes, source: str) -> Baseline:
    """Read a baseline.

    Raises
    ------
    GateError
        If it is none, of an unknown schema version, or damaged.
    """
    try:
        document = msgspec.json.decode(content)
        version = document.get("schema_version") if isinstance(document, dict) else None
        if type(version) is int and version != BASELINE_VERSION:
            msg = (
                f"{source} has schema version {version}; this tlbench reads baselines of version "
                f"{BASELINE_VERSION}. Save the baseline again, or use the tlbench that wrote it."
            )
            raise GateError(msg)
        if type(version) is not int:
            msg = (
                f"{source} is no baseline: it has no schema_version. Make one with tlbench "
                "baseline save."
            )
            raise GateError(msg)
        return msgspec.convert(document, Baseline)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{source} is no baseline: {error}. Make one with tlbench baseline save."
        raise GateError(msg) from error


def read_baseline(path: Path) -> Baseline:
    """Read a baseline file; see `decode_baseline`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        msg = f"There is no baseline {path}. Make one with tlbench baseline save RUN -o {path}."
        raise GateError(msg) from None
    except OSError as error:
        raise GateError(f"{path} cannot be read: {error.strerror}.") from error
    return decode_baseline(content, str(path))


def save_baseline(baseline: Baseline, path: Path, *, force: bool = False) -> int:
    """Write a baseline whole or not at all; return its size in bytes.

    Raises
    ------
    GateError
        If the file is there already and *force* is not given.
    StorageError
        If it cannot be written.
    """
    if path.exists() and not force:
        msg = (
            f"{path} is there already. Pass --force to replace what later runs are held against, "
            "or choose another name."
        )
        raise GateError(msg)
    content, temporary = encode_baseline(baseline), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            prefix=f".{path.name}.", dir=path.parent, delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:  # after the move there is nothing of this name
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return len(content)


def baseline_schema() -> dict[str, Any]:
    """Return the JSON Schema of a baseline, as published in the documentation."""
    return document_schema(Baseline, BASELINE_VERSION)
