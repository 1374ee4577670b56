"""Timing: every call is kept, the first apart, and the clock is never slept on."""

import pytest

from tlbench.errors import ConfigError
from tlbench.latency import Plan, SystemClock, measure, summarise_percentiles


class FakeClock:
    """Advances only when a call takes time."""

    def __init__(self):
        self.now = self.cpu = 100.0

    def now_s(self):
        return self.now

    def cpu_s(self):
        return self.cpu

    def spend(self, seconds, cpu=None):
        self.now += seconds
        self.cpu += seconds if cpu is None else cpu


@pytest.fixture
def clock():
    return FakeClock()


def test_the_first_call_is_kept_apart(clock):
    """A slow first call is neither warm-up nor sample."""
    plan = Plan(warmup_s=0, min_warmup_calls=2, min_samples=3, min_duration_s=0)
    timing = measure(lambda i: clock.spend(5 if i == 0 else 0.1), plan, clock=clock)
    assert timing.first_s == pytest.approx(5)
    assert timing.warmup_s == pytest.approx([0.1] * 2)
    assert timing.samples_s == pytest.approx([0.1] * 3)


def test_every_call_gets_its_number(clock):
    numbers = []
    plan = Plan(warmup_s=0, min_warmup_calls=1, min_samples=4, min_duration_s=0)
    measure(numbers.append, plan, clock=clock)
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_samples_are_in_the_order_measured(clock):
    durations = [1, 1, 0.3, 0.1, 0.2]
    plan = Plan(warmup_s=0, min_warmup_calls=1, min_samples=3, min_duration_s=0)
    timing = measure(lambda i: clock.spend(durations[i]), plan, clock=clock)
    assert timing.samples_s == pytest.approx([0.3, 0.1, 0.2])


def test_both_minima_must_be_reached(clock):
    """Fast calls go on until the minimum duration."""
    plan = Plan(warmup_s=0, min_warmup_calls=0, min_samples=5, min_duration_s=1)
    timing = measure(lambda _: clock.spend(0.125), plan, clock=clock)
    assert len(timing.samples_s) == 8


def test_a_slow_callable_ends_at_the_maximum(clock):
    plan = Plan(warmup_s=0, min_warmup_calls=0, min_samples=64, max_duration_s=30)
    timing = measure(lambda _: clock.spend(12), plan, clock=clock)
    assert len(timing.samples_s) == 3


def test_warm_up_lasts_its_time(clock):
    plan = Plan(warmup_s=1, min_warmup_calls=2, min_samples=1, min_duration_s=0)
    timing = measure(lambda _: clock.spend(0.25), plan, clock=clock)
    assert len(timing.warmup_s) == 4


def test_cpu_time_is_of_the_counted_samples(clock):
    """Two threads spend twice the wall time; the warm-up is not in it."""
    plan = Plan(warmup_s=0, min_warmup_calls=3, min_samples=10, min_duration_s=0)
    timing = measure(lambda _: clock.spend(0.1, cpu=0.2), plan, clock=clock)
    assert timing.cpu_s == pytest.approx(2.0)


@pytest.mark.parametrize("values", [{"min_samples": 0}, {"min_duration_s": 9, "max_duration_s": 1}])
def test_an_impossible_plan_is_refused(values):
    with pytest.raises(ConfigError, match="impossible"):
        Plan(**values)


def test_an_error_of_the_callable_is_its_own():
    with pytest.raises(ZeroDivisionError):
        measure(lambda _: 1 / 0, clock=FakeClock())


@pytest.mark.parametrize(
    ("n_samples", "supported"),
    [(10, []), (11, [0.5]), (63, [0.5]), (64, [0.5, 0.9]), (130, [0.5, 0.9, 0.95])],
)
def test_a_percentile_needs_enough_samples(n_samples, supported):
    found = summarise_percentiles([0.1] * n_samples)
    assert [p.fraction for p in found if p.value_s is not None] == supported
    assert [p.n_needed for p in found] == [11, 64, 130, 662]


def test_the_system_clock_goes_forward():
    clock = SystemClock()
    assert clock.now_s() <= clock.now_s()
    assert clock.cpu_s() <= clock.cpu_s()
