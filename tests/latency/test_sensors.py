"""What else the machine did during a measurement, and whether its GPU was throttled."""

import sys
from typing import NamedTuple

import pytest

from tlbench.latency import GpuState, Reading, SystemSensors, gpu_state, watch, watch_each
from tlbench.latency.sensors import clocked_down
from tlbench.machine import usable_cpus


class FakeMachine:
    """Gives these readings and states of a GPU, one after another."""

    def __init__(self, *readings, gpu=(None, None)):
        self.readings, self.states = list(readings), list(gpu)

    def read(self):
        return self.readings.pop(0)

    def gpu(self):
        return self.states.pop(0)


def reading(
    *,
    busy_s=100.0,
    own_s=10.0,
    wall_s=1000.0,
    lap_s=0.002,
    temperature_c=None,
    throttled_s=None,
):
    return Reading(
        busy_s=busy_s,
        own_s=own_s,
        wall_s=wall_s,
        lap_s=lap_s,
        temperature_c=temperature_c,
        throttled_s=throttled_s,
    )


@pytest.mark.parametrize(
    ("busy_s", "own_s", "others"),
    [(116.0, 18.0, 0.8), (108.0, 18.0, 0.0), (110.0, 10.0, 1.0), (107.9, 18.0, 0.0)],
    ids=["both", "only we", "only others", "below nothing"],
)
def test_others_are_whatever_was_busy_and_not_us(busy_s, own_s, others):
    """In ten seconds; clocks of different grain may leave a little less than nothing."""
    machine = FakeMachine(reading(), reading(busy_s=busy_s, own_s=own_s, wall_s=1010.0))
    with watch(machine) as machine_samples:
        pass
    assert machine_samples.other_cpus == pytest.approx(others)


@pytest.mark.parametrize("missing", [(True, False), (False, True), (True, True)])
def test_a_busy_time_that_is_not_told_stays_unknown(missing):
    ends = [
        reading(busy_s=None if gone else 100.0, wall_s=1000.0 + i) for i, gone in enumerate(missing)
    ]
    with watch(FakeMachine(*ends)) as machine_samples:
        pass
    assert machine_samples.other_cpus is None


def test_without_time_between_there_is_no_share():
    with watch(FakeMachine(reading(), reading())) as machine_samples:
        pass
    assert machine_samples.other_cpus is None


@pytest.mark.parametrize(("lap_s", "slowdown"), [(0.003, 1.5), (0.002, 1.0), (0.001, 0.5)])
def test_a_longer_lap_is_a_slower_processor(lap_s, slowdown):
    with watch(FakeMachine(reading(), reading(lap_s=lap_s))) as machine_samples:
        pass
    assert machine_samples.slowdown == pytest.approx(slowdown)


@pytest.mark.parametrize(
    ("states", "reported"),
    [
        ((None, None), ()),
        (
            (GpuState(), GpuState(reasons=("heat",))),
            (GpuState(), GpuState(reasons=("heat",))),
        ),
    ],
    ids=["none", "a GPU"],
)
def test_a_gpu_is_looked_at_at_both_ends(states, reported):
    with watch(FakeMachine(reading(), reading(), gpu=states)) as machine_samples:
        pass
    assert machine_samples.gpu == reported


def test_those_who_take_turns_have_each_their_own_gpu():
    """The processor's figures are everybody's; a GPU's are of whoever is on it."""
    cold, hot = GpuState(), GpuState(reasons=("heat",))
    first = FakeMachine(reading(), reading(lap_s=0.003))
    second = FakeMachine(gpu=(cold, hot))
    with watch_each([first, second]) as (on_processor, on_gpu):
        pass
    assert (on_processor.gpu, on_gpu.gpu) == ((), (cold, hot))
    assert on_processor.slowdown == on_gpu.slowdown == pytest.approx(1.5)


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


@pytest.mark.parametrize("quota", [None, 0.5])
def test_the_processors_are_those_of_the_affinity(monkeypatch, quota):
    """Others keep them busy, whatever this process may use of them."""
    monkeypatch.setattr("tlbench.latency.sensors.cpu_quota", lambda: quota)
    with watch(FakeMachine(reading(), reading())) as machine_samples:
        pass
    assert (machine_samples.cpus, machine_samples.cpu_quota) == (len(usable_cpus()), quota)


