"""The data of figures about time: slow phases, halves, and what a figure says of them."""

import dataclasses

import pytest

from tlbench.reports.timing_figures import halves, running_medians, slow_phases, timing_figure


def _phases(samples):
    return slow_phases(samples, running_medians(samples, 9))


def test_a_steady_run_has_no_slow_phase():
    """Nor has one with single slow calls, which are the tail of the distribution."""
    assert _phases([1.0] * 100) == []
    assert _phases([1.0, 1.0, 1.0, 5.0] * 25) == []


def test_a_stretch_of_slow_calls_is_a_slow_phase():
    """Found to within half a window."""
    samples = [1.0] * 60 + [1.5] * 20 + [1.0] * 60
    ((start, end),) = _phases(samples)
    assert abs(start - 60) <= 4
    assert abs(end - 79) <= 4


def test_two_stretches_are_two_phases():
    samples = [1.0] * 60 + [1.5] * 20 + [1.0] * 40 + [2.0] * 20 + [1.0] * 60
    assert len(_phases(samples)) == 2


def test_a_few_samples_have_no_phases():
    assert _phases([1.0, 2.0, 3.0]) == []


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [
        (1, ((0, 0), (0, 0))),
        (2, ((0, 0), (1, 1))),
        (5, ((0, 1), (2, 4))),
        (10, ((0, 4), (5, 9))),
    ],
)
def test_halves_cover_all_samples(n_samples, expected):
    assert halves(n_samples) == expected


def test_a_figure_tells_drift_and_phases(golden_run):
    samples = tuple([0.01] * 60 + [0.012] * 60)
    timing = dataclasses.replace(golden_run.latency[0], samples_s=samples)
    figure = timing_figure(timing, "single, batch 1")
    assert figure.halves_s == (0.01, 0.012)
    assert "second half against the first: +20.0 %" in figure.note
    assert "n = 120 calls of 1 image" in figure.note
    assert "no slow phase" in figure.note  # the second half is no exception but half of all


def test_a_timing_without_percentiles_has_its_median(golden_run):
    """As of very few samples."""
    timing = dataclasses.replace(golden_run.latency[0], percentiles=(), median_interval=None)
    figure = timing_figure(timing, "single, batch 1")
    assert figure.marks == (("median", timing.median_s),)
    assert "no interval of the median" in figure.note
