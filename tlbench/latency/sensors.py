"""What the machine does while something is timed: other load, clock speed, and the GPU's state."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from tlbench.core.errors import GpuUnreadableError
from tlbench.machine import cpu_quota, open_gpu, throttled_s, usable_cpus

# A lap takes about 10 µs, and the fastest within this time shows the processor's speed. Laps are
# short and many because on a shared machine a neighbour on the same core can double most of them
# for tenths of a second.
_LAP_STEPS = 1000
_LAPS_S = 0.2
# Bits of nvmlClocksEventReasons that slow a measurement; "idle" and clocks set by hand do not.
_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
}
# Counters of the time that the GPU was held below its application clocks (nvmlPerfPolicyType).
# Low utilisation is another of them, but it is not throttling.
_COUNTERS = {
    "power cap": "NVML_PERF_POLICY_POWER",
    "heat": "NVML_PERF_POLICY_THERMAL",
    "sync boost": "NVML_PERF_POLICY_SYNC_BOOST",
    "board limit": "NVML_PERF_POLICY_BOARD_LIMIT",
    "reliability": "NVML_PERF_POLICY_RELIABILITY",
}
# What slows a single GPU; a driver that does not count both cannot tell what happened in between.
_DECISIVE = frozenset({"power cap", "heat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """One GPU at one moment."""

    reasons: tuple[str, ...] = ()  # why it is throttled; empty if it is not, or if *unknown* is set
    unknown: str | None = None  # why the reasons could not be read
    temperature_c: float | None = None  # of the chip; None if the driver does not report it
    sm_clock_hz: float | None = None  # of its multiprocessors
    at_s: float = 0.0  # when, on a clock that only moves forward
    # For each cause that the driver counts: seconds throttled since some start.
    clocked_down_s: Mapping[str, float] = field(default_factory=dict)


def gpu_state(device_id: int = 0) -> GpuState:
    """Return the state of the GPU that CUDA knows by this number, or why it cannot be read."""
    try:
        gpu = open_gpu(device_id)
    except GpuUnreadableError as error:
        return GpuState(unknown=str(error))
    nvml, unknown, mask = gpu.nvml, None, 0
    try:
        mask = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu.handle)
    except nvml.NVMLError as error:
        unknown = f"NVML reports: {error}"

    def optional(name: str, kind: int) -> float | None:
        """Return a value that explains but decides nothing, so it may be missing."""
        try:
            return float(getattr(nvml, name)(gpu.handle, kind))
        except nvml.NVMLError:
            return None

    counted_s = {}
    for cause, name in _COUNTERS.items():
        with suppress(nvml.NVMLError):  # raised for what this driver does not count
            status = nvml.nvmlDeviceGetViolationStatus(gpu.handle, getattr(nvml, name))
            counted_s[cause] = status.violationTime / 1e9  # NVML gives nanoseconds
    megahertz = optional("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM)
    return GpuState(
        reasons=tuple(text for bit, text in _REASONS.items() if mask & bit),
        unknown=unknown,
        temperature_c=optional("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
        sm_clock_hz=None if megahertz is None else 1e6 * megahertz,
        at_s=time.perf_counter(),
        clocked_down_s=counted_s,
    )


def clocked_down(before: GpuState, after: GpuState) -> dict[str, float] | None:
    """Return for each cause the fraction of time throttled between two states, largest first.

    None if the driver does not count what slows a GPU most.
    """
    elapsed_s = after.at_s - before.at_s
    shares = {
        cause: (after.clocked_down_s[cause] - seconds) / elapsed_s
        for cause, seconds in before.clocked_down_s.items()
        # a counter that went back was restarted with the driver
        if elapsed_s > 0 and after.clocked_down_s.get(cause, -1.0) >= seconds
    }
    if not shares.keys() >= _DECISIVE:
        return None
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Cumulative seconds and momentary speed; None for what the machine does not report."""

    busy_s: float | None  # spent by everybody on this process's processors, stolen time included
    own_s: float  # spent by this process and its children
    wall_s: float
    lap_s: float  # of a fixed piece of arithmetic, the fastest of several
    temperature_c: float | None = None  # the hottest sensor of the processor
    throttled_s: float | None = None  # that CPU quotas stopped processors, as `throttled_s` counts


class MachineSensors(Protocol):
    """What can be read from a machine; tests inject their own."""

    def read(self) -> Reading:
        """Return the present values."""

    def gpu(self) -> GpuState | None:
        """Return the state of the GPU that is measured; None if there is none."""


