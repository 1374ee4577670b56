"""The records of a run: frozen values with units in their names.

Times are seconds, accuracies and intervals are fractions in [0, 1], sizes are bytes. A record never
prints itself: ``tlbench.reports`` does. Every number that a report shows derives from what is kept
here.
"""

from dataclasses import dataclass
from typing import Any, Literal

from tlbench.machine import Environment
from tlbench.model import ModelCard
from tlbench.records.accuracy import (
    AccuracyResult,
    CrossValidation,
    FeatureDrift,
    LearningCurve,
    Reproduction,
)
from tlbench.records.common import Placement
from tlbench.records.latency import (
    Breakdown,
    LatencyRatio,
    LatencyResult,
)

# Version of run.json. 1: the first.
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedImage:
    """An image that could not be decoded and was left out."""

    split: str
    index: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file that images were read from; ``published``: its MD5 is that of the published one."""

    name: str
    md5: str
    published: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """The data that a run was measured on, after limits and skips."""

    name: str
    source: str
    fingerprint: str
    n_train: int
    n_test: int
    classes: tuple[str, ...]
    skipped: tuple[SkippedImage, ...] = ()
    files: tuple[DataFile, ...] = ()  # of a data set that was published as files


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """The measured model: identity of the file, and its card if it has one."""

    path_name: str
    sha256: str
    size_bytes: int
    card: ModelCard | None = None
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionResult:
    """One pass of a split through the backbone, or a hit in the feature store (``from_store``).

    On a hit ``elapsed_s`` is the time of the pass that filled the store.
    """

    split: str
    n_images: int
    n_features: int
    n_batches: int  # calls of the network: more than images / batch_size where sizes differ
    batch_size: int  # as asked for
    tail: Literal["exact", "padded"]
    elapsed_s: float
    from_store: bool
    provider: str
    placement: Placement | None = None
    label: str | None = None  # which of several models

    @property
    def images_per_s(self) -> float:
        """Throughput of the pass, decoding and batching included."""
        return self.n_images / self.elapsed_s if self.elapsed_s > 0 else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUnderTest:
    """One side of an interleaved comparison: `LatencyResult.label` refers to it."""

    label: str
    model: ModelInfo
    provider: str
    precision: str
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfigRecord:
    """What was asked for and what was done, both as plain values; ``command`` repeats the run."""

    requested: dict[str, Any]
    effective: dict[str, Any]
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One run: ``runs/<id>/run.json``."""

    schema_version: int = SCHEMA_VERSION
    id: str
    created_at: str  # ISO 8601, UTC
    tlbench_version: str
    config: RunConfigRecord
    environment: Environment
    model: ModelInfo
    dataset: DatasetInfo | None = None
    extraction: tuple[ExtractionResult, ...] = ()
    accuracy: tuple[AccuracyResult, ...] = ()
    cross_validation: tuple[CrossValidation, ...] = ()
    learning_curves: tuple[LearningCurve, ...] = ()
    drifts: tuple[FeatureDrift, ...] = ()
    reproduction: Reproduction | None = None
    latency: tuple[LatencyResult, ...] = ()
    models_under_test: tuple[
        ModelUnderTest, ...
    ] = ()  # the first is the reference; model is its file
    ratios: tuple[LatencyRatio, ...] = ()
    breakdown: Breakdown | None = None
    complete: bool = True  # False: interrupted, with what was measured until then
    warnings: tuple[str, ...] = ()
