"""NVIDIA's management library and CUDA's driver, as far as they are asked."""

import ctypes
from types import SimpleNamespace


class NVMLError(Exception):
    """What the package raises for every fault."""


class FakeNvml:
    """The functions of ``pynvml`` that are called; those named in *broken* are refused.

    Attributes
    ----------
    bus_ids : tuple of str
        The machine's GPUs in NVML's order.
    asked : list of str
        GPUs whose handle was asked for.
    violations_ns : dict
        Counter of each policy; another policy is not supported.
    """

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0
    NVML_PERF_POLICY_POWER, NVML_PERF_POLICY_THERMAL, NVML_PERF_POLICY_SYNC_BOOST = 0, 1, 2
    NVML_PERF_POLICY_BOARD_LIMIT, NVML_PERF_POLICY_RELIABILITY = 3, 5

    def __init__(
        self,
        *,
        energy_mj=(),
        mask=0,
        broken=(),
        bus_ids=("0000:3b:00.0",),
        violations_ns=None,
        mig=None,
        used_bytes=(),
    ):
        self.energy_mj, self.mask, self.bus_ids = list(energy_mj), mask, bus_ids
        self.broken = (broken,) if isinstance(broken, str) else broken
        self.violations_ns, self.mig, self.used_bytes = violations_ns or {}, mig, list(used_bytes)
        self.asked, self.is_open = [], False

    def _answer(self, name, value):
        if name in self.broken:
            raise NVMLError("Not Supported")
        return value

    def nvmlInit(self):  # noqa: N802 - the package's names
        self.is_open = self._answer("nvmlInit", value=True)

    def nvmlDeviceGetCount(self):  # noqa: N802
        assert self.is_open
        return self._answer("nvmlDeviceGetCount", len(self.bus_ids))

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        assert self.is_open
        return ("handle", self.bus_ids[index])

    def nvmlDeviceGetHandleByPciBusId(self, pciBusId):  # noqa: N802, N803
        assert self.is_open
        assert pciBusId in self.bus_ids
        self.asked.append(pciBusId)
        return self._answer("nvmlDeviceGetHandleByPciBusId", ("handle", pciBusId))

    def nvmlDeviceGetPciInfo(self, handle):  # noqa: N802
        return SimpleNamespace(busId=f"0000{handle[1].upper()}")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        assert handle == ("handle", self.asked[-1])
        energy_mj = self.energy_mj.pop(0) if self.energy_mj else 0
        return self._answer("nvmlDeviceGetTotalEnergyConsumption", energy_mj)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        assert handle == ("handle", self.asked[-1])
        return self._answer("nvmlDeviceGetCurrentClocksThrottleReasons", self.mask)

    def nvmlDeviceGetViolationStatus(self, device, perfPolicyType):  # noqa: N802, N803
        assert device == ("handle", self.asked[-1])
        if perfPolicyType not in self.violations_ns:
            raise NVMLError("Not Supported")
        return SimpleNamespace(violationTime=self.violations_ns[perfPolicyType])

    def nvmlDeviceGetTemperature(self, handle, sensor):  # noqa: N802
        assert (handle, sensor) == (("handle", self.asked[-1]), self.NVML_TEMPERATURE_GPU)
        return self._answer("nvmlDeviceGetTemperature", 54)

    def nvmlDeviceGetClockInfo(self, handle, type):  # noqa: A002, N802
        assert (handle, type) == (("handle", self.asked[-1]), self.NVML_CLOCK_SM)
        return self._answer("nvmlDeviceGetClockInfo", 1980)

    def nvmlDeviceGetMigMode(self, device):  # noqa: N802
        assert device == ("handle", self.asked[-1])
        if self.mig is None:
            raise NVMLError("Not Supported")
        return [self.mig, self.mig]

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        assert handle == ("handle", self.asked[-1])
        used = self.used_bytes.pop(0) if self.used_bytes else 0
        return SimpleNamespace(used=self._answer("nvmlDeviceGetMemoryInfo", used))


def fake_driver(bus_ids, broken=()):
    """Return the functions of CUDA's driver, called through ctypes as those of C are.

    A handle of the driver's is no number of a device: 40 more.
    """

    def status(name):
        return 999 if name in broken else 0

    def init(flags):
        return status("cuInit") or 10 * flags

    def get(device, ordinal):
        if not 0 <= ordinal < len(bus_ids):
            return 101  # CUDA_ERROR_INVALID_DEVICE
        device[0] = 40 + ordinal
        return status("cuDeviceGet")

    def bus_id(text, length, device):
        content = bus_ids[device - 40].upper().encode() + b"\0"
        assert len(content) <= length
        ctypes.memmove(text, content, len(content))
        return status("cuDeviceGetPCIBusId")

    integer, pointer = ctypes.c_int, ctypes.POINTER
    return SimpleNamespace(
        cuInit=ctypes.CFUNCTYPE(integer, ctypes.c_uint)(init),
        cuDeviceGet=ctypes.CFUNCTYPE(integer, pointer(integer), integer)(get),
        cuDeviceGetPCIBusId=ctypes.CFUNCTYPE(integer, pointer(ctypes.c_char), integer, integer)(
            bus_id
        ),
    )
