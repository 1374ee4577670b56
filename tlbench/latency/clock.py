"""The clock that a measurement reads and waits on; tests inject their own."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings, both in seconds from an arbitrary start, and a way to wait."""

    def now_s(self) -> float:
        """Return the wall clock: monotonic, of the best resolution there is."""

    def cpu_s(self) -> float:
        """Return the processor time of all threads of this process."""

    def sleep_s(self, seconds: float) -> None:
        """Wait without using the processor."""


class SystemClock:
    """The machine's clocks."""

    def now_s(self) -> float:
        """Return `time.perf_counter`."""
        return time.perf_counter()

    def cpu_s(self) -> float:
        """Return `time.process_time`."""
        return time.process_time()

    def sleep_s(self, seconds: float) -> None:
        """Call `time.sleep`, which returns at once for nothing to wait."""
        time.sleep(max(0.0, seconds))


def tick_s(clock: Clock, readings: int = 1000) -> float:
    """Return the smallest step that the wall clock was seen to make, in seconds.

    The operating system's own figure is a promise; this is what a timing really rests on. A clock
    that never moved in so many readings has a tick of at least as long as they took, so infinity.
    """
    smallest = float("inf")
    last = clock.now_s()
    for _ in range(readings):
        now = clock.now_s()
        if now > last:
            smallest = min(smallest, now - last)
        last = now
    return smallest
