"""Interval of a mean over resamples that share their training images."""

import math
from collections.abc import Sequence
from statistics import mean, stdev

from tlbench.core.errors import DataError
from tlbench.stats.samples import require_fraction


def corrected_resampled_interval(
    accuracies: Sequence[float], test_to_train: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of the mean accuracy of a cross-validation.

    Parameters
    ----------
    accuracies : sequence of float
        Accuracy of each fold, two or more, fractions in [0, 1].
    test_to_train : float
        Test images by training images of a fold: 1 / (k - 1) for k folds.
    confidence : float
        Two-sided coverage, a fraction in (0, 1).

    Returns
    -------
    tuple of float
        Low and high end, fractions in [0, 1].

    Raises
    ------
    DataError
        If there are fewer than two folds, or one has no accuracy from 0 to 1.
    ConfigError
        If the confidence is not strictly between 0 and 1.

    Notes
    -----
    Corrected resampled t interval of Nadeau and Bengio (2003), *Inference for the Generalization
    Error*, doi:10.1023/A:1024068626366: the variance of the mean of k accuracies is taken to be
    (1 / k + test_to_train) s^2 and not s^2 / k, for folds share training images and their
    accuracies are alike. There are k - 1 degrees of freedom. docs/statistics.md has its coverage.
    """
    if len(accuracies) < 2:  # noqa: PLR2004 - one fold has no deviation
        raise DataError(f"No interval of a mean over {len(accuracies)} folds: need two or more.")
    if not all(0 <= accuracy <= 1 for accuracy in accuracies) or not test_to_train >= 0:
        msg = (
            "Accuracies are fractions from 0 to 1 and a ratio of images is not negative, found "
            f"{list(accuracies)} and {test_to_train}."
        )
        raise DataError(msg)
    require_fraction(confidence, "A confidence")
    from scipy.special import stdtrit  # comes with scikit-learn

    k = len(accuracies)
    t = float(stdtrit(k - 1, (1 + confidence) / 2))
    half = t * math.sqrt(1 / k + test_to_train) * stdev(accuracies)
    centre = mean(accuracies)
    return max(0.0, centre - half), min(1.0, centre + half)
