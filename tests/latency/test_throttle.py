"""Why a GPU is clocked down, out of the driver's bits."""

import sys

import pytest

from tlbench.latency import throttle_reasons

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
    assert throttle_reasons() == (text,)


@pytest.mark.parametrize("mask", [0x00, 0x01, 0x02, 0x100, 0x103], ids="0x{:x}".format)
def test_idleness_and_clocks_set_by_hand_are_no_throttling(fake_nvml, mask):
    """0x1 is idle, 0x2 and 0x100 are clocks that somebody chose."""
    fake_nvml(mask=mask)
    assert throttle_reasons() == ()


def test_all_reasons_are_told(fake_nvml):
    fake_nvml(mask=0x01 | 0x04 | 0x40)
    assert throttle_reasons() == ("power cap", "heat, by hardware")


def test_the_gpu_asked_for_is_the_one_read(fake_nvml):
    nvml = fake_nvml(mask=0x04)
    throttle_reasons(2)
    assert set(nvml.asked) == {2}


@pytest.mark.parametrize(
    "broken",
    ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetCurrentClocksThrottleReasons"],
)
def test_a_driver_that_does_not_tell_gives_no_reasons(fake_nvml, broken):
    fake_nvml(mask=0x04, broken=broken)
    assert throttle_reasons() == ()


def test_without_nvml_there_are_no_reasons(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert throttle_reasons() == ()
