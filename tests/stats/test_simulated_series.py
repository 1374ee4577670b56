"""How often drift and autocorrelation are detected, rightly and wrongly; printed with ``-s``."""

import numpy as np
import pytest

from tlbench.stats import autocorrelation, trend

N_RUNS = 1000
N_SAMPLES = 300

DRIFTS = {
    "linear +20 %": np.linspace(1, 1.2, N_SAMPLES),
    "step +15 % at 1/2": np.where(np.arange(N_SAMPLES) < N_SAMPLES // 2, 1, 1.15),
    "step +15 % at 1/3": np.where(np.arange(N_SAMPLES) < N_SAMPLES // 3, 1, 1.15),
}


def _share(function, runs):
    """Return the fraction of runs in which *function* detects what it looks for."""
    return np.mean([function(run).detected for run in runs])


def _slow_periods(rng, *, enter, leave, slowdown):
    """Return runs of a two-state Markov chain with noise of 10 %."""
    draws = rng.random((N_RUNS, N_SAMPLES))
    slow = np.empty(draws.shape, dtype=bool)
    slow[:, 0] = draws[:, 0] < enter / (enter + leave)
    for i in range(1, N_SAMPLES):
        slow[:, i] = np.where(slow[:, i - 1], draws[:, i] >= leave, draws[:, i] < enter)
    return np.where(slow, slowdown, 1.0) * rng.lognormal(0, 0.1, draws.shape)


@pytest.mark.parametrize("sigma", [0.05, 0.10, 0.15])
@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_is_detected(drift, sigma):
    """In at least 95 % of runs of 300 samples."""
    noise = np.random.default_rng(0).lognormal(0, sigma, (N_RUNS, N_SAMPLES))
    found = _share(trend, noise * DRIFTS[drift])
    print(f"\n| trend | {drift} | {sigma} | {found:.1%} |")
    assert found >= 0.95


@pytest.mark.parametrize("phi", [0.5, 0.8])
def test_autoregression_is_detected(autoregressive, phi):
    """In at least 95 % of runs, and seldom taken for a trend."""
    runs = autoregressive(np.random.default_rng(0), phi, N_RUNS, N_SAMPLES)
    found, mistaken = _share(autocorrelation, runs), _share(trend, runs)
    print(f"\n| AR(1) {phi} | {found:.1%} | trend: {mistaken:.1%} |")
    assert found >= 0.95
    # four times the 0.5 % that was seen at phi 0.8, where 37 effective samples remain of 300
    assert mistaken <= 0.02


@pytest.mark.parametrize(
    ("enter", "leave", "slowdown", "least"),
    [
        pytest.param(0.05, 0.2, 1.5, 0.95, id="5 samples, 20 % of the time"),
        pytest.param(0.05, 0.05, 1.3, 0.95, id="20 samples, half of the time"),
        # A run has six of these periods: ranks of the quiet rest drown the two that are too short.
        pytest.param(0.02, 0.1, 1.5, 0.80, id="10 samples, 17 % of the time"),
    ],
)
def test_slow_periods_are_detected(enter, leave, slowdown, least):
    """A chain that is slow for 1 / leave samples on average."""
    rng = np.random.default_rng(0)
    runs = _slow_periods(rng, enter=enter, leave=leave, slowdown=slowdown)
    found, mistaken = _share(autocorrelation, runs), _share(trend, runs)
    print(f"\n| {enter} {leave} {slowdown} | {found:.1%} | trend: {mistaken:.1%} |")
    assert found >= least


@pytest.mark.parametrize("n", [20, 64, 300])
@pytest.mark.parametrize(
    "shape", ["lognormal-0.05", "lognormal-0.5", "bimodal-70-30", "heavy-tailed"]
)
def test_independent_samples_raise_few_alarms(shapes, shape, n):
    """At most 1 % of runs each: 0.5 % expected for autocorrelation, under 0.1 % for a trend."""
    runs = shapes[shape].draw(np.random.default_rng(n), (2 * N_RUNS, n))
    drifting, dependent = _share(trend, runs), _share(autocorrelation, runs)
    print(f"\n| {shape} | {n} | trend: {drifting:.2%} | autocorrelation: {dependent:.2%} |")
    assert drifting <= 0.01
    assert dependent <= 0.01


def test_the_score_of_independent_samples_is_at_most_a_standard_normal():
    """|z| exceeds 1.96 in 5 % of runs or slightly fewer, since the inflation only takes away."""
    runs = np.random.default_rng(0).lognormal(0, 0.1, (2 * N_RUNS, N_SAMPLES))
    share = np.mean([abs(trend(run).z) > 1.96 for run in runs])
    # standard error 0.5 points
    assert 0.03 <= share <= 0.06
