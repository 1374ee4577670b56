"""What the rest of the machine does while something is timed: other load, clock speed, the GPU.

Only the difference between two readings means anything, so a measurement is framed by `watch`.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from tlbench.latency.throttle import GpuState
from tlbench.machine import available_cpus

# A lap is some 10 µs, and the fastest within this time is the processor's speed. Short and many: on
# a shared machine a neighbour on the same core doubles most laps for tenths of a second.
_LAP_STEPS = 1000
_LAPS_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Cumulative seconds and momentary speed; None where the machine does not tell.

    Attributes
    ----------
    busy_s : float or None
        Processor time spent by everybody on the processors that this process may use, stolen time
        of a virtual machine included.
    own_s : float
        Processor time spent by this process and its children.
    wall_s : float
        Wall clock.
    lap_s : float
        Seconds of a fixed piece of arithmetic, the fastest of several: longer when clocked down.
    temperature_c : float or None
        The hottest of the processor's own sensors; virtual machines have none.
    """

    busy_s: float | None
    own_s: float
    wall_s: float
    lap_s: float
    temperature_c: float | None = None


class MachineSensors(Protocol):
    """What can be read of a machine; tests inject their own."""

    def read(self) -> Reading:
        """Return the present figures."""

    def gpu(self) -> GpuState | None:
        """Return the state of the GPU that is measured; None where there is none to look at."""


class SystemSensors:
    """The machine at hand.

    Parameters
    ----------
    gpu_state : callable or None
        Returns the state of the GPU in use; None where the network runs on the processor.
    laps_s : float
        How long to look for the processor's speed at each reading.
    """

    def __init__(
        self, gpu_state: Callable[[], GpuState] | None = None, laps_s: float = _LAPS_S
    ) -> None:
        self._gpu_state, self._laps_s = gpu_state, laps_s

    def read(self) -> Reading:
        """Return the present figures."""
        lap_s, ends = _lap_s(), time.perf_counter() + self._laps_s
        while time.perf_counter() < ends:
            lap_s = min(lap_s, _lap_s())
        return Reading(
            busy_s=_busy_s(),
            own_s=_own_s(),
            wall_s=time.perf_counter(),
            lap_s=lap_s,
            temperature_c=_temperature_c(),
        )

    def gpu(self) -> GpuState | None:
        """Return the state of the GPU in use; None without one."""
        return None if self._gpu_state is None else self._gpu_state()


def _lap_s() -> float:
    started = time.perf_counter()
    for _ in range(_LAP_STEPS):
        pass
    return time.perf_counter() - started


def _own_s() -> float:
    """Return the processor time of this process and of the children that it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _busy_s() -> float | None:
    """Return the seconds that the usable processors were not idle, since the machine started."""
    import psutil

    try:
        table = psutil.cpu_times(percpu=True)
    except (OSError, RuntimeError, NotImplementedError):  # no /proc, or not allowed
        return None
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(table))
    # guest time is part of user time already
    idle = ("idle", "iowait", "guest", "guest_nice")
    return sum(
        sum(value for name, value in times._asdict().items() if name not in idle)
        for cpu, times in enumerate(table)
        if cpu in usable
    )


def _temperature_c() -> float | None:
    """Return the hottest of the processor's sensors (Intel, AMD, Arm by their Linux drivers)."""
    import psutil

    if not hasattr(psutil, "sensors_temperatures"):  # Windows, macOS
        return None
    try:
        sensors = psutil.sensors_temperatures()
    except (OSError, ValueError):  # a driver that gives no number
        return None
    degrees = [
        each.current
        for name in ("coretemp", "k10temp", "zenpower", "cpu_thermal")
        for each in sensors.get(name, ())
    ]
    return max(degrees, default=None)


@dataclass(slots=True)
class MachineSamples:
    """What changed between the two ends of a measurement.

    Attributes
    ----------
    other_cpus : float or None
        Processors that others kept busy on average, of the *cpus* that this process may use.
    slowdown : float
        Time of a fixed piece of arithmetic after, over that before.
    temperatures_c : tuple of float
        Of the processor at the two ends; empty where it has no sensor.
    gpu : tuple of GpuState
        The GPU at the two ends; empty where none is measured.
    """

    cpus: int = field(default_factory=available_cpus)
    other_cpus: float | None = None
    slowdown: float = 1.0
    temperatures_c: tuple[float, ...] = ()
    gpu: tuple[GpuState, ...] = ()


@contextmanager
def watch(machine: MachineSensors) -> Iterator[MachineSamples]:
    """Read the machine before and after the body; the figures are there when the body is left."""
    with watch_each([machine]) as (machine_samples,):
        yield machine_samples


@contextmanager
def watch_each(machines: Sequence[MachineSensors]) -> Iterator[list[MachineSamples]]:
    """Watch the machine for several who take turns on it, each with a GPU of its own or none.

    The first one's figures of the processors are everybody's.
    """
    found = [MachineSamples() for _ in machines]
    gpus = [machine.gpu() for machine in machines]
    before = machines[0].read()
    try:
        yield found
    finally:
        after = machines[0].read()
        for machine_samples, machine, gpu in zip(found, machines, gpus, strict=True):
            _compare(machine_samples, before, after)
            machine_samples.gpu = tuple(
                state for state in (gpu, machine.gpu()) if state is not None
            )


def _compare(machine_samples: MachineSamples, before: Reading, after: Reading) -> None:
    """Write down what changed between two readings."""
    wall = after.wall_s - before.wall_s
    if after.busy_s is not None and before.busy_s is not None and wall > 0:
        others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
        machine_samples.other_cpus = max(0.0, others / wall)
    machine_samples.slowdown = after.lap_s / before.lap_s
    machine_samples.temperatures_c = tuple(
        end.temperature_c for end in (before, after) if end.temperature_c is not None
    )
