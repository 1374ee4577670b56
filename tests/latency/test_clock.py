"""The machine's clock, and the step that a timing really rests on."""

import math
import time

import pytest

from tlbench.latency import SystemClock, tick_s


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
    """Python promises `perf_counter` the best clock there is; 1 ms would be none for latency."""
    assert 0 < tick_s(SystemClock()) < 1e-3
