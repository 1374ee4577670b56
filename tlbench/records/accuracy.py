"""Records of classifier heads: accuracy, and the counts behind every fraction."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tlbench.core.units import format_percent

OWN_CLASSIFIER = "classifier"  # the head of a network that tlbench trained: its own last layer
# The warning about results of which `AccuracyResult.from_store` is true.
FITTED_EARLIER = "heads fitted in an earlier run were not fitted again: fit times are from that run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float
    confidence_fraction: float = 0.95
    method: str

    def __iter__(self) -> Iterator[float]:
        """Yield both ends: ``low, high = interval``."""
        yield self.low
        yield self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """One class of the test split, in the order of the dataset's classes."""

    n_test: int  # images of the class
    n_correct: int  # of these, predicted as the class
    n_predicted: int  # images of any class that were predicted as this one

    @property
    def accuracy_fraction(self) -> float | None:
        """Share of the class's images that were found (recall); None without images."""
        return self.n_correct / self.n_test if self.n_test else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Further metrics of the predictions behind an accuracy."""

    macro_f1_fraction: float  # mean over the classes that have test images or were predicted
    top5_fraction: float | None = None  # None: no scores, or at most five classes in train
    calibration_error_fraction: float | None = None  # None: the head gives no probabilities
    calibration_bins: int | None = None  # of equal width in (0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedScore:
    """Accuracy of the group that the predicted class belongs to: coarse labels from fine ones."""

    grouping: str
    n_groups: int
    n_correct: int
    accuracy_fraction: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a parameter of a head was chosen on held-out training images, never on test images."""

    parameter: str
    values: tuple[float, ...]  # in the order tried
    n_correct: tuple[int, ...]  # on the validation images, for each value
    n_validation: int
    n_unconverged: int  # values for which the solver stopped early
    chosen: float
    at_edge: bool  # the best value is the first or last of the range
    elapsed_s: float  # all fits and predictions of the search, without the final fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass of a trained head over its training images."""

    loss: float
    accuracy_fraction: float
    validation_loss: float | None = None
    validation_accuracy_fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Two sets of predictions on the same images; the first is the reference."""

    n_images: int
    only_first_correct: int
    only_second_correct: int
    difference_fraction: float  # accuracy of the second minus that of the first
    interval: Interval  # of the difference
    p_value: float  # exact McNemar test, two-sided


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyResult:
    """Accuracy of one head on one feature set.

    Attributes
    ----------
    features : ``"backbone"``, or a feature baseline such as ``"pixels"`` (then *baseline* is True)
    params : every parameter of the head, defaults included
    accuracy_fraction : *n_correct* of *n_test* images, in [0, 1]
    fit_s, predict_s : seconds; *predict_s* for all test images together
    from_store : fitted in an earlier run; the times are that run's
    notes : for example, that the solver did not converge
    fitted_on : precision of the features that the head was fitted on, where it differs from that
        of the features it was tested on: ``"fp32"`` for a head that meets a converted backbone
    curve : of heads that are trained in epochs
    to_backbone : of a baseline: what the backbone gains over it with the same head
    """

    features: str
    head: str
    params: dict[str, Any]
    n_train: int
    n_test: int
    n_correct: int
    accuracy_fraction: float
    interval: Interval
    fit_s: float
    predict_s: float
    baseline: bool
    from_store: bool = False
    notes: tuple[str, ...] = ()
    fitted_on: str | None = None
    metrics: Metrics | None = None
    per_class: tuple[ClassScore, ...] = ()
    grouped: tuple[GroupedScore, ...] = ()
    search: Search | None = None
    curve: tuple[Epoch, ...] = ()
    to_backbone: PairedDifference | None = None

    def __repr__(self) -> str:
        low, high = map(format_percent, self.interval)
        return (
            f"AccuracyResult({self.head} on {self.features}: "
            f"{format_percent(self.accuracy_fraction)}, {low} to {high}, n = {self.n_test:,})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold of a cross-validation."""

    n_train: int
    n_test: int
    n_correct: int
    fit_s: float
    search: Search | None = None  # on this fold's training images


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """Stratified k-fold cross-validation of one head over all images, train and test together."""

    features: str
    head: str
    params: dict[str, Any]  # without a searched parameter: each fold has its own
    seed: int
    folds: tuple[Fold, ...]
    mean_fraction: float  # of the folds' accuracies
    deviation_fraction: float  # their standard deviation with n - 1, as papers print it
    interval: Interval  # of the mean
    baseline: bool
    from_store: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningPoint:
    """Accuracy on the whole test split after training on so many images of each class."""

    images_per_class: int
    seed: int  # which images those were
    n_train: int
    n_test: int
    n_correct: int
    search: Search | None = None  # on this point's training images


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Accuracy of one head against the number of training images, for several seeds."""

    features: str
    head: str
    params: dict[str, Any]  # without a searched parameter: each point has its own
    points: tuple[LearningPoint, ...]
    baseline: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """Difference of one model's features from a reference's, and of one head's accuracy on both."""

    label: str
    reference: str
    relative_error: float  # norm of the difference by norm of the reference, all test images
    smallest_cosine: float
    median_cosine: float
    head: str  # fitted on the reference features, for both accuracies
    reference_fraction: float
    fraction: float
    paired: PairedDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """A published figure beside the one measured to reproduce it."""

    name: str
    published_fraction: float
    published_deviation_fraction: float | None = None
    measured_fraction: float | None = None  # None: not measured; the reasons say why
    measured_deviation_fraction: float | None = None  # of folds, with n - 1
    interval: Interval | None = None
    verdict: Literal["reproduced", "not reproduced", "not comparable"]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSpeed:
    """A published time per image, from low to high: for information, never judged."""

    name: str
    low_s: float
    high_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A published experiment that was repeated."""

    recipe: str
    row: str  # which of the recipe's runs
    title: str
    source: str
    protocol: str
    weights: str  # identity of the weights that were used
    figures: tuple[PublishedFigure, ...]
    speeds: tuple[PublishedSpeed, ...] = ()
    notes: tuple[str, ...] = ()
