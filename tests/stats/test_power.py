"""The power of a test of a drop: by counting every outcome, and what follows from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial

from tlbench.core.errors import ConfigError, DataError
from tlbench.stats import DropTest, drop_power, images_needed, smallest_drop

TESTS = {
    "one-sided": DropTest(alpha=0.01),
    "two-sided": DropTest(alpha=0.05, alternative="two-sided"),
    "margin": DropTest(alpha=0.05, negligible_fraction=0.1),
    # Of the tables below, some are significant and have 4 lost images more or fewer: not above it.
    "binding margin": DropTest(alpha=0.2, negligible_fraction=0.1),
    "one image": DropTest(alpha=0.5),  # a single lost image has p = 1/2
}


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS)
@pytest.mark.parametrize(
    ("disagreement", "drop"), [(0.5, 0.3), (0.2, 0.0), (0.2, 0.15), (0.9, 0.9), (1.0, 0.2)]
)
def test_power_is_the_probability_of_all_tables_that_are_rejected(test, disagreement, drop):
    """Summed over every table of 40 images, each judged by the test itself."""
    n = 40
    rates = [(disagreement + drop) / 2, (disagreement - drop) / 2, 1 - disagreement]
    expected = sum(
        multinomial.pmf([lost, gained, n - lost - gained], n, rates)
        for lost in range(n + 1)
        for gained in range(n + 1 - lost)
        if test.rejects(lost, gained, n)
    )
    # sums of a thousand probabilities in another order
    assert drop_power(test, n, disagreement, drop) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [1017, 20_000])
@pytest.mark.parametrize(("disagreement", "drop"), [(0.05, 0.03), (0.1, 0.03), (0.02, 0.0)])
def test_power_is_met_by_simulation(n, disagreement, drop):
    """20,000 tables of a fixed seed, each judged by the test itself."""
    test = TESTS["one-sided"]
    rng = np.random.default_rng(n)
    rates = [(disagreement + drop) / 2, (disagreement - drop) / 2, 1 - disagreement]
    tables = rng.multinomial(n, rates, 20_000)
    distinct, counts = np.unique(tables, axis=0, return_counts=True)
    found = [test.rejects(int(one), int(two), n) for one, two, _ in distinct]
    power = drop_power(test, n, disagreement, drop)
    # four standard errors
    tolerance = 4 * np.sqrt(max(1e-6, power * (1 - power)) / 20_000)
    assert np.array(found) @ counts / 20_000 == pytest.approx(power, abs=tolerance)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from(sorted(TESTS)))
def test_false_alarms_never_exceed_the_significance(n, disagreement, name):
    """Whatever the disagreement: the test is exact."""
    test = TESTS[name]
    assert drop_power(test, n, disagreement, 0.0) <= test.tail + 1e-12


def test_figures_of_the_decision():
    """The three figures that the default policy rests on, with the margin it has."""
    test = DropTest(alpha=0.01, negligible_fraction=0.005)
    assert drop_power(test, 1017, 0.05, 0.03) == pytest.approx(0.979, abs=0.001)
    assert drop_power(test, 1017, 0.1, 0.03) == pytest.approx(0.738, abs=0.001)
    assert images_needed(test, 0.1, 0.03) == 1774


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS)
@pytest.mark.parametrize("disagreement", [0.0, 0.026, 0.1])
def test_smallest_drop_is_found_and_a_smaller_one_is_not(test, disagreement):
    drop = smallest_drop(test, 1017, disagreement)
    assert drop_power(test, 1017, max(drop, disagreement), drop) >= 0.95
    less = drop - 1e-4
    assert drop_power(test, 1017, max(less, disagreement), less) < 0.95


def test_more_images_find_smaller_drops():
    drops = [smallest_drop(TESTS["one-sided"], n, 0.05) for n in (100, 1000, 10_000, 100_000)]
    assert drops == sorted(drops, reverse=True)
    assert len(set(drops)) == 4


def test_six_images_find_nothing():
    """All six lost has a probability of 1/64 by chance: more than 1 %."""
    assert smallest_drop(TESTS["one-sided"], 6, 0.1) is None
    assert smallest_drop(TESTS["one-sided"], 7, 0.1) is not None


@pytest.mark.parametrize(("disagreement", "drop"), [(0.05, 0.01), (0.1, 0.03), (0.0, 0.02)])
def test_images_needed_have_the_power_and_fewer_do_not(disagreement, drop):
    test = TESTS["one-sided"]
    n = images_needed(test, disagreement, drop)
    at = max(disagreement, drop)
    assert drop_power(test, n, at, drop) >= 0.95
    # power saws: clearly fewer, not one fewer
    assert drop_power(test, round(0.95 * n), at, drop) < 0.95


@pytest.mark.parametrize("drop", [0.1, 0.05])
def test_no_number_of_images_finds_what_is_negligible(drop):
    assert images_needed(TESTS["margin"], 0.2, drop) is None


def test_a_drop_that_takes_too_many_images_has_none():
    """The search ends."""
    assert images_needed(TESTS["one-sided"], 0.5, 1e-5) is None


@pytest.mark.parametrize(
    ("counts", "rejected"),
    [((7, 0, 50), True), ((6, 0, 50), False), ((0, 50, 50), False), ((0, 0, 50), False)],
)
def test_decision_by_hand(counts, rejected):
    """(1/2)^7 is below 1 %, (1/2)^6 is not; an improvement is no drop."""
    assert TESTS["one-sided"].rejects(*counts) is rejected


def test_a_negligible_drop_passes_however_significant():
    """Five of 1,000 images are half a point; six are more."""
    test = DropTest(alpha=0.05, negligible_fraction=0.005)
    assert not test.rejects(5, 0, 1000)
    assert test.rejects(6, 0, 1000)


REFUSED = [
    (lambda: DropTest(alpha=0), "alpha must be between 0 and 1, got 0."),
    (lambda: DropTest(alpha=1), "alpha must be between 0 and 1, got 1."),
    (
        lambda: DropTest(negligible_fraction=-0.1),
        "negligible_fraction must be at least 0 and below 1, got -0.1.",
    ),
    (
        lambda: DropTest(negligible_fraction=1),
        "negligible_fraction must be at least 0 and below 1, got 1.",
    ),
    (
        lambda: DropTest(negligible_fraction=float("nan")),
        "negligible_fraction must be at least 0 and below 1, got nan.",
    ),
    (
        lambda: drop_power(DropTest(), 0, 0.1, 0.1),
        (
            "No power for 0 images, disagreement 0.1, drop 0.1: need at least one image and "
            "0 <= drop <= disagreement <= 1."
        ),
    ),
    (
        lambda: drop_power(DropTest(), 10, 0.1, 0.2),
        (
            "No power for 10 images, disagreement 0.1, drop 0.2: need at least one image and "
            "0 <= drop <= disagreement <= 1."
        ),
    ),
    (lambda: smallest_drop(DropTest(), 10, 1.1), "disagreement must be from 0 to 1, got 1.1."),
    (lambda: smallest_drop(DropTest(), 10, -0.1), "disagreement must be from 0 to 1, got -0.1."),
    (
        lambda: smallest_drop(DropTest(), 10, 0.1, power=95),
        "power must be between 0 and 1, got 95.",
    ),
    (lambda: images_needed(DropTest(), 0.1, 0), "drop must be above 0 and at most 1, got 0."),
    (lambda: images_needed(DropTest(), 0.1, 1.1), "drop must be above 0 and at most 1, got 1.1."),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_values_that_make_no_sense_are_refused(call, message):
    with pytest.raises(ConfigError) as refused:
        call()
    assert str(refused.value) == message


def test_the_ends_of_the_ranges_make_sense():
    """No disagreement at all, or disagreement on every image; every image lost."""
    for disagreement in (0.0, 1.0):
        assert smallest_drop(DropTest(), 1017, disagreement) is not None
    assert images_needed(DropTest(), 0.1, 1.0) == 7


def test_impossible_counts_are_refused():
    with pytest.raises(DataError, match="disagreements"):
        DropTest().rejects(5, 6, 10)
