"""Timing: every call is kept, the first apart; the clock; and what the samples support."""

import math
import random
import time
import weakref

import pytest

from tlbench.core.errors import ConfigError
from tlbench.latency import (
    EnergyCounter,
    StoppingRule,
    SystemClock,
    measure,
    summarise_median,
    summarise_percentiles,
    tick_s,
)
from tlbench.stats import autocorrelation_time


def test_the_first_call_is_kept_apart(clock):
    """A slow first call is neither warm-up nor sample."""
    rule = StoppingRule(warmup_s=0, min_warmup_calls=2, min_samples=3, min_duration_s=0)
    timing = measure(lambda i: clock.spend(5 if i == 0 else 0.1), rule, clock=clock)
    assert timing.first_s == pytest.approx(5)
    assert timing.warmup_s == pytest.approx([0.1] * 2)
    assert timing.samples_s == pytest.approx([0.1] * 3)


def test_every_call_gets_its_number(clock):
    numbers = []
    rule = StoppingRule(warmup_s=0, min_warmup_calls=1, min_samples=4, min_duration_s=0)
    measure(numbers.append, rule, clock=clock)
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_samples_are_in_the_order_measured(clock):
    durations = [1, 1, 0.3, 0.1, 0.2]
    rule = StoppingRule(warmup_s=0, min_warmup_calls=1, min_samples=3, min_duration_s=0)
    timing = measure(lambda i: clock.spend(durations[i]), rule, clock=clock)
    assert timing.samples_s == pytest.approx([0.3, 0.1, 0.2])


def test_both_minima_must_be_reached(clock):
    """Fast calls go on until the minimum duration."""
    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=5, min_duration_s=1)
    timing = measure(lambda _: clock.spend(0.125), rule, clock=clock)
    assert len(timing.samples_s) == 8


def test_a_slow_callable_ends_at_the_maximum(clock):
    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=64, max_duration_s=30)
    timing = measure(lambda _: clock.spend(12), rule, clock=clock)
    assert len(timing.samples_s) == 3


def test_warm_up_lasts_its_time(clock):
    rule = StoppingRule(warmup_s=1, min_warmup_calls=2, min_samples=1, min_duration_s=0)
    timing = measure(lambda _: clock.spend(0.25), rule, clock=clock)
    assert len(timing.warmup_s) == 4


def test_cpu_time_is_of_the_counted_samples(clock):
    """Two threads spend twice the wall time; the warm-up is not in it."""
    rule = StoppingRule(warmup_s=0, min_warmup_calls=3, min_samples=10, min_duration_s=0)
    timing = measure(lambda _: clock.spend(0.1, cpu=0.2), rule, clock=clock)
    assert timing.cpu_s == pytest.approx(2.0)


@pytest.mark.parametrize("values", [{"min_samples": 0}, {"min_duration_s": 9, "max_duration_s": 1}])
def test_an_impossible_rule_is_refused(values):
    with pytest.raises(ConfigError, match="must be at least"):
        StoppingRule(**values)


@pytest.mark.parametrize("values", [{"min_samples": 1}, {"min_duration_s": 9, "max_duration_s": 9}])
def test_a_rule_at_its_bounds_is_possible(values):
    StoppingRule(**values)


@pytest.mark.parametrize(
    ("warmup_s", "n_calls"), [(0.0, 2), (0.5, 2), (0.51, 3), (1.0, 4), (1.01, 5)]
)
def test_a_warm_up_reaches_both_its_minima(clock, warmup_s, n_calls):
    """Two calls and this time, of calls of a quarter of a second."""
    rule = StoppingRule(warmup_s=warmup_s, min_warmup_calls=2, min_samples=1, min_duration_s=0)
    timing = measure(lambda _: clock.spend(0.25), rule, clock=clock)
    assert len(timing.warmup_s) == n_calls


def test_an_error_of_the_callable_is_its_own(clock):
    with pytest.raises(ZeroDivisionError):
        measure(lambda _: 1 / 0, clock=clock)


def interrupted_at(clock, number, seconds=0.1):
    """Return a callable whose call of this number is interrupted after a while."""

    def call(i):
        clock.spend(seconds)
        if i == number:
            raise KeyboardInterrupt

    return call


@pytest.mark.parametrize("n_kept", [1, 5])
def test_an_interruption_keeps_the_samples_before_it(clock, n_kept):
    """Ctrl-C while counting: what there is stays, marked as not complete."""
    rule = StoppingRule(warmup_s=0, min_warmup_calls=2, min_samples=9)
    timing = measure(interrupted_at(clock, 3 + n_kept), rule, clock=clock)
    assert timing.samples_s == pytest.approx([0.1] * n_kept)
    assert not timing.complete


