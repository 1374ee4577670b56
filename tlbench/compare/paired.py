"""Two runs image by image: who is right where the other is wrong."""

from dataclasses import dataclass

import numpy as np

from tlbench.compare.compared_run import ComparedRun
from tlbench.core.arrays import LabelArray
from tlbench.records import (
    AccuracyResult,
    DifferingImage,
    Interval,
    PairedDifference,
    Predictions,
    check_predictions,
    entry_name,
    read_predictions,
)
from tlbench.stats import mcnemar_p, paired_interval

_CONFIDENCE = 0.95


def paired_difference(
    labels: LabelArray, first: LabelArray, second: LabelArray
) -> PairedDifference:
    """Return how much more accurate *second* is, on the same images.

    Parameters
    ----------
    labels, first, second : ndarray of shape (n_images,), int64
        True labels, and the two predictions; image i is the same in all.

    Raises
    ------
    DataError
        If there are no images.

    Notes
    -----
    Interval and test are those of `tlbench.stats.paired_interval` and `tlbench.stats.mcnemar_p`.
    They cover the choice of the test images, not that of the training images or the seed.
    """
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


def predictions_of(side: ComparedRun) -> Predictions | None:
    """Return the checked predictions of a run; None where they were not saved or not copied.

    Raises
    ------
    ResultError
        If they are damaged, or of another run.
    """
    if side.folder is None or not side.accuracy:
        return None
    found = read_predictions(side.folder)
    if found is not None:
        check_predictions(side.run, found)
    return found


def why_other_images(
    fingerprints: tuple[str, str], one: Predictions, two: Predictions
) -> str | None:
    """Return why two sets of predictions are not of the same images in the same order, or None.

    Parameters
    ----------
    fingerprints : tuple of str
        Of the two datasets.
    """
    if len(one.labels) != len(two.labels):
        return f"{len(one.labels)} test images against {len(two.labels)}"
    if fingerprints[0] != fingerprints[1]:
        return "the datasets have different fingerprints"
    if not np.array_equal(one.index, two.index):
        return "the predictions are of different rows of the test split"
    if not np.array_equal(one.labels, two.labels):
        return "the images have different labels"
    return None


@dataclass(frozen=True, slots=True, eq=False)
class PairedRuns:
    """The reference and another run, with their predictions if they are of the same images.

    Attributes
    ----------
    predictions : tuple of Predictions, or None
        Of the reference and the other.
    reason : str or None
        Why there are none.
    """

    predictions: tuple[Predictions, Predictions] | None
    reason: str | None

    @classmethod
    def opened(
        cls, reference: ComparedRun, other: ComparedRun, letters: tuple[str, str]
    ) -> "PairedRuns":
        """Read and check the predictions of two runs; *letters* name them in the reason."""
        found = predictions_of(reference), predictions_of(other)
        for letter, predictions in zip(letters, found, strict=True):
            if predictions is None:
                return cls(None, f"there is no predictions.npz beside the run.json of {letter}")
        one, two = found
        data = reference.run.dataset, other.run.dataset
        assert one is not None
        assert two is not None
        if data[0] is None or data[1] is None:
            return cls(None, "a run does not say what data it was measured on")
        reason = why_other_images((data[0].fingerprint, data[1].fingerprint), one, two)
        return cls(None if reason else (one, two), reason)

    def pair(self, result: AccuracyResult) -> tuple[PairedDifference, int] | None:
        """Return the paired difference of a result that both have, and how many images differ."""
        if self.predictions is None:
            return None
        one, two = self.predictions
        name = entry_name(result)
        first, second = one.entries[name], two.entries[name]
        differing = int(np.count_nonzero(first != second))
        return paired_difference(one.labels, first, second), differing

    def differing(self, result: AccuracyResult, run: str) -> list[DifferingImage]:
        """Return the images of a result for which the two predict different labels."""
        if self.predictions is None:
            return []
        one, two = self.predictions
        name = entry_name(result)
        first, second = one.entries[name], two.entries[name]
        return [
            DifferingImage(
                run=run,
                entry=name,
                index=int(one.index[row]),
                label=int(one.labels[row]),
                first=int(first[row]),
                second=int(second[row]),
            )
            for row in np.flatnonzero(first != second)
        ]
