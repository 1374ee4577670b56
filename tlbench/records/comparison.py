"""The record of a comparison of saved runs: a reference, and candidates held against it."""
# Times are seconds, accuracies fractions in [0, 1], energies joules.

from dataclasses import dataclass

from tlbench.records.accuracy import Interval, PairedDifference

# History of the schema of a comparison. 1: the first.
COMPARISON_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """One of the compared runs, which the rest of the record calls by its letter."""

    letter: str  # A for the reference
    id: str
    created_at: str  # ISO 8601, UTC
    tlbench_version: str  # that measured it
    model: str
    label: str | None = None  # the model that was chosen from an interleaved comparison
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProperty:
    """A property of the machine or the settings, with one value per run in their order."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs differ in it."""
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A property that must match before two results are compared, but differs."""

    name: str
    reference: str
    other: str

    def __str__(self) -> str:
        """Return ``precision fp32 against fp16``."""
        return f"{self.name} {self.reference} against {self.other}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedTiming:
    """One timing of a compared run."""

    run: str
    scenario: str
    batch_size: int
    boundary: str
    precision: str
    provider: str
    threads: int
    label: str | None
    n_samples: int
    per_image_s: float  # median of a call, divided by its images
    # of a call, at the confidence that a speed-up needs; None: too few samples, or a queue, in
    # which they depend on one another
    median_interval: Interval | None
    images_per_s: float | None  # None in the scenario server: a sample includes the time queued
    energy_j_per_image: float | None
    energy_note: str | None  # what the energy counts, or why there is none
    verdict: str | None  # None: not judged
    reasons: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedUp:
    """Time per image of the reference over that of the candidate."""

    reference: ComparedTiming
    other: ComparedTiming
    speed_up: float  # above 1 the candidate is faster
    interval: Interval | None  # sampling noise within each run only: they were not interleaved
    energy_ratio: float | None  # joules, reference over candidate; None unless both were measured
    mismatches: tuple[Mismatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedAccuracy:
    """One accuracy of a compared run."""

    run: str
    features: str
    head: str
    n_train: int
    n_test: int
    n_correct: int
    accuracy_fraction: float
    interval: Interval
    notes: tuple[str, ...] = ()
    fitted_on: str | None = None  # precision of the features that the head was fitted on

    @property
    def title(self) -> str:
        """The feature set as the predictions are named: ``backbone`` or ``backbone-fp32``."""
        return f"{self.features}-{self.fitted_on}" if self.fitted_on else self.features


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyDifference:
    """Accuracy of the candidate minus that of the reference."""

    reference: ComparedAccuracy
    other: ComparedAccuracy
    difference_fraction: float
    intervals_overlap: bool  # then, without a paired difference, there is no clear difference
    mismatches: tuple[Mismatch, ...] = ()
    paired: PairedDifference | None = None  # where both saved predictions for the same images
    n_differing: int | None = None  # images with different predictions, both wrong included
    not_paired: str | None = None  # why there is no paired difference


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCost:
    """What one way to a classifier gives and costs: frozen features, or a trained network.

    Attributes
    ----------
    features, head : the answer of the run; the other figures of accuracy belong to it
    n_epochs, seconds_per_epoch : None for frozen features, which *extraction_s* and *fit_s* are of
    target_fraction : the lowest accuracy of all these runs
    seconds_to_target : training time until that was reached; None if the validation never did
    per_image_s, energy_j_per_image : of the scenario single; None if it was not measured
    paired : the reference's answer and this one's on the same images, whatever their heads
    frozen_images_per_class : from how many training images per class on frozen features are as
        accurate as this network, by their learning curve; None without one, or if they never are
    """

    run: str
    model: str
    features: str
    head: str
    n_train: int
    n_test: int
    n_correct: int
    accuracy_fraction: float
    interval: Interval
    paired: PairedDifference | None
    training_s: float
    n_epochs: int | None
    seconds_per_epoch: float | None
    extraction_s: float | None
    fit_s: float | None
    target_fraction: float
    seconds_to_target: float | None
    per_image_s: float | None
    energy_j_per_image: float | None
    size_bytes: int
    frozen_images_per_class: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingImage:
    """An image for which the candidate predicts another label than the reference."""

    run: str
    entry: str
    index: int  # row in the dataset's test split
    label: int
    first: int  # predicted in the reference
    second: int  # predicted in the candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired:
    """A result of one run that other runs do not have."""

    run: str
    what: str
    missing_in: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Saved runs side by side; the first is the reference."""

    schema_version: int = COMPARISON_VERSION
    tlbench_version: str  # that compared them
    allow_unlike: bool
    runs: tuple[RunIdentity, ...]
    properties: tuple[RunProperty, ...]
    speed_ups: tuple[SpeedUp, ...] = ()
    accuracy: tuple[AccuracyDifference, ...] = ()
    training: tuple[TrainingCost, ...] = ()  # where one of the runs is of a trained network
    unpaired: tuple[Unpaired, ...] = ()
    notes: tuple[str, ...] = ()  # what the figures do not cover
