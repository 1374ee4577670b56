"""The record of a run: frozen values with units in their names."""
# A record never prints itself: `tlbench.reports` does, and derives every number from a record.

from dataclasses import dataclass
from typing import Any, Literal

from tlbench.core.unused import UnusedFiles
from tlbench.machine import Environment
from tlbench.model import ModelCard, TrainingRecord
from tlbench.records.accuracy import (
    OWN_CLASSIFIER,
    AccuracyResult,
    CrossValidation,
    FeatureDrift,
    LearningCurve,
    Reproduction,
)
from tlbench.records.latency import Breakdown, LatencyRatio, LatencyResult, Placement

# History of the schema of run.json. 1: the first.
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedImage:
    """An image that was left out because it could not be decoded."""

    split: str
    index: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file that images were read from."""

    name: str
    md5: str
    published: bool  # the MD5 is that of the published file


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """The data that a run was measured on, after limits and skips.

    Attributes
    ----------
    skipped : each image that could not be decoded
    files : of a dataset that was published as files
    unused : every file of the user's that was not used, those of *skipped* too, by reason
    """

    name: str
    source: str
    fingerprint: str
    n_train: int
    n_test: int
    classes: tuple[str, ...]
    skipped: tuple[SkippedImage, ...] = ()
    files: tuple[DataFile, ...] = ()
    unused: tuple[UnusedFiles, ...] = ()


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
    """One pass of a split through the backbone, in this run or the one that stored its features."""

    split: str
    n_images: int
    n_features: int
    n_batches: int  # calls of the network: more than images / batch_size where image sizes differ
    batch_size: int  # as requested
    tail: Literal["exact", "padded"]
    elapsed_s: float
    from_store: bool
    provider: str
    placement: Placement | None = None
    label: str | None = None  # of the model, where there are several
    # mean share of an image's area that the graph's crop left out; None where that is not known
    cropped_fraction: float | None = None

    @property
    def images_per_s(self) -> float:
        """Throughput of the pass, decoding and batching included."""
        return self.n_images / self.elapsed_s if self.elapsed_s > 0 else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUnderTest:
    """One model of an interleaved comparison: `LatencyResult.label` refers to it."""

    label: str
    model: ModelInfo
    provider: str
    precision: str
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfigRecord:
    """The configuration of a run as plain values."""

    requested: dict[str, Any]
    effective: dict[str, Any]
    command: str  # repeats the run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One run: the content of ``runs/<id>/run.json``. What was not measured is empty or None.

    Attributes
    ----------
    created_at : when the run began: ISO 8601, UTC
    model : the measured model; the reference, where several were interleaved
    models_under_test : of an interleaved comparison, the reference first
    ratios : times of the candidates over those of the reference
    complete : False if interrupted, with what was measured until then
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    created_at: str
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
    models_under_test: tuple[ModelUnderTest, ...] = ()
    ratios: tuple[LatencyRatio, ...] = ()
    breakdown: Breakdown | None = None
    complete: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def training(self) -> TrainingRecord | None:
        """How tlbench trained the measured network, from its card; None if it did not."""
        return self.model.card.training if self.model.card else None

    @property
    def is_training(self) -> bool:
        """Whether `tlbench train` made the run: its accuracy is that of the network itself."""
        return any(result.head == OWN_CLASSIFIER for result in self.accuracy)
