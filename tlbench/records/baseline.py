"""The record of a baseline: what a gate holds later runs against, small enough for git.

It holds predictions, not images or labels: whoever has the same data can compare image by image.
"""

from dataclasses import dataclass
from typing import Any, Literal

from tlbench.records.common import Interval
from tlbench.records.latency import Boundary

# History of the schema of a baseline. 1: the first.
BASELINE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLabels:
    """Labels, one for each test image.

    ``data`` is base64 of zlib (RFC 1950) of the numbers as unsigned little-endian integers of type
    ``dtype``; unpacked by `tlbench.records.baseline_file.unpack_labels`.
    """

    n: int
    dtype: Literal["uint8", "uint16", "uint32"]
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineAccuracy:
    """What one head predicted; ``entry`` is ``FEATURES.HEAD`` as in ``predictions.npz``."""

    entry: str
    params: dict[str, Any]
    n_train: int
    n_test: int
    n_correct: int
    predictions: PackedLabels


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineTiming:
    """One timing, without its samples.

    Attributes
    ----------
    load : str or None
        Of the scenario ``server``: rate and bound.
    median_s : float
        Seconds of a call.
    median_interval : Interval or None
        At the confidence that a ratio needs of each side; None: too few samples, or a queue.
    """

    scenario: str
    batch_size: int
    boundary: Boundary
    precision: str
    provider: str
    threads: int
    input_shape: tuple[int, ...]
    pause_s: float | None = None
    load: str | None = None
    n_samples: int
    median_s: float
    median_interval: Interval | None
    verdict: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineDrift:
    """Smallest cosine of features against a reference; ``name`` says of which against which."""

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
    """What must be alike for two times to be compared."""

    machine: str
    cpu: str
    cpus_usable: int
    gpus: tuple[str, ...]
    governor: str | None
    on_ac_power: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A run that later runs are held against."""

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
