"""What else the machine did during a measurement."""

from typing import NamedTuple

import pytest

from tlbench.environment import available_cpus
from tlbench.latency import Reading, SystemMachine, watch


class FakeMachine:
    """Gives these readings and throttle reasons, one after another."""

    def __init__(self, *readings, throttled=((), ())):
        self.readings, self.reasons = list(readings), list(throttled)

    def read(self):
        return self.readings.pop(0)

    def throttled(self):
        return self.reasons.pop(0)


def reading(*, busy_s=100.0, own_s=10.0, wall_s=1000.0, lap_s=0.002):
    return Reading(busy_s=busy_s, own_s=own_s, wall_s=wall_s, lap_s=lap_s)


@pytest.mark.parametrize(
    ("busy_s", "own_s", "others"),
    [(116.0, 18.0, 0.8), (108.0, 18.0, 0.0), (110.0, 10.0, 1.0), (107.9, 18.0, 0.0)],
    ids=["both", "only we", "only others", "below nothing"],
)
def test_others_are_whatever_was_busy_and_not_us(busy_s, own_s, others):
    """In ten seconds; clocks of different grain may leave a little less than nothing."""
    machine = FakeMachine(reading(), reading(busy_s=busy_s, own_s=own_s, wall_s=1010.0))
    with watch(machine) as observed:
        pass
    assert observed.other_cpus == pytest.approx(others)


@pytest.mark.parametrize("missing", [(True, False), (False, True), (True, True)])
def test_a_busy_time_that_is_not_told_stays_unknown(missing):
    ends = [
        reading(busy_s=None if gone else 100.0, wall_s=1000.0 + i) for i, gone in enumerate(missing)
    ]
    with watch(FakeMachine(*ends)) as observed:
        pass
    assert observed.other_cpus is None


def test_without_time_between_there_is_no_share():
    with watch(FakeMachine(reading(), reading())) as observed:
        pass
    assert observed.other_cpus is None


@pytest.mark.parametrize(("lap_s", "slowdown"), [(0.003, 1.5), (0.002, 1.0), (0.001, 0.5)])
def test_a_longer_lap_is_a_slower_processor(lap_s, slowdown):
    with watch(FakeMachine(reading(), reading(lap_s=lap_s))) as observed:
        pass
    assert observed.slowdown == pytest.approx(slowdown)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((), (), ()),
        (("heat",), (), ("heat",)),
        ((), ("heat",), ("heat",)),
        (("heat", "power cap"), ("power brake", "heat"), ("heat", "power cap", "power brake")),
    ],
)
def test_throttling_at_either_end_is_told_once(before, after, told):
    machine = FakeMachine(reading(), reading(), throttled=(before, after))
    with watch(machine) as observed:
        pass
    assert observed.throttle_reasons == told


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_measurement_that_fails_is_watched_to_its_end(error):
    """The figures are there for an interrupted one, and the error is passed on."""
    machine = FakeMachine(reading(), reading(busy_s=105.0, wall_s=1010.0, lap_s=0.004))

    def fail():
        with watch(machine) as seen:
            watched.append(seen)
            raise error

    watched = []
    with pytest.raises(error):
        fail()
    assert watched[0].other_cpus == pytest.approx(0.5)
    assert watched[0].slowdown == pytest.approx(2.0)


def test_the_processors_are_those_of_this_process():
    with watch(FakeMachine(reading(), reading())) as observed:
        pass
    assert observed.cpus == available_cpus()


def test_this_machine_counts_forward():
    """All that is cumulative grows between two readings, and a lap takes time."""
    machine = SystemMachine()
    before, after = machine.read(), machine.read()
    assert after.wall_s > before.wall_s
    assert after.own_s > before.own_s  # the laps of the second reading
    assert after.busy_s >= before.busy_s  # of hundredths of a second, so it may stand still
    assert before.lap_s > 0
    assert after.lap_s > 0


def test_a_machine_that_forbids_to_look_does_not_tell(monkeypatch):
    def refuse(*, percpu):
        raise PermissionError

    monkeypatch.setattr("psutil.cpu_times", refuse)
    assert SystemMachine().read().busy_s is None


class CpuTimes(NamedTuple):
    """What psutil gives for one processor, in seconds."""

    user: float
    system: float
    idle: float
    iowait: float
    steal: float
    guest: float


def test_busy_is_all_but_idle_of_the_usable_processors(monkeypatch):
    """Stolen time is others' work; guest time is in user time already; processor 1 is not ours."""
    table = [CpuTimes(10.0, 2.0, 500.0, 30.0, 1.0, 4.0), CpuTimes(7e3, 7e3, 7e3, 7e3, 7e3, 7e3)]
    monkeypatch.setattr("psutil.cpu_times", lambda *, percpu: table)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert SystemMachine().read().busy_s == 13.0


def test_the_accelerator_is_asked_for_its_reasons():
    assert SystemMachine(lambda: ("heat",)).throttled() == ("heat",)
    assert SystemMachine().throttled() == ()