@pytest.mark.parametrize("number", [0, 1, 2, 3], ids=["first", "warm-up", "warm-up", "counted"])
def test_an_interruption_before_the_first_sample_is_passed_on(clock, number):
    """Ctrl-C with nothing counted yet leaves nothing to report."""
    rule = StoppingRule(warmup_s=0, min_warmup_calls=2)
    with pytest.raises(KeyboardInterrupt):
        measure(interrupted_at(clock, number), rule, clock=clock)


def test_a_measurement_that_ran_to_its_end_is_complete(clock):
    assert measure(lambda _: clock.spend(0.1), clock=clock).complete


@pytest.mark.parametrize("pause_s", [0.0, 0.25])
def test_a_pause_comes_before_each_counted_call(clock, pause_s):
    """Not before the first call or the warm-up, and not at all without pause_s."""
    rule = StoppingRule(
        warmup_s=0, min_warmup_calls=2, min_samples=4, min_duration_s=0, pause_s=pause_s
    )
    waits_before = []

    def call(_):
        waits_before.append(len(clock.slept))
        clock.spend(0.1)

    measure(call, rule, clock=clock)
    assert waits_before == ([0, 0, 0, 1, 2, 3, 4] if pause_s else [0] * 7)
    assert clock.slept == ([pause_s] * 4 if pause_s else [])


def test_a_pause_is_wall_time_and_no_latency(clock):
    rule = StoppingRule(
        warmup_s=0, min_warmup_calls=0, min_samples=4, min_duration_s=0, pause_s=0.25
    )
    timing = measure(lambda _: clock.spend(0.1), rule, clock=clock)
    assert timing.samples_s == pytest.approx([0.1] * 4)
    assert timing.wall_s == pytest.approx(4 * 0.35)


def test_wall_time_is_of_the_counted_samples(clock):
    rule = StoppingRule(warmup_s=0, min_warmup_calls=3, min_samples=5, min_duration_s=0)
    timing = measure(lambda _: clock.spend(0.1), rule, clock=clock)
    assert timing.wall_s == pytest.approx(0.5)


def test_energy_is_of_the_counted_samples(clock):
    """A meter that shows 2 J a call: the first call and the warm-up are not in the sum."""
    calls = []
    counter = EnergyCounter(lambda: 1000.0 + 2 * len(calls), "a fake")
    rule = StoppingRule(warmup_s=0, min_warmup_calls=3, min_samples=5, min_duration_s=0)
    timing = measure(calls.append, rule, clock=clock, energy=counter)
    assert timing.energy_j == 10


@pytest.mark.parametrize("counter", [None, EnergyCounter(None, "there is none")])
def test_without_a_counter_there_is_no_energy(clock, counter):
    rule = StoppingRule(min_warmup_calls=0, min_duration_s=0, warmup_s=0)
    assert measure(lambda _: clock.spend(0.1), rule, clock=clock, energy=counter).energy_j is None


@pytest.mark.parametrize(
    ("n_samples", "elapsed_s", "done"),
    [
        (9, 5.0, False),
        (10, 1.9, False),
        (10, 2.0, True),
        (9, 19.9, False),
        (0, 20.0, True),
        (10, 20.0, True),
    ],
    ids=["few", "short", "both minima", "nearly the maximum", "maximum, none", "maximum"],
)
def test_a_rule_ends_at_both_minima_or_at_the_maximum(n_samples, elapsed_s, done):
    rule = StoppingRule(min_samples=10, min_duration_s=2, max_duration_s=20)
    assert rule.is_done(n_samples, elapsed_s) is done


def test_the_answer_is_dropped_before_the_next_call(clock):
    """One answer is alive at a time: memory does not grow with the number of calls."""
    alive = []

    class Answer:
        pass

    def call(_):
        assert not any(reference() for reference in alive)
        clock.spend(0.1)
        answer = Answer()
        alive.append(weakref.ref(answer))
        return answer

    measure(call, StoppingRule(min_samples=5), clock=clock)
    assert len(alive) > 5


def test_an_unsteady_timing_goes_on_half_as_long_again(clock):
    """Asked at 2.0, 3.0 and 4.5 s; the call after each question takes time and is dropped."""
    asked = []

    def is_steady(samples):
        asked.append(len(samples))
        return len(asked) == 3

    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=16, min_duration_s=0)
    timing = measure(lambda _: clock.spend(0.125), rule, clock=clock, is_steady=is_steady)
    assert asked == [16, 23, 34]
    assert len(timing.samples_s) == 34


