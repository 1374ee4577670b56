"""Whether and how long an NVIDIA GPU was clocked down, as its driver gives it, or why untold."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tlbench.core.errors import GpuUnreadableError
from tlbench.machine import NvidiaGpu, open_gpu

# Bits of nvmlClocksEventReasons that slow a measurement; "idle" and clocks set by hand do not.
_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
}
# Counters of the time that the GPU was held below its application clocks (nvmlPerfPolicyType);
# low utilisation is another of them, and no throttling.
_COUNTERS = {
    "power cap": "NVML_PERF_POLICY_POWER",
    "heat": "NVML_PERF_POLICY_THERMAL",
    "sync boost": "NVML_PERF_POLICY_SYNC_BOOST",
    "board limit": "NVML_PERF_POLICY_BOARD_LIMIT",
    "reliability": "NVML_PERF_POLICY_RELIABILITY",
}
# What slows a lone GPU; a driver that does not count both has not told what happened in between.
_DECISIVE = frozenset({"power cap", "heat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """One GPU at one moment.

    Attributes
    ----------
    reasons : tuple of str
        Why it is clocked down; empty where it is not, or where *unknown* says that nobody knows.
    unknown : str or None
        Why the reasons could not be read. None where they were: then no reason is an answer.
    temperature_c, sm_clock_hz : float or None
        Of the chip and its processors; None where the driver does not tell.
    at_s : float
        When, on a clock that only moves forward.
    clocked_down_s : mapping of str to float
        For each cause that the driver counts, seconds of being clocked down since some start.
    """

    reasons: tuple[str, ...] = ()
    unknown: str | None = None
    temperature_c: float | None = None
    sm_clock_hz: float | None = None
    at_s: float = 0.0
    clocked_down_s: Mapping[str, float] = field(default_factory=dict)


def gpu_state(device_id: int = 0) -> GpuState:
    """Return the state of the GPU that CUDA knows by this number; without NVML, the reason."""
    try:
        gpu = open_gpu(device_id)
    except GpuUnreadableError as error:
        return GpuState(unknown=str(error))
    nvml, unknown, mask = gpu.nvml, None, 0
    try:
        mask = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu.handle)
    except nvml.NVMLError as error:
        unknown = f"NVML says {error}"

    def figure(name: str, kind: int) -> float | None:
        """Return what may be missing without harm: it explains, and decides nothing."""
        try:
            return float(getattr(nvml, name)(gpu.handle, kind))
        except nvml.NVMLError:
            return None

    megahertz = figure("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM)
    return GpuState(
        reasons=tuple(text for bit, text in _REASONS.items() if mask & bit),
        unknown=unknown,
        temperature_c=figure("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
        sm_clock_hz=None if megahertz is None else 1e6 * megahertz,
        at_s=time.perf_counter(),
        clocked_down_s=_counted_s(gpu),
    )


def _counted_s(gpu: NvidiaGpu) -> dict[str, float]:
    """Return the counters that this driver has for this GPU; they are in nanoseconds."""
    found = {}
    for cause, name in _COUNTERS.items():
        try:
            status = gpu.nvml.nvmlDeviceGetViolationStatus(gpu.handle, getattr(gpu.nvml, name))
        except gpu.nvml.NVMLError:
            continue
        found[cause] = status.violationTime / 1e9
    return found


def clocked_down(before: GpuState, after: GpuState) -> dict[str, float] | None:
    """Return for each cause the share of the time between two states, most first.

    None where the driver does not count what slows a GPU most: then nobody knows.
    """
    elapsed_s = after.at_s - before.at_s
    shares = {
        cause: (after.clocked_down_s[cause] - seconds) / elapsed_s
        for cause, seconds in before.clocked_down_s.items()
        # a counter that went back began anew, with the driver
        if elapsed_s > 0 and after.clocked_down_s.get(cause, -1.0) >= seconds
    }
    if not shares.keys() >= _DECISIVE:
        return None
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))
