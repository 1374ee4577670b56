"""Samples as arrays: what every statistic of a series checks and ranks first."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError

Series: TypeAlias = NDArray[np.float64]
"""One number for each call, shape (n_samples,), in the order measured."""


def require_fraction(value: float, what: str) -> None:
    """Refuse a *value* that is not strictly between 0 and 1; NaN is not either.

    Parameters
    ----------
    value : float
        What was given.
    what : str
        What it is, with its article, at the start of a sentence: "A percentile".

    Raises
    ------
    ConfigError
        If the value is 0 or less, 1 or more, or not a number.
    """
    if not 0 < value < 1:
        msg = f"{what} is a fraction between 0 and 1, not {value}."
        raise ConfigError(msg)


def checked_samples(samples: Sequence[float]) -> Series:
    """Return the samples as float64; refuse those of which no statistic can be made.

    Parameters
    ----------
    samples : sequence of float, shape (n_samples,)
        In any unit.

    Returns
    -------
    ndarray of shape (n_samples,), float64

    Raises
    ------
    ConfigError
        If there are none, if they are not one flat list, or if one is infinite or not a number.
    """
    series = np.asarray(samples, dtype=np.float64)
    if series.ndim != 1 or not series.size:
        msg = f"Samples are one list of at least one number; found shape {series.shape}."
        raise ConfigError(msg)
    unusable = np.flatnonzero(~np.isfinite(series))
    if unusable.size:
        first = unusable[0]
        msg = (
            f"{unusable.size} of {series.size} samples are not finite numbers; the first is "
            f"{series[first]} at position {first}. Leave failed calls out before the statistics."
        )
        raise ConfigError(msg)
    return series


def average_ranks(series: Series) -> Series:
    """Return the rank of each sample from 1; equal samples share the mean of their ranks.

    Parameters
    ----------
    series : ndarray of shape (n_samples,), float64

    Returns
    -------
    ndarray of shape (n_samples,), float64
        Sums to n (n + 1) / 2 whatever the ties.
    """
    _, group, sizes = np.unique(series, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    means: Series = last - (sizes - 1) / 2
    return means[group]
