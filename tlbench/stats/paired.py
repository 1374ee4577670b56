"""Two sets of predictions on the same images: McNemar's exact test, and Tango's interval.

Images that both have right, or both wrong, say nothing of which is better. What counts are the
*disagreements*: ``only_first`` images that the first alone has right, ``only_second`` those that
the second alone has right.
"""

import math
from statistics import NormalDist
from typing import Literal

from tlbench.core.errors import DataError
from tlbench.stats.samples import require_fraction

Alternative = Literal["two-sided", "drop"]

# Halvings of an interval of length 2: what is left is below the rounding of a fraction.
_HALVINGS = 60


def check_disagreements(only_first: int, only_second: int, n_images: int | None = None) -> None:
    """Refuse counts that no two sets of predictions can have.

    Raises
    ------
    DataError
        If a count is negative, if there are no images, or more disagreements than images.
    """
    if min(only_first, only_second) < 0 or (
        n_images is not None and not max(1, only_first + only_second) <= n_images
    ):
        images = "" if n_images is None else f" of {n_images} images"
        msg = (
            f"No paired difference for {only_first} and {only_second} disagreements{images}: need "
            "at least one image, counts from 0, and no more disagreements than images."
        )
        raise DataError(msg)


def mcnemar_p(
    only_first: int, only_second: int, *, alternative: Alternative = "two-sided"
) -> float:
    """Return the p-value of McNemar's exact test.

    Parameters
    ----------
    only_first, only_second : int
        Images that only the first, or only the second, has right.
    alternative : {"two-sided", "drop"}
        "drop": that the second is worse than the first.

    Returns
    -------
    float
        In (0, 1]; 1 without disagreements.

    Raises
    ------
    DataError
        If a count is negative.

    Notes
    -----
    If both are equally accurate, each disagreement falls to either side with probability 1/2, so
    that ``only_first`` is binomial(only_first + only_second, 1/2): McNemar (1947),
    doi:10.1007/BF02295996, with the distribution counted exactly. The two-sided value is twice the
    smaller tail, at most 1. It is the sign test, and for top-1 accuracy equal to the permutation
    test that the linear-probe literature uses.
    """
    check_disagreements(only_first, only_second)
    n = only_first + only_second
    if alternative == "drop":
        return _upper_tail(only_first, n)
    return min(1.0, 2 * _upper_tail(max(only_first, only_second), n))


def _upper_tail(k: int, n: int) -> float:
    """Return P(X >= k) for X binomial(n, 1/2)."""
    if k <= 0:
        return 1.0
    from scipy.special import betainc

    # The regularised incomplete beta function is the binomial tail: no sum, no cancellation.
    return float(betainc(k, n - k + 1, 0.5))


def paired_interval(
    only_first: int, only_second: int, n_images: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of (accuracy of the second) - (accuracy of the first).

    Parameters
    ----------
    only_first, only_second : int
        Images that only the first, or only the second, has right.
    n_images : int
        All images, those without disagreement included.
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
    ConfigError
        If the confidence is not strictly between 0 and 1.

    Notes
    -----
    Score interval of Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B:
    all differences d that a test with the variance estimated under d does not reject. Its test of
    d = 0 is McNemar's without correction. Unlike Wald's it has a width where there are no
    disagreements, and keeps its coverage for few.
    """  # noqa: E501 - the identifier has no place to break
    check_disagreements(only_first, only_second, n_images)
    require_fraction(confidence, "A confidence")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    high = _upper_end(only_second, only_first, n_images, z)
    # Exchanged, the difference changes its sign.
    low = -_upper_end(only_first, only_second, n_images, z)
    return low, high


def _upper_end(gained: int, lost: int, n: int, z: float) -> float:
    """Return the largest difference that the score test at *z* does not reject."""
    estimate = (gained - lost) / n
    low, high = estimate, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The statistic falls as the assumed difference grows.
        if _excess(gained, lost, n, middle) > z * _deviation(gained, lost, n, middle):
            high = middle
        else:
            low = middle
    return high


def _excess(gained: int, lost: int, n: int, difference: float) -> float:
    return n * difference - (gained - lost)


def _deviation(gained: int, lost: int, n: int, difference: float) -> float:
    """Return the standard deviation of gained - lost if the true difference is *difference*.

    With q the likeliest rate of losses under that difference, the positive root of
    2n q² + ((2n - gained + lost) d - gained - lost) q - lost d (1 - d) = 0.
    """
    linear = (2 * n - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear * linear - 8 * n * constant))
    # Of the two forms of the root that which does not subtract nearly equal numbers.
    rate = (root - linear) / (4 * n) if linear <= 0 else -2 * constant / (linear + root)
    variance = n * (2 * rate + difference * (1 - difference))
    return math.sqrt(max(0.0, variance))
