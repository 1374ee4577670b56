"""Percentiles and the interval of the median: only what the samples support."""

import random

import pytest

from tlbench.latency import summarise_median, summarise_percentiles


@pytest.mark.parametrize(
    ("n_samples", "supported"),
    [(10, []), (11, [0.5]), (63, [0.5]), (64, [0.5, 0.9]), (130, [0.5, 0.9, 0.95])],
)
def test_a_percentile_needs_enough_samples(n_samples, supported):
    found = summarise_percentiles([0.1] * n_samples)
    assert [p.fraction for p in found if p.value_s is not None] == supported
    assert [p.n_needed for p in found] == [11, 64, 130, 662]


def test_a_percentile_is_one_of_the_samples():
    """Nearest rank of 1 to 100 ms: no value is made up between two samples."""
    samples = [i / 1000 for i in range(1, 101)]
    random.Random(3).shuffle(samples)
    median, p90, *_ = summarise_percentiles(samples)
    assert (median.value_s, p90.value_s) == (0.050, 0.090)


def independent(n):
    generator = random.Random(5)
    return [0.01 * (1 + generator.random()) for _ in range(n)]


def test_too_few_samples_have_no_interval():
    """Five samples hold the median between them in 1 - 2 / 2**5 = 93.75 % of cases only."""
    assert summarise_median(independent(5)) is None


def test_the_interval_holds_the_median():
    samples = independent(64)
    interval = summarise_median(samples)
    assert interval.low < sorted(samples)[32] < interval.high


def test_slow_phases_widen_the_interval_and_the_method_says_so():
    """The same values in phases of ten tell less about the median than in random order."""
    samples = independent(200)
    phases = [0.01 * (1 + (i // 10) % 2) + sample for i, sample in enumerate(samples)]
    shuffled = random.Random(1).sample(phases, len(phases))
    wide, narrow = summarise_median(phases), summarise_median(shuffled)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert "effective samples" in wide.method
