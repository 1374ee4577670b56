"""The record of a comparison of saved runs: every figure that its report shows.

Times are seconds, accuracies are fractions in [0, 1], energies joules. A speed-up is (time of the
reference) / (time of the other run): above 1 the other run is faster.
"""

from dataclasses import dataclass
from typing import Any

from tlbench.records.accuracy import PairedDifference
from tlbench.records.common import Interval
from tlbench.records.schema import document_schema

COMPARISON_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """One of the runs: ``letter`` is what the rest of the record calls it, A for the reference.

    ``label`` is the candidate that was chosen of a run in which several took turns.
    """

    letter: str
    id: str
    created_at: str  # ISO 8601, UTC
    tlbench_version: str  # that measured it
    model: str
    label: str | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProperty:
    """A fact of machine or settings, one value a run in the order of the runs."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs are not all alike in it."""
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A property in which two results must be alike to be compared, and are not."""

    name: str
    reference: str
    other: str

    def __str__(self) -> str:
        """Return ``precision fp32 against fp16``."""
        return f"{self.name} {self.reference} against {self.other}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedTiming:
    """One run's side of a speed-up.

    Attributes
    ----------
    per_image_s : float
        Median of a call divided by its images.
    median_interval : Interval or None
        Of the median of a call, seconds, at the confidence that a speed-up needs; None where there
        are too few samples, or where they depend on one another through a queue.
    images_per_s : float or None
        None in the scenario ``server``, where a sample includes the wait in the queue.
    energy_note : str or None
        What the energy counts, or why there is none.
    """

    run: str
    scenario: str
    batch_size: int
    boundary: str
    precision: str
    provider: str
    threads: int
    label: str | None
    n_samples: int
    per_image_s: float
    median_interval: Interval | None
    images_per_s: float | None
    energy_j_per_image: float | None
    energy_note: str | None
    verdict: str | None  # None: not judged
    reasons: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedUp:
    """Time of the reference over that of the other run, an image.

    ``interval`` covers the noise of sampling within each run and nothing else: the runs were not
    interleaved. ``energy_ratio`` is joules of the reference over joules of the other, None unless
    both were measured. ``unlike`` is what should be alike and is not.
    """

    reference: ComparedTiming
    other: ComparedTiming
    speed_up: float
    interval: Interval | None
    energy_ratio: float | None
    unlike: tuple[Mismatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedAccuracy:
    """One run's side of a difference of accuracies."""

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
        """The features, as the predictions are named: ``backbone`` or ``backbone-fp32``."""
        return f"{self.features}-{self.fitted_on}" if self.fitted_on else self.features


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyDifference:
    """Accuracy of the other run less that of the reference.

    Attributes
    ----------
    intervals_overlap : bool
        Where nothing is paired: there is no clear difference.
    paired : PairedDifference or None
        Image by image, where both runs saved their predictions of the same images.
    n_differing : int or None
        Images for which the two predict different labels, both of them wrong included.
    not_paired : str or None
        Why there is no paired difference.
    """

    reference: ComparedAccuracy
    other: ComparedAccuracy
    difference_fraction: float
    intervals_overlap: bool
    unlike: tuple[Mismatch, ...] = ()
    paired: PairedDifference | None = None
    n_differing: int | None = None
    not_paired: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingImage:
    """An image for which the run predicts another label than the reference."""

    run: str
    entry: str
    index: int  # row in the dataset's test split
    label: int
    first: int  # predicted in the reference
    second: int  # predicted in the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired:
    """A result of one run without a partner in others."""

    run: str
    what: str
    missing_in: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs side by side; the first is the reference."""

    schema_version: int = COMPARISON_VERSION
    tlbench_version: str  # that compared them
    allow_unlike: bool
    runs: tuple[RunIdentity, ...]
    properties: tuple[RunProperty, ...]
    speed_ups: tuple[SpeedUp, ...] = ()
    accuracy: tuple[AccuracyDifference, ...] = ()
    unpaired: tuple[Unpaired, ...] = ()
    notes: tuple[str, ...] = ()  # what the figures do not cover


def comparison_schema() -> dict[str, Any]:
    """Return the JSON Schema of a comparison, as published in the documentation."""
    return document_schema(Comparison, COMPARISON_VERSION)
