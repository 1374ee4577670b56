"""The clock that a measurement reads; tests inject their own."""

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Two readings, both in seconds from an arbitrary start."""

    def now_s(self) -> float:
        """Return the wall clock: monotonic, of the best resolution there is."""

    def cpu_s(self) -> float:
        """Return the processor time of all threads of this process."""


class SystemClock:
    """The machine's clocks."""

    def now_s(self) -> float:
        """Return `time.perf_counter`."""
        return time.perf_counter()

    def cpu_s(self) -> float:
        """Return `time.process_time`."""
        return time.process_time()
