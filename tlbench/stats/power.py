"""What a test of a drop in accuracy can find: its power, and how many images it needs.

Fractions throughout: a drop of 0.03 is three points. The *disagreement* is the share of images that
one of two sets of predictions has right and the other wrong.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError
from tlbench.stats.paired import Alternative, check_disagreements, mcnemar_p
from tlbench.stats.samples import require_fraction

_Ints: TypeAlias = NDArray[np.int64]

# Binomial counts further than this many standard deviations out have a probability below 1e-15.
_REACH = 8.5
# Beyond so many images nobody collects; the answer is then "none".
_MOST_IMAGES = 10**8
# To a hundredth of a point, finer than anybody states a drop.
_DROP_STEP = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTest:
    """When a second set of predictions counts as worse than the first.

    Both must hold: McNemar's exact test is significant, and the observed drop is larger than what
    is held to be negligible. An improvement is never rejected, whatever the alternative.

    Attributes
    ----------
    alpha : float
        Significance, in (0, 1).
    alternative : {"two-sided", "drop"}
        "two-sided" spends half of alpha on improvements.
    negligible_fraction : float
        MachineSamples drops up to this are passed even if significant, in [0, 1).
    """

    alpha: float = 0.01
    alternative: Alternative = "drop"
    negligible_fraction: float = 0.0

    def __post_init__(self) -> None:
        require_fraction(self.alpha, "A significance")
        if not 0 <= self.negligible_fraction < 1:
            msg = (
                f"A negligible drop is a fraction from 0 to below 1, not "
                f"{self.negligible_fraction}."
            )
            raise ConfigError(msg)

    def rejects(self, only_first: int, only_second: int, n_images: int) -> bool:
        """Tell whether the second set of predictions is found to be worse."""
        check_disagreements(only_first, only_second, n_images)
        lost = only_first - only_second
        if lost <= 0 or lost <= _negligible_images(self.negligible_fraction, n_images):
            return False
        return mcnemar_p(only_first, only_second, alternative=self.alternative) <= self.alpha

    @property
    def tail(self) -> float:
        """Probability that may be spent on the side of a drop."""
        return self.alpha / 2 if self.alternative == "two-sided" else self.alpha


def _negligible_images(fraction: float, n_images: int) -> float:
    # The tolerance undoes rounding: 0.005 of 1,000 images are 5, and 5 lost ones are not more.
    return fraction * n_images + 1e-9


def drop_power(test: DropTest, n_images: int, disagreement: float, drop: float) -> float:
    """Probability that the test finds a true drop.

    Parameters
    ----------
    test : DropTest
    n_images : int
        At least 1.
    disagreement : float
        True share of images on which only one of the two is right, at least *drop*, at most 1.
    drop : float
        True loss of accuracy, from 0.

    Returns
    -------
    float
        At a drop of 0 the rate of false alarms.

    Raises
    ------
    ConfigError
        If no two sets of predictions can have this drop and disagreement.

    Notes
    -----
    Exact: the number of disagreements D is binomial(n_images, disagreement); of these the first
    wins binomial(D, (1 + drop / disagreement) / 2). Summed over all D within 8.5 standard
    deviations. That is the unconditional power of the conditional test: Duffy (1984),
    doi:10.2307/2531151.
    """
    if n_images < 1 or not 0 <= drop <= disagreement <= 1:
        msg = (
            f"No power for {n_images} images, disagreement {disagreement}, drop {drop}: need at "
            "least one image and 0 <= drop <= disagreement <= 1."
        )
        raise ConfigError(msg)
    if disagreement == 0:
        return 0.0
    mean, deviation = n_images * disagreement, math.sqrt(n_images * disagreement)
    first = max(0, math.floor(mean - _REACH * deviation - 10))
    last = min(n_images, math.ceil(mean + _REACH * deviation + 10))
    counts = np.arange(first, last + 1)
    wins = np.maximum(
        _critical(counts, test.tail),
        # the smallest number of wins whose surplus is above the negligible one
        np.floor((counts + _negligible_images(test.negligible_fraction, n_images)) / 2 + 1),
    ).astype(np.int64)
    share = (1 + drop / disagreement) / 2
    found = np.where(wins <= counts, _tails(wins, counts, share), 0.0)
    return min(1.0, float(_chances(counts, n_images, disagreement) @ found))


def _critical(counts: _Ints, tail: float) -> _Ints:
    """Return for each D the smallest k with P(X >= k) <= tail, X binomial(D, 1/2)."""
    z = NormalDist().inv_cdf(1 - tail)
    # Below the answer for sure; then upwards, together, until none is too likely.
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


def _chances(counts: _Ints, n: int, rate: float) -> NDArray[np.float64]:
    """Return P(X = count) for X binomial(n, rate)."""
    from scipy.special import gammaln, xlog1py, xlogy

    logs: Any = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
    chances: NDArray[np.float64] = np.exp(logs + xlogy(counts, rate) + xlog1py(n - counts, -rate))
    return chances


def smallest_drop(
    test: DropTest, n_images: int, disagreement: float, *, power: float = 0.95
) -> float | None:
    """Smallest true drop that the test finds with at least this power.

    Parameters
    ----------
    disagreement : float
        Share of images on which only one of the two is right, in [0, 1]. A drop beyond it is taken
        to be all of the disagreement there is.

    Returns
    -------
    float or None
        To a hundredth of a point, rounded up; None if even the loss of every image would be missed.

    Raises
    ------
    ConfigError
        If a fraction is outside its bounds.
    """
    _check_search(disagreement, power)

    def found(steps: int) -> bool:
        drop = min(1.0, steps * _DROP_STEP)
        return drop_power(test, n_images, max(disagreement, drop), drop) >= power

    enough = round(1 / _DROP_STEP)
    if not found(enough):
        return None
    steps = _first(found, 0, enough)
    return min(1.0, round(steps * _DROP_STEP, 10))


def images_needed(
    test: DropTest, disagreement: float, drop: float, *, power: float = 0.95
) -> int | None:
    """Return about how many images the test needs to find a true drop with this power.

    Parameters
    ----------
    disagreement : float
        As for `smallest_drop`.
    drop : float
        In (0, 1].

    Returns
    -------
    int or None
        The power saws by a fraction of a point from one number of images to the next; this is a
        number that has it. None where no number of images would do: a drop that is no larger than
        what the test holds to be negligible, or above a hundred million images.

    Raises
    ------
    ConfigError
        If a fraction is outside its bounds.
    """
    _check_search(disagreement, power)
    if not 0 < drop <= 1:
        raise ConfigError(f"A drop to be found is a fraction above 0 and at most 1, not {drop}.")
    if drop <= test.negligible_fraction:
        return None
    at = max(disagreement, drop)

    def found(n_images: int) -> bool:
        return drop_power(test, n_images, at, drop) >= power

    enough = 1
    while not found(enough):
        enough *= 2
        if enough > _MOST_IMAGES:
            return None
    return _first(found, enough // 2, enough)


def _check_search(disagreement: float, power: float) -> None:
    require_fraction(power, "A power")
    if not 0 <= disagreement <= 1:
        raise ConfigError(f"A disagreement is a fraction from 0 to 1, not {disagreement}.")


def _first(found: Any, too_few: int, enough: int) -> int:  # noqa: ANN401 - int to bool
    """Return by halving the first number of which *found* is true."""
    while enough - too_few > 1:
        between = (too_few + enough) // 2
        if found(between):
            enough = between
        else:
            too_few = between
    return enough
