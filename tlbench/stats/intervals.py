"""Confidence intervals of accuracies and of their differences."""

import math
from collections.abc import Sequence
from statistics import NormalDist, mean, stdev

from tlbench.core.errors import DataError
from tlbench.stats.quantiles import require_fraction

# Halvings of an interval of length 2: what is left is below the rounding of a fraction.
_HALVINGS = 60


def wilson_interval(n_correct: int, n_images: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of an accuracy measured on independent images.

    Score interval of Wilson (1927), doi:10.1080/01621459.1927.10502953. It keeps its coverage near
    0 and 1. It covers the choice of the test images, not that of the training images or the seed.

    Parameters
    ----------
    n_correct, n_images : int
        Number of correctly classified images, and of all images.
    confidence : float
        Two-sided coverage, a fraction in (0, 1).

    Returns
    -------
    tuple of float
        Low and high end, fractions in [0, 1].

    Raises
    ------
    DataError
        If there are no images, or more correct ones than images.
    """
    if n_images < 1 or not 0 <= n_correct <= n_images:
        raise DataError(
            f"No interval for {n_correct} correct of {n_images} images: there must be at least one "
            "image, and no more correct ones than images."
        )
    require_fraction(confidence, "confidence")
    # scipy.stats has it too, but takes a second to import, and a report must be there at once.
    accuracy, z = n_correct / n_images, NormalDist().inv_cdf(0.5 + confidence / 2)
    shrunk = z * z / n_images
    middle = (accuracy + shrunk / 2) / (1 + shrunk)
    spread = accuracy * (1 - accuracy) / n_images + shrunk / (4 * n_images)
    half = z * math.sqrt(spread) / (1 + shrunk)
    # Rounding must not push an end past the accuracy or the bounds.
    return max(0.0, min(middle - half, accuracy)), min(1.0, max(middle + half, accuracy))


def welch_interval(
    first: tuple[float, float, int], second: tuple[float, float, int], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the second mean minus the first, each (mean, deviation, n).

    Welch (1947), doi:10.1093/biomet/34.1-2.28, with the degrees of freedom of Satterthwaite (1946),
    doi:10.2307/3002019. Assumes independent values, which those of overlapping folds are not quite.
    """
    require_fraction(confidence, "confidence")
    for _, deviation, n in (first, second):
        if n < 2 or not deviation >= 0:  # noqa: PLR2004 - a deviation needs two values
            msg = f"No interval for a deviation of {deviation} over {n} values: need two or more."
            raise DataError(msg)
    difference = second[0] - first[0]
    variances = [deviation**2 / n for _, deviation, n in (first, second)]
    if sum(variances) == 0:
        return difference, difference
    freedom = sum(variances) ** 2 / sum(
        variance**2 / (n - 1)
        for variance, (_, _, n) in zip(variances, (first, second), strict=True)
    )
    half = _student_t(freedom, confidence) * math.sqrt(sum(variances))
    return difference - half, difference + half


def corrected_resampled_interval(
    accuracies: Sequence[float], test_to_train: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the confidence interval of the mean accuracy of a cross-validation.

    Corrected resampled t interval of Nadeau and Bengio (2003), doi:10.1023/A:1024068626366: folds
    share training images, so the mean's variance is (1 / k + test_to_train) s^2, not s^2 / k.
    """
    if len(accuracies) < 2:  # noqa: PLR2004 - one fold has no deviation
        raise DataError(f"No interval of a mean over {len(accuracies)} folds: need two or more.")
    if not all(0 <= accuracy <= 1 for accuracy in accuracies) or not test_to_train >= 0:
        raise DataError(
            "Accuracies must be fractions from 0 to 1, and the ratio of test to training images "
            f"must be at least 0, got {list(accuracies)} and {test_to_train}."
        )
    require_fraction(confidence, "confidence")
    k = len(accuracies)
    half = _student_t(k - 1, confidence) * math.sqrt(1 / k + test_to_train) * stdev(accuracies)
    centre = mean(accuracies)
    return max(0.0, centre - half), min(1.0, centre + half)


def _student_t(freedom: float, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def check_disagreements(only_first: int, only_second: int, n_images: int | None = None) -> None:
    """Raise DataError for counts that no two sets of predictions can have."""
    if min(only_first, only_second) < 0 or (
        n_images is not None and not max(1, only_first + only_second) <= n_images
    ):
        images = "" if n_images is None else f" of {n_images} images"
        raise DataError(
            f"No paired difference for {only_first} and {only_second} disagreements{images}: need "
            "at least one image, counts from 0, and no more disagreements than images."
        )


def paired_interval(
    only_first: int, only_second: int, n_images: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the confidence interval of the second accuracy minus the first, on the same images.

    Score interval of Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B:
    all differences d that a test with the variance estimated under d does not reject. Unlike Wald's
    it has a width if there are no disagreements, and keeps its coverage if there are few.

    Parameters
    ----------
    only_first, only_second, n_images : int
        Images that only the first, or only the second, classifies correctly; and all images.
    confidence : float
        Two-sided coverage, a fraction in (0, 1).

    Returns
    -------
    tuple of float
        Low and high end, fractions in [-1, 1].

    Raises
    ------
    DataError
        If there are no images, or more disagreements than images.
    """  # noqa: E501 - the identifier has no place to break
    check_disagreements(only_first, only_second, n_images)
    require_fraction(confidence, "confidence")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    # If the two are exchanged, the difference changes its sign.
    low = -_upper_end(only_first, only_second, n_images, z)
    return low, _upper_end(only_second, only_first, n_images, z)


def _upper_end(gained: int, lost: int, n: int, z: float) -> float:
    """Return the largest difference that the score test at *z* does not reject."""
    low, high = (gained - lost) / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The statistic falls as the assumed difference grows.
        if n * middle - (gained - lost) > z * _deviation(gained, lost, n, middle):
            high = middle
        else:
            low = middle
    return high


def _deviation(gained: int, lost: int, n: int, difference: float) -> float:
    """Return the standard deviation of gained - lost if the true difference is *difference*.

    With q the likeliest rate of losses under that difference, the positive root of
    2n q² + ((2n - gained + lost) d - gained - lost) q - lost d (1 - d) = 0.
    """
    linear = (2 * n - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear * linear - 8 * n * constant))
    # Of the two forms of the root, the one that does not subtract nearly equal numbers.
    rate = (root - linear) / (4 * n) if linear <= 0 else -2 * constant / (linear + root)
    return math.sqrt(max(0.0, n * (2 * rate + difference * (1 - difference))))
