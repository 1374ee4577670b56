"""McNemar's test of a drop in accuracy, its power, and how many images it needs.

Fractions throughout: a drop of 0.03 is three points. The *disagreement* is the share of images that
only one of two sets of predictions has right.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError
from tlbench.stats.intervals import check_disagreements
from tlbench.stats.quantiles import binomial_pmf, first_number, require_fraction

Alternative = Literal["two-sided", "drop"]
_Ints: TypeAlias = NDArray[np.int64]

# Binomial counts further than this many standard deviations out have a probability below 1e-15.
_REACH = 8.5
# The search for a number of images ends here: no test set is larger.
_MOST_IMAGES = 10**8
# A hundredth of a point, finer than any stated drop.
_DROP_STEP = 1e-4


def mcnemar_p(
    only_first: int, only_second: int, *, alternative: Alternative = "two-sided"
) -> float:
    """Return the p-value of McNemar's exact test.

    If both are equally accurate, ``only_first`` is binomial(only_first + only_second, 1/2): McNemar
    (1947), doi:10.1007/BF02295996. The two-sided value is twice the smaller tail. It is the sign
    test, and for top-1 accuracy equal to the permutation test of the linear-probe literature.

    Parameters
    ----------
    only_first, only_second : int
        Images that only the first, or only the second, classifies correctly.
    alternative : {"two-sided", "drop"}
        "drop": the second is worse than the first.

    Returns
    -------
    float
        In (0, 1]; 1 without disagreements.

    Raises
    ------
    DataError
        If a count is negative.
    """
    check_disagreements(only_first, only_second)
    n = only_first + only_second
    if alternative == "drop":
        return _upper_tail(only_first, n)
    return min(1.0, 2 * _upper_tail(max(only_first, only_second), n))


def _upper_tail(k: int, n: int) -> float:
    """Return P(X >= k) for X binomial(n, 1/2)."""
    from scipy.special import betainc

    return float(betainc(k, n - k + 1, 0.5)) if k > 0 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTest:
    """When a second set of predictions is worse: a significant drop that is not negligible."""

    alpha: float = 0.01  # significance of McNemar's exact test
    alternative: Alternative = "drop"  # "two-sided" spends half of alpha on improvements
    negligible_fraction: float = 0.0  # observed drops up to this pass even if significant

    def __post_init__(self) -> None:
        require_fraction(self.alpha, "alpha")
        if not 0 <= self.negligible_fraction < 1:
            raise ConfigError(
                "negligible_fraction must be at least 0 and below 1, got "
                f"{self.negligible_fraction}."
            )

    def rejects(self, only_first: int, only_second: int, n_images: int) -> bool:
        """Return whether the second set of predictions is found to be worse."""
        check_disagreements(only_first, only_second, n_images)
        if only_first - only_second <= self.negligible_images(n_images):
            return False
        return mcnemar_p(only_first, only_second, alternative=self.alternative) <= self.alpha

    def negligible_images(self, n_images: int) -> float:
        """Return how many lost images are negligible, with a tolerance for rounding."""
        return self.negligible_fraction * n_images + 1e-9  # 5 are not more than 0.005 of 1,000

    @property
    def tail(self) -> float:
        """Probability that may be spent on the side of a drop."""
        return self.alpha / 2 if self.alternative == "two-sided" else self.alpha


def drop_power(test: DropTest, n_images: int, disagreement: float, drop: float) -> float:
    """Return the probability that the test finds a true drop.

    The unconditional power of the conditional test: Duffy (1984), doi:10.2307/2531151. D, the
    number of disagreements, and the wins of the first among these D are both binomial.
    """
    if n_images < 1 or not 0 <= drop <= disagreement <= 1:
        raise ConfigError(
            f"No power for {n_images} images, disagreement {disagreement}, drop {drop}: need at "
            "least one image and 0 <= drop <= disagreement <= 1."
        )
    if disagreement == 0:
        return 0.0
    mean, deviation = n_images * disagreement, math.sqrt(n_images * disagreement)
    first = max(0, math.floor(mean - _REACH * deviation - 10))
    last = min(n_images, math.ceil(mean + _REACH * deviation + 10))
    counts = np.arange(first, last + 1)
    wins = np.maximum(
        _critical(counts, test.tail),
        # the smallest number of wins whose surplus is above the negligible one
        np.floor((counts + test.negligible_images(n_images)) / 2 + 1),
    ).astype(np.int64)
    weights = binomial_pmf(counts, n_images, disagreement)
    return min(1.0, float(weights @ _tails(wins, counts, (1 + drop / disagreement) / 2)))


def _critical(counts: _Ints, tail: float) -> _Ints:
    """Return for each D the smallest k with P(X >= k) <= tail, X binomial(D, 1/2)."""
    z = NormalDist().inv_cdf(1 - tail)
    # Certainly below the answer; then upwards, together, until none is too likely.
    wins = np.maximum(np.floor(counts / 2 + z * np.sqrt(counts) / 2) - 3, counts // 2 + 1)
    found: _Ints = np.maximum(wins, 1).astype(np.int64)
    while True:
        too_likely = (found <= counts) & (_tails(found, counts, 0.5) > tail)
        if not too_likely.any():
            return found
        found = found + too_likely


def _tails(wins: _Ints, counts: _Ints, share: float) -> NDArray[np.float64]:
    """Return P(X >= wins) for X binomial(counts, share); 0 for more wins than counts."""
    from scipy.special import betainc

    inside = np.minimum(wins, np.maximum(counts, 1))
    values: NDArray[np.float64] = betainc(inside, np.maximum(counts, 1) - inside + 1, share)
    return np.where(wins <= counts, values, 0.0)


def smallest_drop(
    test: DropTest, n_images: int, disagreement: float, *, power: float = 0.95
) -> float | None:
    """Return the smallest drop, to a hundredth of a point, found with this power; None if none."""
    _check_search(disagreement, power)

    def found(steps: int) -> bool:
        drop = min(1.0, steps * _DROP_STEP)
        return drop_power(test, n_images, max(disagreement, drop), drop) >= power

    enough = round(1 / _DROP_STEP)
    if not found(enough):
        return None
    return min(1.0, round(first_number(found, 0, enough) * _DROP_STEP, 10))


def images_needed(
    test: DropTest, disagreement: float, drop: float, *, power: float = 0.95
) -> int | None:
    """Return about how many images the test needs; None for a negligible drop, or beyond 10^8."""
    _check_search(disagreement, power)
    if not 0 < drop <= 1:
        raise ConfigError(f"drop must be above 0 and at most 1, got {drop}.")
    if drop <= test.negligible_fraction:
        return None

    def found(n_images: int) -> bool:
        return drop_power(test, n_images, max(disagreement, drop), drop) >= power

    enough = 1
    while not found(enough):
        enough *= 2
        if enough > _MOST_IMAGES:
            return None
    return first_number(found, enough // 2, enough)


def _check_search(disagreement: float, power: float) -> None:
    require_fraction(power, "power")
    if not 0 <= disagreement <= 1:
        raise ConfigError(f"disagreement must be from 0 to 1, got {disagreement}.")
