"""What the rest of the machine does while something is timed: other load, clock speed, throttling.

Only the difference between two readings means anything, so a measurement is framed by `watch`.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from tlbench.environment import available_cpus

__all__ = ["Machine", "Observed", "Reading", "SystemMachine", "watch"]

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
    """

    busy_s: float | None
    own_s: float
    wall_s: float
    lap_s: float


class Machine(Protocol):
    """What can be read of a machine; tests inject their own."""

    def read(self) -> Reading:
        """Return the present figures."""

    def throttled(self) -> tuple[str, ...]:
        """Return why an accelerator is clocked down at this moment; empty if it is not."""


class SystemMachine:
    """The machine at hand.

    Parameters
    ----------
    throttle_reasons : callable
        Returns the reasons of the accelerator in use; by default there is none.
    laps_s : float
        How long to look for the processor's speed at each reading.
    """

    def __init__(
        self, throttle_reasons: Callable[[], tuple[str, ...]] = tuple, laps_s: float = _LAPS_S
    ) -> None:
        self._throttle_reasons, self._laps_s = throttle_reasons, laps_s

    def read(self) -> Reading:
        """Return the present figures."""
        lap_s, ends = _lap_s(), time.perf_counter() + self._laps_s
        while time.perf_counter() < ends:
            lap_s = min(lap_s, _lap_s())
        return Reading(busy_s=_busy_s(), own_s=_own_s(), wall_s=time.perf_counter(), lap_s=lap_s)

    def throttled(self) -> tuple[str, ...]:
        """Return why the accelerator is clocked down at this moment."""
        return self._throttle_reasons()


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


@dataclass(slots=True)
class Observed:
    """What changed between the two ends of a measurement.

    Attributes
    ----------
    other_cpus : float or None
        Processors that others kept busy on average, of the *cpus* that this process may use.
    slowdown : float
        Time of a fixed piece of arithmetic after, over that before.
    throttle_reasons : tuple of str
        Given by the accelerator at either end.
    """

    cpus: int = field(default_factory=available_cpus)
    other_cpus: float | None = None
    slowdown: float = 1.0
    throttle_reasons: tuple[str, ...] = ()


@contextmanager
def watch(machine: Machine) -> Iterator[Observed]:
    """Read the machine before and after the body; the figures are there when the body is left."""
    observed = Observed()
    throttled = machine.throttled()
    before = machine.read()
    try:
        yield observed
    finally:
        after = machine.read()
        wall = after.wall_s - before.wall_s
        if after.busy_s is not None and before.busy_s is not None and wall > 0:
            others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
            observed.other_cpus = max(0.0, others / wall)
        observed.slowdown = after.lap_s / before.lap_s
        observed.throttle_reasons = tuple(dict.fromkeys((*throttled, *machine.throttled())))