@pytest.mark.parametrize("n_questions", [1, 3])
@pytest.mark.parametrize("end", [True, KeyboardInterrupt], ids=["steady", "Ctrl-C"])
def test_the_checks_in_between_cost_nothing(clock, n_questions, end):
    """Time, processor time and energy are those of the counted calls: 2 W of them, 100 W else."""
    joules = 0.0
    asked = 0

    def spend(seconds, watts):
        nonlocal joules
        clock.spend(seconds, cpu=3 * seconds)
        joules += watts * seconds

    def call(number):
        spend(0.125, watts=2)

    def is_steady(samples):
        nonlocal asked
        asked += 1
        spend(3, watts=100)
        if asked == n_questions and end is KeyboardInterrupt:
            raise KeyboardInterrupt
        return asked == n_questions

    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=16, min_duration_s=0)
    counter = EnergyCounter(lambda: joules, "a fake")
    timing = measure(call, rule, clock=clock, energy=counter, is_steady=is_steady)
    seconds = sum(timing.samples_s)
    assert timing.complete is (end is True)
    assert timing.wall_s == pytest.approx(seconds)
    assert timing.cpu_s == pytest.approx(3 * seconds)
    assert timing.energy_j == pytest.approx(2 * seconds)


def test_reading_a_slow_counter_is_no_time_of_the_calls(clock):
    def read_j():
        clock.spend(0.5)
        return 0.0

    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=8, min_duration_s=0)
    counter = EnergyCounter(read_j, "a fake")
    timing = measure(
        lambda _: clock.spend(0.125), rule, clock=clock, energy=counter, is_steady=lambda _: True
    )
    assert (timing.wall_s, timing.cpu_s) == (1.0, 1.0)


def test_the_maximum_includes_the_checks(clock):
    """It is how long a user waits, but for the check and the call that are running then."""
    rule = StoppingRule(
        warmup_s=0, min_warmup_calls=0, min_samples=4, min_duration_s=0, max_duration_s=10
    )
    measure(lambda _: clock.spend(0.5), rule, clock=clock, is_steady=lambda _: clock.spend(4))
    assert 100 + 10 <= clock.now < 100 + 10 + 4 + 3 * 0.5


def test_what_is_never_steady_ends_at_the_maximum(clock):
    rule = StoppingRule(
        warmup_s=0, min_warmup_calls=0, min_samples=4, min_duration_s=0, max_duration_s=10
    )
    timing = measure(
        lambda _: clock.spend(0.125), rule, clock=clock, is_steady=lambda samples: False
    )
    assert timing.wall_s == pytest.approx(sum(timing.samples_s))
    assert 100 + 10 < clock.now < 100 + 10.5  # the first call, and 10 s
    assert timing.complete


def test_the_system_clock_goes_forward():
    clock = SystemClock()
    assert clock.now_s() <= clock.now_s()
    assert clock.cpu_s() <= clock.cpu_s()


@pytest.mark.parametrize(("seconds", "slept"), [(2.5, 2.5), (0.0, 0.0), (-1.0, 0.0)])
def test_a_wait_below_nothing_is_none(monkeypatch, seconds, slept):
    """An arrival that is already past is not waited for; `time.sleep` would refuse it."""
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    SystemClock().sleep_s(seconds)
    assert waits == [slept]


class Readings:
    """A clock that shows these readings, then the last for ever."""

    def __init__(self, *readings):
        self.readings = list(readings)

    def now_s(self):
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]


def test_the_tick_is_the_smallest_step_that_was_seen():
    assert tick_s(Readings(0.0, 0.0, 0.5, 0.5, 0.75, 2.0)) == 0.25


def test_a_clock_that_never_moved_has_no_tick():
    assert tick_s(Readings(5.0)) == math.inf


def test_the_tick_of_this_machine_is_far_below_a_call():
    """`perf_counter` is the best clock that Python has; 1 ms would be useless for latency."""
    assert 0 < tick_s(SystemClock()) < 1e-3


@pytest.mark.parametrize(
    ("n_samples", "supported"),
    [
        (10, []),
        (11, [0.5]),
        (63, [0.5]),
        (64, [0.5, 0.9]),
        (129, [0.5, 0.9]),
        (130, [0.5, 0.9, 0.95]),
        (661, [0.5, 0.9, 0.95]),
        (662, [0.5, 0.9, 0.95, 0.99]),
    ],
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
    """The same values in phases of ten say less about the median than in random order."""
    samples = independent(200)
    phases = [0.01 * (1 + (i // 10) % 2) + sample for i, sample in enumerate(samples)]
    shuffled = random.Random(1).sample(phases, len(phases))
    wide, narrow = summarise_median(phases), summarise_median(shuffled)
    assert wide.high - wide.low > narrow.high - narrow.low
    effective = 200 / autocorrelation_time(phases)
    assert 20 < effective < 60  # of twenty phases
    assert wide.method == f"order statistics, {effective:.0f} effective samples"
    assert narrow.method == "order statistics"
