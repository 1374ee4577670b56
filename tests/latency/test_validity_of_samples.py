"""Checks of the samples: enough of them, steady, independent, longer than a clock tick."""

import random
from types import SimpleNamespace

import pytest

from tlbench.latency import ORDERED, looks_steady
from tlbench.stats import samples_needed, trend


@pytest.mark.parametrize(("n", "outcome"), [(1, "fail"), (10, "fail"), (11, "pass")])
def test_a_median_needs_its_samples(n, outcome, check_of, quiet_samples):
    check = check_of("samples", quiet_samples(n))
    assert check.outcome == outcome
    assert (check.value, check.limit) == (n, samples_needed(0.5))
    if outcome == "fail":
        assert f"{n} samples are too few" in check.text
        assert "max_duration_s" in check.text


@pytest.mark.parametrize("n", [1, 2, 11])
def test_too_few_samples_to_see_a_trend_do_not_pass(n, outcomes, quiet_samples):
    """Even sorted samples, a pure trend, cannot be distinguished from chance."""
    found = outcomes(sorted(quiet_samples(n)))
    assert found["trend"] == "unknown"
    assert found["autocorrelation"] == "unknown"


@pytest.mark.parametrize(("n", "detected"), [(11, False), (12, True)])
def test_the_fewest_samples_for_a_trend_are_those_of_the_trend(n, detected):
    assert trend([0.004 * (1 + 0.1 * i) for i in range(n)]).detected is detected


def test_a_steady_trend_fails(check_of, quiet_samples):
    """10 % slower in the end: the halves differ by half of it."""
    samples = [s * (1 + 0.1 * i / 200) for i, s in enumerate(quiet_samples())]
    check = check_of("trend", samples)
    assert check.outcome == "fail"
    assert check.value == pytest.approx(0.05, abs=0.01)
    assert "warm up or measure longer" in check.text


def test_a_jump_fails_as_a_trend(check_of, quiet_samples):
    samples = [s * (1.2 if i >= 100 else 1) for i, s in enumerate(quiet_samples())]
    check = check_of("trend", samples)
    assert check.outcome == "fail"
    assert "20." in check.text or "19." in check.text


@pytest.fixture
def phases(quiet_samples):
    """Return latencies in slow and fast phases of random order: no trend, but autocorrelated."""

    def samples(n, length):
        generator = random.Random(2)
        kinds = [0, 1] * (n // length // 2)
        generator.shuffle(kinds)
        slow = [kind for kind in kinds for _ in range(length)]
        return [x * (1 + 0.2 * kind) for kind, x in zip(slow, quiet_samples(n), strict=True)]

    return samples


def test_slow_phases_are_a_note(check_of, phases):
    """Enough of them: the interval is widened, the timing stands."""
    check = check_of("autocorrelation", phases(1000, 5))
    assert check.outcome == "note"
    assert check.value > check.limit
    assert "of 1000); interval widened" in check.text


def test_a_few_slow_phases_are_too_few_samples(check_of, phases):
    """Eight phases of ten leave fewer effective samples than the eleven of a median."""
    check = check_of("autocorrelation", phases(80, 10))
    assert check.outcome == "fail"
    assert "of 80); a median needs 11" in check.text
    assert "min_duration_s" in check.text


@pytest.fixture
def inflated(monkeypatch):
    """Make any samples autocorrelated, with this inflation of the variance."""

    def inflate(inflation):
        found = SimpleNamespace(lag1=0.5, threshold=0.2, inflation=inflation, detected=True)
        monkeypatch.setattr("tlbench.latency.validity.autocorrelation", lambda _: found)

    return inflate


@pytest.mark.parametrize(("inflation", "enough"), [(4.0, True), (4.01, False), (40.0, False)])
def test_a_median_needs_11_effective_samples(inflation, enough, inflated, check_of):
    """44 samples over an inflation of 4 are just enough, for the verdict and to stop."""
    samples = noise(44)
    assert looks_steady(samples)
    inflated(inflation)
    assert check_of("autocorrelation", samples).outcome == ("note" if enough else "fail")
    assert looks_steady(samples) is enough


def test_calls_that_take_no_time_are_a_coarse_timer_and_not_a_trend(outcomes):
    """A clock of 16 ms under calls of 4 ms: most samples are zero."""
    samples = [0.016 if i % 4 == 0 else 0.0 for i in range(64)]
    found = outcomes(samples, tick_s=0.016)
    assert found["trend"] == "unknown"
    assert found["timer"] == "fail"


def test_a_clock_that_never_moved_is_a_coarse_timer(check_of):
    """Its tick is infinite, and no number of seconds."""
    check = check_of("timer", tick_s=float("inf"))
    assert check.outcome == "fail"
    assert "never seen to move" in check.text


def test_the_order_of_a_servers_samples_is_not_checked(outcomes, quiet_samples):
    """Requests wait for one another, so neighbours are correlated; the rest is checked as usual."""
    everything, found = outcomes(), outcomes(sorted(quiet_samples()), independent=False)
    assert set(everything) - set(found) == {"trend", "autocorrelation"}
    assert set(found.values()) == {"pass"}


def noise(n, seed=0):
    generator = random.Random(seed)
    return [1 + 0.05 * generator.random() for _ in range(n)]


@pytest.mark.parametrize("n", [ORDERED, 64, 1000])
def test_independent_samples_are_steady(n):
    assert looks_steady(noise(n))


def test_a_trend_is_not_steady():
    assert not looks_steady([x * (1 + 0.3 * i / 300) for i, x in enumerate(noise(300))])


def test_two_phases_are_not_steady_and_many_are():
    """A machine that flips between two speeds is known once it has flipped often enough."""
    slow_and_fast = [x * (1.5 if i // 50 % 2 else 1.0) for i, x in enumerate(noise(4000))]
    assert not looks_steady(slow_and_fast[:150])
    assert looks_steady(slow_and_fast)


def test_of_few_samples_nothing_can_be_told():
    """Even sorted ones are no trend; the verdict says that it is unknown."""
    assert looks_steady([1.0 + i for i in range(ORDERED - 1)])
    assert not trend([1.0 + i for i in range(ORDERED - 1)]).detected
    assert trend([1.0 + i for i in range(ORDERED)]).detected
    assert not looks_steady([1.0 + i for i in range(ORDERED)])
