"""Intervals of the median cover it as often as they say: simulated, printed with ``pytest -s``."""

import numpy as np
import pytest

from tlbench.stats import autocorrelation, autocorrelation_time, quantile_interval

N_RUNS = 2000

# Standard error of a simulated coverage: sqrt(0.95 * 0.05 / 2000), or 0.5 points. The exact one
# for these numbers of samples is 95.0 to 95.7 %: 93 and 97 % are more than two of them away.
LEAST, MOST = 0.93, 0.97


def _coverage(runs, truth, *, fraction=0.5, inflation=None):
    """Return how often the interval holds the truth; *inflation* is a function of the run."""
    n_held = 0
    for run in runs:
        factor = inflation(run) if inflation else 1.0
        ends = quantile_interval(run, fraction, inflation=factor)
        n_held += ends is not None and ends[0] <= truth <= ends[1]
    return n_held / len(runs)


@pytest.mark.parametrize("n", [64, 130, 300, 1000])
@pytest.mark.parametrize(
    "shape", ["lognormal-0.05", "lognormal-0.15", "lognormal-0.5", "bimodal-70-30", "heavy-tailed"]
)
def test_the_interval_of_independent_samples_covers_the_median(shapes, shape, n):
    """In 93 to 97 % of runs, whatever the distribution."""
    rng = np.random.default_rng([n, list(shapes).index(shape)])
    coverage = _coverage(shapes[shape].draw(rng, (N_RUNS, n)), shapes[shape].median)
    print(f"\n| {shape} | {n} | {coverage:.1%} |")
    assert LEAST <= coverage <= MOST


@pytest.mark.parametrize(("fraction", "n"), [(0.9, 64), (0.9, 300), (0.95, 130), (0.99, 662)])
def test_the_interval_of_a_high_percentile_covers_it(fraction, n):
    """Uniform samples, whose quantile is the fraction. Few ranks make for a coarse coverage."""
    runs = np.random.default_rng(n).random((N_RUNS, n))
    coverage = _coverage(runs, fraction, fraction=fraction)
    print(f"\n| p{100 * fraction:g} | {n} | {coverage:.1%} |")
    # the last of the ranks adds up to 3 points to 95 %
    assert LEAST <= coverage <= 0.985


@pytest.mark.parametrize("n", [64, 300, 1000])
def test_inflating_independent_samples_costs_little(shapes, n):
    """An estimate that is never below 1 errs upwards: intervals are then a little too wide."""
    shape = shapes["lognormal-0.15"]
    runs = shape.draw(np.random.default_rng(n), (N_RUNS, n))
    coverage = _coverage(runs, shape.median, inflation=autocorrelation_time)
    print(f"\n| independent, inflated | {n} | {coverage:.1%} |")
    assert LEAST <= coverage <= 0.985


@pytest.mark.parametrize("n", [300, 1000])
@pytest.mark.parametrize("phi", [0.3, 0.5, 0.8])
def test_inflation_restores_the_coverage_that_autocorrelation_takes(autoregressive, phi, n):
    """AR(1) log latencies: at least 92 % with the inflation, at least 5 points fewer without."""
    runs = autoregressive(np.random.default_rng(n), phi, N_RUNS, n)
    plain = _coverage(runs, 1.0)
    inflated = _coverage(runs, 1.0, inflation=lambda run: autocorrelation(run).inflation)
    print(f"\n| {phi} | {n} | {plain:.1%} | {inflated:.1%} |")
    assert inflated >= 0.92
    assert plain <= inflated - 0.05


def test_a_short_run_of_strong_autocorrelation_is_not_restored(autoregressive):
    """At phi 0.9 in 130 samples, seven effective ones remain: a limit that the page states."""
    runs = autoregressive(np.random.default_rng(0), 0.9, N_RUNS, 130)
    inflated = _coverage(runs, 1.0, inflation=autocorrelation_time)
    print(f"\n| 0.9 | 130 | {_coverage(runs, 1.0):.1%} | {inflated:.1%} |")
    assert 0.75 <= inflated <= 0.9