@pytest.mark.parametrize(
    ("before", "after", "seconds", "held"),
    [
        (5.0, 5.0, 10.0, 0.0),
        (5.0, 20.0, 10.0, 1.5),
        (None, 5.0, 10.0, None),
        (5.0, None, 10.0, None),
        (5.0, 6.0, 0.0, None),
    ],
    ids=["none", "some", "unknown before", "unknown after", "no time between"],
)
def test_what_a_quota_held_back_is_that_of_the_time_between(before, after, seconds, held):
    """Seconds of stopped processors for each second."""
    ends = reading(throttled_s=before), reading(throttled_s=after, wall_s=1000.0 + seconds)
    with watch(FakeMachine(*ends)) as machine_samples:
        pass
    assert machine_samples.throttled_cpus == held


def test_this_machines_counter_is_read(monkeypatch):
    monkeypatch.setattr("tlbench.latency.sensors.throttled_s", lambda: 2.5)
    assert SystemSensors(laps_s=0).read().throttled_s == 2.5


def test_this_machine_counts_forward():
    """All that is cumulative grows between two readings, and a lap takes time."""
    machine = SystemSensors()
    before, after = machine.read(), machine.read()
    assert after.wall_s > before.wall_s
    assert after.own_s > before.own_s  # the laps of the second reading
    assert after.busy_s >= before.busy_s  # of hundredths of a second, so it may stand still
    assert before.lap_s > 0
    assert after.lap_s > 0


@pytest.mark.parametrize(("laps_s", "n_laps"), [(0.0, 1), (0.3, 4), (0.31, 5)])
def test_the_fastest_lap_of_its_time_counts(monkeypatch, laps_s, n_laps):
    """One lap, and more until the time is over: each takes a tenth of a second."""
    now, taken = [50.0], []

    def lap():
        now[0] += 0.1
        taken.append([0.004, 0.002, 0.003, 0.005, 0.006][len(taken)])
        return taken[-1]

    monkeypatch.setattr("tlbench.latency.sensors._lap_s", lap)
    monkeypatch.setattr("tlbench.latency.sensors.time.perf_counter", lambda: now[0])
    found = SystemSensors(laps_s=laps_s).read()
    assert len(taken) == n_laps
    assert found.lap_s == min(taken)


def test_a_machine_that_forbids_to_look_does_not_tell(monkeypatch):
    def refuse(*, percpu):
        raise PermissionError

    monkeypatch.setattr("psutil.cpu_times", refuse)
    assert SystemSensors().read().busy_s is None


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
    assert SystemSensors().read().busy_s == 13.0


def test_the_gpu_in_use_is_asked():
    state = GpuState(reasons=("heat",))
    assert SystemSensors(lambda: state).gpu() == state


def test_without_a_gpu_there_is_no_state():
    """A network on the processor has no GPU whose clock could matter."""
    assert SystemSensors().gpu() is None


class Sensor(NamedTuple):
    """A temperature as psutil gives it."""

    current: float


@pytest.mark.parametrize("chip", ["coretemp", "k10temp", "zenpower", "cpu_thermal"])
def test_the_temperature_is_that_of_the_hottest_core(monkeypatch, chip):
    """Of the processor only: a disk may be hotter."""
    found = {chip: [Sensor(41.0), Sensor(67.0)], "nvme": [Sensor(80.0)]}
    monkeypatch.setattr("psutil.sensors_temperatures", lambda: found, raising=False)
    assert SystemSensors(laps_s=0).read().temperature_c == 67.0


def test_without_a_sensor_there_is_no_temperature(monkeypatch):
    monkeypatch.setattr("psutil.sensors_temperatures", dict, raising=False)
    assert SystemSensors(laps_s=0).read().temperature_c is None


@pytest.mark.parametrize(
    ("before", "after", "reported"), [(41.0, 67.0, (41.0, 67.0)), (None, None, ())]
)
def test_temperatures_are_those_of_the_two_ends(before, after, reported):
    ends = [reading(temperature_c=before), reading(temperature_c=after)]
    with watch(FakeMachine(*ends)) as machine_samples:
        pass
    assert machine_samples.temperatures_c == reported


# Of nvml.h: nvmlClocksEventReason*.
BITS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
}


@pytest.mark.parametrize(("mask", "text"), BITS.items(), ids=BITS.values())
def test_each_reason_has_its_words(fake_nvml, mask, text):
    fake_nvml(mask=mask)
    assert gpu_state().reasons == (text,)