class SystemSensors:
    """The sensors of this machine, and of one of its GPUs if *gpu_state* is given."""

    def __init__(
        self, gpu_state: Callable[[], GpuState] | None = None, laps_s: float = _LAPS_S
    ) -> None:
        self._gpu_state, self._laps_s = gpu_state, laps_s

    def read(self) -> Reading:
        """Return the present values."""
        lap_s, ends = _lap_s(), time.perf_counter() + self._laps_s
        while time.perf_counter() < ends:
            lap_s = min(lap_s, _lap_s())
        times = os.times()  # of the children that this process has waited for
        return Reading(
            busy_s=_busy_s(),
            own_s=time.process_time() + times.children_user + times.children_system,
            wall_s=time.perf_counter(),
            lap_s=lap_s,
            temperature_c=_temperature_c(),
            throttled_s=throttled_s(),
        )

    def gpu(self) -> GpuState | None:
        """Return the state of the GPU in use; None without one."""
        return None if self._gpu_state is None else self._gpu_state()


def _lap_s() -> float:
    started = time.perf_counter()
    for _ in range(_LAP_STEPS):
        pass
    return time.perf_counter() - started


def _busy_s() -> float | None:
    """Return the seconds that the usable processors were not idle since the machine started."""
    import psutil

    try:
        table = psutil.cpu_times(percpu=True)
    except (OSError, RuntimeError, NotImplementedError):  # no /proc, or no permission
        return None
    usable = usable_cpus()
    # guest time is already part of user time
    idle = ("idle", "iowait", "guest", "guest_nice")
    return sum(
        sum(value for name, value in times._asdict().items() if name not in idle)
        for cpu, times in enumerate(table)
        if cpu in usable
    )


def _temperature_c() -> float | None:
    """Return the hottest of the processor's sensors (Intel, AMD, Arm, by their Linux drivers)."""
    import psutil

    if not hasattr(psutil, "sensors_temperatures"):  # Windows, macOS
        return None
    try:
        sensors = psutil.sensors_temperatures()
    except (OSError, ValueError):  # a driver that reports something other than a number
        return None
    degrees = [
        each.current
        for name in ("coretemp", "k10temp", "zenpower", "cpu_thermal")
        for each in sensors.get(name, ())
    ]
    return max(degrees, default=None)


@dataclass(slots=True, kw_only=True)
class MachineSamples:
    """What changed on the machine between the two ends of a measurement."""

    cpus: int  # processors that this process may use
    other_cpus: float | None  # of these, how many others kept busy on average
    slowdown: float  # time of a fixed piece of arithmetic after, divided by that before
    temperatures_c: tuple[float, ...] = ()  # of the processor at both ends; empty without a sensor
    gpu: tuple[GpuState, ...] = ()  # at both ends; empty if no GPU is measured
    cpu_quota: float | None = None  # processors' time that the cgroups allow; None without a limit
    throttled_cpus: float | None = None  # how many processors it held back on average


@contextmanager
def watch(sensors: MachineSensors) -> Iterator[MachineSamples]:
    """Read the machine before and after the body; the samples are filled in when it ends."""
    with watch_each([sensors]) as (machine_samples,):
        yield machine_samples


@contextmanager
def watch_each(each: Sequence[MachineSensors]) -> Iterator[list[MachineSamples]]:
    """Watch the machine for several models that take turns on it, each with its own GPU or none."""
    found = [
        MachineSamples(
            cpus=len(usable_cpus()), other_cpus=None, slowdown=1.0, cpu_quota=cpu_quota()
        )
        for _ in each
    ]
    gpus = [sensors.gpu() for sensors in each]
    before = each[0].read()  # the processor's values apply to all
    try:
        yield found
    finally:
        after = each[0].read()
        wall_s, other_cpus, throttled_cpus = after.wall_s - before.wall_s, None, None
        if after.busy_s is not None and before.busy_s is not None and wall_s > 0:
            others_s = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
            other_cpus = max(0.0, others_s / wall_s)
        if after.throttled_s is not None and before.throttled_s is not None and wall_s > 0:
            throttled_cpus = (after.throttled_s - before.throttled_s) / wall_s
        degrees = before.temperature_c, after.temperature_c
        for machine_samples, sensors, gpu in zip(found, each, gpus, strict=True):
            machine_samples.other_cpus = other_cpus
            machine_samples.throttled_cpus = throttled_cpus
            machine_samples.slowdown = after.lap_s / before.lap_s
            machine_samples.temperatures_c = tuple(d for d in degrees if d is not None)
            machine_samples.gpu = tuple(s for s in (gpu, sensors.gpu()) if s is not None)
