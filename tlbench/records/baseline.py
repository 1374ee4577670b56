"""The baseline of a gate: its record, and its file for git, without images or labels."""

import base64
import binascii
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import GateError
from tlbench.core.files import check_file, write_atomically
from tlbench.records.accuracy import Interval
from tlbench.records.codec import decode_document, encode_document
from tlbench.records.latency import Boundary

# History of the schema of a baseline. 1: the first.
BASELINE_VERSION = 1

_DTYPES: tuple[Literal["uint8", "uint16", "uint32"], ...] = ("uint8", "uint16", "uint32")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLabels:
    """Labels of test images: base64 of zlib (RFC 1950) of little-endian ``dtype`` integers."""

    n: int
    dtype: Literal["uint8", "uint16", "uint32"]
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineAccuracy:
    """The predictions of one head."""

    entry: str  # FEATURES.HEAD, as in predictions.npz
    params: dict[str, Any]
    n_train: int
    n_test: int
    n_correct: int
    predictions: PackedLabels


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineTiming:
    """One timing without its samples."""

    scenario: str
    batch_size: int
    boundary: Boundary
    precision: str
    provider: str
    threads: int
    input_shape: tuple[int, ...]
    pause_s: float | None = None
    load: str | None = None  # of the scenario server: rate and latency bound
    n_samples: int
    median_s: float  # of a call
    # at the confidence that a ratio needs of each side; None: too few samples, or a queue
    median_interval: Interval | None
    verdict: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineDrift:
    """The smallest cosine between features and their reference; ``name`` says which two."""

    name: str
    smallest_cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineModel:
    """Identity of the model that was measured."""

    name: str
    sha256: str
    precision: str
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineData:
    """Identity of the data; digests are those of `tlbench.core.hashing.sha256_array` over int64."""

    name: str
    fingerprint: str
    n_train: int
    n_test: int
    n_classes: int
    labels_sha256: str
    index_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The properties that must match before the times of two machines are compared."""

    machine: str
    cpu: str
    cpus_usable: int
    gpus: tuple[str, ...]
    governor: str | None
    on_ac_power: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A run that later runs are compared with."""

    schema_version: int = BASELINE_VERSION
    tlbench_version: str  # that measured the run
    run: str
    created_at: str  # when the run began, ISO 8601, UTC
    command: str  # repeats the run
    model: BaselineModel
    machine: Machine
    libraries: dict[str, str]
    data: BaselineData | None = None
    accuracy: tuple[BaselineAccuracy, ...] = ()
    latency: tuple[BaselineTiming, ...] = ()
    drifts: tuple[BaselineDrift, ...] = ()


def pack_labels(labels: LabelArray) -> PackedLabels:
    """Return labels of shape (n,), compressed in the smallest unsigned type."""
    if not len(labels) or labels.min() < 0 or labels.max() > np.iinfo(_DTYPES[-1]).max:
        found = f"{labels.min()} to {labels.max()}" if len(labels) else "none"
        raise GateError(f"Labels must be numbers from 0 to 4,294,967,295; found {found}.")
    dtype = next(name for name in _DTYPES if labels.max() <= np.iinfo(name).max)
    content = labels.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    data = base64.b64encode(zlib.compress(content, 9)).decode()
    return PackedLabels(n=len(labels), dtype=dtype, data=data)


def unpack_labels(packed: PackedLabels, what: str) -> LabelArray:
    """Return the labels as int64, shape (n,); raise GateError, naming *what*, if damaged."""
    dtype = np.dtype(packed.dtype).newbyteorder("<")
    size = packed.n * dtype.itemsize
    try:
        unpacker = zlib.decompressobj()
        # One byte more than is wanted: a file that would unpack to gigabytes is never unpacked.
        content = unpacker.decompress(base64.b64decode(packed.data, validate=True), size + 1)
    except (zlib.error, binascii.Error, ValueError) as error:
        raise GateError(f"{what} cannot be unpacked: {error}. Save the baseline again.") from error
    if len(content) != size or not unpacker.eof:
        raise GateError(f"{what} are not {packed.n} labels. Save the baseline again.")
    return np.frombuffer(content, dtype).astype(np.int64)


def decode_baseline(content: bytes, source: str) -> Baseline:
    """Return the baseline in a JSON document; raise GateError if it cannot be used."""
    return decode_document(
        content,
        Baseline,
        source,
        version=BASELINE_VERSION,
        expected="a baseline",
        advice="Make one with `tlbench baseline save`.",
        error_type=GateError,
    )


def read_baseline(path: Path) -> Baseline:
    """Return the baseline in a file; raise GateError if there is none or it cannot be used."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        msg = f"There is no baseline {path}. Make one with `tlbench baseline save RUN -o {path}`."
        raise GateError(msg) from None
    except OSError as error:
        raise GateError(f"{path} cannot be read: {error.strerror}.") from error
    return decode_baseline(content, str(path))


def save_baseline(baseline: Baseline, path: Path, *, force: bool = False) -> int:
    """Write a baseline and return its size in bytes; an existing file is replaced with *force*."""
    check_file(path)
    if path.exists() and not force:
        raise GateError(
            f"{path} already exists. Pass force=True to replace the baseline of later runs, or "
            "choose another name."
        )
    content = encode_document(baseline)
    write_atomically(path, content)
    return len(content)