@pytest.mark.parametrize("mask", [0x00, 0x01, 0x02, 0x100, 0x103], ids="0x{:x}".format)
def test_idleness_and_clocks_set_by_hand_are_no_throttling(fake_nvml, mask):
    """0x1 is idle; 0x2 and 0x100 are clocks that somebody chose: known, and not throttling."""
    fake_nvml(mask=mask)
    state = gpu_state()
    assert (state.reasons, state.unknown) == ((), None)
    assert (state.temperature_c, state.sm_clock_hz) == (54.0, 1.98e9)


def test_all_reasons_are_told(fake_nvml):
    fake_nvml(mask=0x01 | 0x04 | 0x40)
    assert gpu_state().reasons == ("power cap", "heat, by hardware")


def test_the_gpu_asked_for_is_the_one_read(fake_nvml):
    """CUDA shows this process one of two, and it is NVML's second."""
    nvml = fake_nvml(mask=0x04, bus_ids=("0000:3b:00.0", "0000:af:00.0"), visible=("0000:af:00.0",))
    gpu_state(0)
    assert nvml.asked == ["0000:af:00.0"]


@pytest.mark.parametrize(
    "broken",
    ["nvmlInit", "nvmlDeviceGetHandleByPciBusId", "nvmlDeviceGetCurrentClocksThrottleReasons"],
)
def test_a_driver_that_does_not_tell_is_unknown(fake_nvml, broken):
    """With the driver's own words; no reason is given that was not read."""
    fake_nvml(mask=0x04, broken=broken)
    state = gpu_state()
    assert (state.reasons, state.unknown) == ((), "NVML reports: Not Supported")


def test_without_the_package_it_is_unknown(monkeypatch):
    """The name of the package and of the extra that brings it."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    state = gpu_state()
    assert state.reasons == ()
    assert "nvidia-ml-py" in state.unknown
    assert "'cuda'" in state.unknown


@pytest.mark.parametrize("broken", ["nvmlDeviceGetTemperature", "nvmlDeviceGetClockInfo"])
def test_a_gpu_without_a_sensor_still_tells_its_reasons(fake_nvml, broken):
    fake_nvml(mask=0x04, broken=broken)
    state = gpu_state()
    assert (state.reasons, state.unknown) == (("power cap",), None)
    assert None in {state.temperature_c, state.sm_clock_hz}


POLICIES = {0: "power cap", 1: "heat", 2: "sync boost", 3: "board limit", 5: "reliability"}


def test_the_drivers_counters_are_read_in_seconds(fake_nvml):
    """Of nvml.h: nvmlPerfPolicyType, in nanoseconds; 4, low utilisation, is no throttling."""
    fake_nvml(violations_ns={policy: (policy + 1) * 10**9 for policy in (*POLICIES, 4)})
    expected = {cause: policy + 1.0 for policy, cause in POLICIES.items()}
    assert gpu_state().clocked_down_s == expected


def test_what_the_driver_does_not_count_is_left_out(fake_nvml):
    fake_nvml(violations_ns={0: 5 * 10**8})
    state = gpu_state()
    assert state.clocked_down_s == {"power cap": 0.5}
    assert state.unknown is None


def test_counters_stand_although_the_present_reasons_do_not(fake_nvml):
    fake_nvml(violations_ns={0: 0, 1: 0}, broken="nvmlDeviceGetCurrentClocksThrottleReasons")
    state = gpu_state()
    assert state.unknown == "NVML reports: Not Supported"
    assert state.clocked_down_s == {"power cap": 0.0, "heat": 0.0}


def at(at_s, **seconds):
    return GpuState(
        at_s=at_s, clocked_down_s={name.replace("_", " "): s for name, s in seconds.items()}
    )


def test_a_share_is_of_the_time_between():
    """Ten seconds, two of them at the power cap; the largest share comes first."""
    shares = clocked_down(at(100.0, heat=7.0, power_cap=1.0), at(110.0, heat=7.5, power_cap=3.0))
    assert list(shares.items()) == [("power cap", 0.2), ("heat", 0.05)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (at(0.0), at(10.0)),
        (at(0.0, power_cap=0.0), at(10.0, power_cap=0.0)),
        (at(0.0, power_cap=0.0, heat=0.0), at(10.0, power_cap=0.0)),
        (at(0.0, power_cap=5.0, heat=0.0), at(10.0, power_cap=0.0, heat=0.0)),
        (at(0.0, power_cap=0.0, heat=0.0), at(0.0, power_cap=0.0, heat=0.0)),
    ],
    ids=["no counter", "one of two", "gone meanwhile", "began anew", "no time between"],
)
def test_what_lies_between_is_unknown_unless_power_and_heat_are_counted(before, after):
    assert clocked_down(before, after) is None
