"""Confidence intervals of proportions."""

import math
from statistics import NormalDist

from tlbench.core.errors import DataError
from tlbench.stats.samples import require_fraction


def wilson_interval(n_correct: int, n_images: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of an accuracy measured on independent images.

    Parameters
    ----------
    n_correct, n_images : int
        Images classified rightly, and all images.
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
    ConfigError
        If the confidence is not strictly between 0 and 1.

    Notes
    -----
    Score interval of Wilson (1927), doi:10.1080/01621459.1927.10502953. It stays inside [0, 1] and
    keeps its coverage near 0 and 1, where the normal approximation does not. It covers the choice
    of the test images only, not that of the training images or of the seed.
    """
    if n_images < 1 or not 0 <= n_correct <= n_images:
        msg = (
            f"No interval for {n_correct} correct of {n_images} images: need at least one image, "
            "and no more correct ones than images."
        )
        raise DataError(msg)
    require_fraction(confidence, "A confidence")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    fraction = n_correct / n_images
    shrink = 1 + z**2 / n_images
    centre = (fraction + z**2 / (2 * n_images)) / shrink
    half = z / shrink * math.sqrt(fraction * (1 - fraction) / n_images + z**2 / (4 * n_images**2))
    # At 0 and n correct one end is exact in theory; rounding must not push it past the accuracy.
    low = 0.0 if n_correct == 0 else max(0.0, centre - half)
    high = 1.0 if n_correct == n_images else min(1.0, centre + half)
    return low, high
