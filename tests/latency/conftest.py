"""A clock that tests move by hand: nothing here waits, and no figure depends on the machine."""

import sys

import pytest


class FakeClock:
    """Advances only when a call spends time or something waits.

    Attributes
    ----------
    slept : list of float
        Every wait that was asked for, in order.
    """

    def __init__(self):
        self.now = self.cpu = 100.0
        self.slept = []

    def now_s(self):
        return self.now

    def cpu_s(self):
        return self.cpu

    def sleep_s(self, seconds):
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds

    def spend(self, seconds, cpu=None):
        self.now += seconds
        self.cpu += seconds if cpu is None else cpu


@pytest.fixture
def clock():
    return FakeClock()


class NVMLError(Exception):
    """What the package raises for every fault."""


class FakeNvml:
    """The functions of ``pynvml`` that are called; the one named *broken* is refused.

    Attributes
    ----------
    asked : list of int
        GPUs whose handle was asked for.
    """

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = "SM", "GPU"

    def __init__(self, *, energy_mj=(), mask=0, broken=None):
        self.energy_mj, self.mask, self.broken = list(energy_mj), mask, broken
        self.asked, self.is_open = [], False

    def _answer(self, name, value):
        if name == self.broken:
            raise NVMLError("Not Supported")
        return value

    def nvmlInit(self):  # noqa: N802 - the package's names
        self.is_open = self._answer("nvmlInit", value=True)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        assert self.is_open
        self.asked.append(index)
        return self._answer("nvmlDeviceGetHandleByIndex", ("handle", index))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        assert handle == ("handle", self.asked[-1])
        energy_mj = self.energy_mj.pop(0) if self.energy_mj else 0
        return self._answer("nvmlDeviceGetTotalEnergyConsumption", energy_mj)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        assert handle == ("handle", self.asked[-1])
        return self._answer("nvmlDeviceGetCurrentClocksThrottleReasons", self.mask)

    def nvmlDeviceGetTemperature(self, handle, sensor):  # noqa: N802
        assert (handle, sensor) == (("handle", self.asked[-1]), "GPU")
        return self._answer("nvmlDeviceGetTemperature", 54)

    def nvmlDeviceGetClockInfo(self, handle, domain):  # noqa: N802
        assert (handle, domain) == (("handle", self.asked[-1]), "SM")
        return self._answer("nvmlDeviceGetClockInfo", 1980)


@pytest.fixture
def fake_nvml(monkeypatch):
    """Put a fake in the place of ``pynvml``; called with what it shall answer, it returns it."""

    def install(**answers):
        nvml = FakeNvml(**answers)
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        return nvml

    return install
