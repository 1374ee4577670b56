"""How large a difference between two runs is, and how much of it may be noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from tlbench.compare.compared_run import ComparedRun, predictions_of
from tlbench.core.arrays import LabelArray
from tlbench.records import (
    AccuracyDifference,
    AccuracyResult,
    ComparedAccuracy,
    ComparedTiming,
    DifferingImage,
    Interval,
    LatencyResult,
    Mismatch,
    PairedDifference,
    Predictions,
    SpeedUp,
    TrainingCost,
    derive,
    entry_name,
)
from tlbench.stats import autocorrelation_time, mcnemar_p, paired_interval, quantile_interval

SPEED_UP_SCOPE = (
    "The interval of a speed-up covers the sampling noise within each run, with a confidence of at "
    "least 95 %. The runs were not interleaved, so it does not cover how machines of one kind, "
    "days or program starts differ. Repeat the runs to see that."
)
ACCURACY_SCOPE = (
    "The interval of an accuracy (Wilson, 95 %) covers the choice of the test images. Where two "
    "intervals overlap and predictions are not paired, there is no clear difference; no test is "
    "made."
)
PAIRED_SCOPE = (
    "On the same images: Tango's 95 % interval of the difference, and McNemar's exact two-sided "
    "test. They cover the choice of the test images, but not of the training images or the seed. "
    "Each head is tested by itself."
)
ENERGY_SCOPE = (
    "Energy has no interval, because a run reads the counter only before and after. The counters "
    "of different devices cover different parts of a machine."
)
TRAINING_SCOPE = (
    "The training time of frozen features is the extraction of the train images and the fit of the "
    "head; that of a network is all of its epochs, without validation. The time to an accuracy is "
    "read off the accuracy on the validation images after each epoch, which has noise of its own."
)

# Bonferroni: each median may be missed in 2.5 % of runs, so both hold together in at least 95 %,
# however the two depend on one another.
_CONFIDENCE = 0.95
_CONFIDENCE_EACH = 1 - (1 - _CONFIDENCE) / 2
_METHOD = (
    "order statistics of both medians at 97.5 %, combined after Bonferroni: sampling noise within "
    "each run only"
)


def median_interval(result: LatencyResult) -> Interval | None:
    """Return the interval of a median that a ratio needs; None for too few samples, or a queue."""
    if result.scenario == "server":
        return None
    inflation = autocorrelation_time(result.samples_s)
    each = _CONFIDENCE_EACH
    found = quantile_interval(result.samples_s, 0.5, confidence=each, inflation=inflation)
    if found is None:
        return None
    low, high = found
    return Interval(low=low, high=high, confidence_fraction=each, method="order statistics")


def ratio_interval(
    one: Interval | None, two: Interval | None, *, scale: float = 1
) -> Interval | None:
    """Return the interval of ``scale * one / two``, for two intervals of `median_interval`."""
    # Medians in [a, b] and [c, d] have a ratio in [a / d, b / c]: Bonferroni, as said above.
    if one is None or two is None:
        return None
    return Interval(
        low=scale * one.low / two.high,
        high=scale * one.high / two.low,
        confidence_fraction=one.confidence_fraction + two.confidence_fraction - 1,
        method=_METHOD,
    )


def compared_timing(result: LatencyResult, run: str) -> ComparedTiming:
    """Return a timing as a speed-up needs it; *run* is the run's letter."""
    return derive(
        ComparedTiming,
        result,
        run=run,
        n_samples=len(result.samples_s),
        per_image_s=median(result.samples_s) / result.batch_size,
        median_interval=median_interval(result),
        images_per_s=None if result.scenario == "server" else result.images_per_s,
    )


def speed_up(
    reference: ComparedTiming, candidate: ComparedTiming, mismatches: tuple[Mismatch, ...] = ()
) -> SpeedUp:
    """Return how many times as fast the candidate is, per image."""
    joules = reference.energy_j_per_image, candidate.energy_j_per_image
    return SpeedUp(
        reference=reference,
        other=candidate,
        speed_up=reference.per_image_s / candidate.per_image_s,
        interval=ratio_interval(
            reference.median_interval,
            candidate.median_interval,
            scale=candidate.batch_size / reference.batch_size,  # from calls to images
        ),
        # A counter that did not advance during a short timing reads 0.
        energy_ratio=joules[0] / joules[1] if joules[0] and joules[1] else None,
        mismatches=mismatches,
    )


def accuracy_difference(
    results: tuple[AccuracyResult, AccuracyResult],
    letters: tuple[str, str],
    mismatches: tuple[Mismatch, ...],
    paired: "PairedRuns",
) -> AccuracyDifference:
    """Return by how much the candidate is more accurate than the reference."""
    one, two = (
        derive(ComparedAccuracy, result, run=letter)
        for result, letter in zip(results, letters, strict=True)
    )
    difference = n_differing = None
    if paired.predictions is not None:
        labels, first, second = paired.entry(results[0])
        difference = paired_difference(labels, first, second)
        n_differing = int(np.count_nonzero(first != second))
    return AccuracyDifference(
        reference=one,
        other=two,
        difference_fraction=two.accuracy_fraction - one.accuracy_fraction,
        intervals_overlap=one.interval.low <= two.interval.high
        and two.interval.low <= one.interval.high,
        mismatches=mismatches,
        paired=difference,
        n_differing=n_differing,
        not_paired=paired.reason,
    )


