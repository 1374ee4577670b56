"""Why a GPU is clocked down, out of the driver's bits; and that silence is no answer."""

import sys

import pytest

from tlbench.latency import GpuState, gpu_state
from tlbench.latency.sensors import clocked_down

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
    """0x1 is idle, 0x2 and 0x100 are clocks that somebody chose; it is known, and it is none."""
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
