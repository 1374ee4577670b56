"""Why a GPU is clocked down, out of the driver's bits; and that silence is no answer."""

import sys

import pytest

from tlbench.latency import GpuState, gpu_state

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
    assert gpu_state() == GpuState(reasons=(), unknown=None, temperature_c=54.0, sm_clock_hz=1.98e9)


def test_all_reasons_are_told(fake_nvml):
    fake_nvml(mask=0x01 | 0x04 | 0x40)
    assert gpu_state().reasons == ("power cap", "heat, by hardware")


def test_the_gpu_asked_for_is_the_one_read(fake_nvml):
    nvml = fake_nvml(mask=0x04)
    gpu_state(2)
    assert set(nvml.asked) == {2}


@pytest.mark.parametrize(
    "broken",
    ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetCurrentClocksThrottleReasons"],
)
def test_a_driver_that_does_not_tell_is_unknown(fake_nvml, broken):
    """With the driver's own words; no reason is given that was not read."""
    fake_nvml(mask=0x04, broken=broken)
    assert gpu_state() == GpuState(unknown="NVML says Not Supported")


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