def paired_difference(
    labels: LabelArray, first: LabelArray, second: LabelArray
) -> PairedDifference:
    """Return how much more accurate *second* is: true labels and predictions of the same images."""
    right, also = first == labels, second == labels
    only_first = int(np.count_nonzero(right & ~also))
    only_second = int(np.count_nonzero(also & ~right))
    low, high = paired_interval(only_first, only_second, len(labels), _CONFIDENCE)
    return PairedDifference(
        n_images=len(labels),
        only_first_correct=only_first,
        only_second_correct=only_second,
        difference_fraction=(only_second - only_first) / len(labels),
        interval=Interval(
            low=low, high=high, confidence_fraction=_CONFIDENCE, method="Tango's score interval"
        ),
        p_value=mcnemar_p(only_first, only_second),
    )


def _why_other_images(
    fingerprints: tuple[str, str], one: Predictions, two: Predictions
) -> str | None:
    """Return why predictions are not of the same images in the same order; None if they are."""
    if len(one.labels) != len(two.labels):
        return f"{len(one.labels)} test images against {len(two.labels)}"
    if fingerprints[0] != fingerprints[1]:
        return "the datasets have different fingerprints"
    if not np.array_equal(one.index, two.index):
        return "the predictions are for different rows of the test split"
    if not np.array_equal(one.labels, two.labels):
        return "the images have different labels"
    return None


@dataclass(frozen=True, slots=True, eq=False)
class PairedRuns:
    """The predictions of reference and candidate, or the reason why they cannot be paired."""

    predictions: tuple[Predictions, Predictions] | None
    reason: str | None

    @classmethod
    def opened(
        cls, reference: ComparedRun, candidate: ComparedRun, letters: tuple[str, str]
    ) -> "PairedRuns":
        """Read and check the predictions of two runs, which the reason calls by their letters."""
        one, two = predictions_of(reference), predictions_of(candidate)
        if one is None or two is None:
            letter = letters[0] if one is None else letters[1]
            return cls(None, f"there is no predictions.npz beside the run.json of {letter}")
        first, second = reference.run.dataset, candidate.run.dataset
        if first is None or second is None:
            return cls(None, "a run does not say what data it was measured on")
        reason = _why_other_images((first.fingerprint, second.fingerprint), one, two)
        return cls(None if reason else (one, two), reason)

    def entry(self, result: AccuracyResult) -> tuple[LabelArray, LabelArray, LabelArray]:
        """Return true labels and both predictions of a common result."""
        assert self.predictions is not None
        one, two = self.predictions
        name = entry_name(result)
        return one.labels, one.entries[name], two.entries[name]

    def differing(self, result: AccuracyResult, run: str) -> list[DifferingImage]:
        """Return the images of a common result for which the two predict different labels."""
        if self.predictions is None:
            return []
        labels, first, second = self.entry(result)
        return [
            DifferingImage(
                run=run,
                entry=entry_name(result),
                index=int(self.predictions[0].index[row]),
                label=int(labels[row]),
                first=int(first[row]),
                second=int(second[row]),
            )
            for row in np.flatnonzero(first != second)
        ]


def scope_notes(
    runs: Sequence[ComparedRun],
    speed_ups: Sequence[SpeedUp],
    accuracy: Sequence[AccuracyDifference],
    training: Sequence[TrainingCost],
) -> list[str]:
    """Return what the figures of a comparison cover, and what they do not."""
    notes = []
    if speed_ups:
        notes.append(SPEED_UP_SCOPE)
    if any(pair.interval is None for pair in speed_ups):
        notes.append(
            "n/a: there are too few independent samples for an interval, or the samples depend on "
            "one another through a queue."
        )
    if any(one.verdict is None for pair in speed_ups for one in (pair.reference, pair.other)):
        notes.append("unjudged: the timing was saved without a check of its validity.")
    if any(pair.energy_ratio is not None for pair in speed_ups):
        notes.append(ENERGY_SCOPE)
    if accuracy:
        notes.append(ACCURACY_SCOPE)
    if any(pair.paired for pair in accuracy) or any(one.paired for one in training):
        notes.append(PAIRED_SCOPE)
    if training:
        notes.append(TRAINING_SCOPE)
    reasons = dict.fromkeys(
        f"{pair.other.run}: {pair.not_paired}" for pair in accuracy if pair.not_paired
    )
    notes += [f"Not compared image by image with {reason}." for reason in reasons]
    if len({compared.run.id for compared in runs}) < len(runs):
        notes.append(
            "Models of one run were interleaved: prefer their own ratio, in `tlbench report`."
        )
    return notes
