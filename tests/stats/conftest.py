"""Synthetic latencies whose true median is known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm


@dataclass(frozen=True)
class Shape:
    """A distribution of latencies: how to draw from it, and its median."""

    draw: Callable
    median: float


def _lognormal(sigma):
    return Shape(lambda rng, size: rng.lognormal(0, sigma, size), 1.0)


def _bimodal(slow_fraction):
    """Modes at 1.0 and 1.6, each with a spread of 5 %."""

    def draw(rng, size):
        modes = np.where(rng.random(size) < slow_fraction, 1.6, 1.0)
        return modes * rng.lognormal(0, 0.05, size)

    def excess(x):
        fast, slow = (norm.cdf(np.log(x / mode) / 0.05) for mode in (1.0, 1.6))
        return (1 - slow_fraction) * fast + slow_fraction * slow - 0.5

    return Shape(draw, brentq(excess, 0.8, 1.8))


_SHAPES = {
    "lognormal-0.05": _lognormal(0.05),
    "lognormal-0.15": _lognormal(0.15),
    "lognormal-0.5": _lognormal(0.5),
    "bimodal-70-30": _bimodal(0.3),
    "bimodal-50-50": _bimodal(0.5),
    # infinite variance: P(X > x) = x**-1.5
    "heavy-tailed": Shape(lambda rng, size: 1 + rng.pareto(1.5, size), 2 ** (1 / 1.5)),
}


@pytest.fixture(scope="session")
def shapes():
    """Distributions by name."""
    return _SHAPES


@pytest.fixture(scope="session")
def autoregressive():
    """Return a function that draws AR(1) log latencies with median 1, sigma 0.1."""

    def draw(rng, phi, n_runs, n_samples):
        logs = rng.normal(size=(n_runs, n_samples))
        logs[:, 1:] *= np.sqrt(1 - phi**2)
        for i in range(1, n_samples):
            logs[:, i] += phi * logs[:, i - 1]
        return np.exp(0.1 * logs)

    return draw
