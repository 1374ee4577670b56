"""Call something again and again, keep every sample, and summarise the samples."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tlbench.core.errors import ConfigError
from tlbench.latency.energy import EnergyCounter, energy_meter
from tlbench.records import Interval, Percentile
from tlbench.stats import autocorrelation, percentile, quantile_interval, samples_needed

_REPORTED = (0.5, 0.9, 0.95, 0.99)


class Clock(Protocol):
    """The clock that a measurement reads and waits on; tests inject their own."""

    def now_s(self) -> float:
        """Return wall time in seconds from an arbitrary start; it never goes back."""

    def cpu_s(self) -> float:
        """Return the processor time of all threads of this process, in seconds."""

    def sleep_s(self, seconds: float) -> None:
        """Wait without using the processor."""


class SystemClock:
    """The clocks of this machine."""

    def now_s(self) -> float:
        """Return `time.perf_counter`, the clock with the best resolution."""
        return time.perf_counter()

    def cpu_s(self) -> float:
        """Return `time.process_time`."""
        return time.process_time()

    def sleep_s(self, seconds: float) -> None:
        """Sleep; return at once if *seconds* is not above 0."""
        time.sleep(max(0.0, seconds))


def tick_s(clock: Clock, readings: int = 1000) -> float:
    """Return the smallest step, in seconds, that the wall clock was seen to make; inf for none."""
    smallest, last = float("inf"), clock.now_s()
    for _ in range(readings):
        now = clock.now_s()
        if now > last:
            smallest = min(smallest, now - last)
        last = now
    return smallest


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRule:
    """When to stop: once both minima are reached, or at the maximum, after one call at least."""

    warmup_s: float = 0.3  # the warm-up lasts until this and the next are reached
    min_warmup_calls: int = 2  # without the very first call
    min_samples: int = 64
    min_duration_s: float = 1.0
    max_duration_s: float = 30.0
    pause_s: float = 0.0  # before each counted call, like a device that is used now and then

    def __post_init__(self) -> None:
        if self.min_samples < 1:
            raise ConfigError(f"min_samples must be at least 1, got {self.min_samples}.")
        if self.max_duration_s < self.min_duration_s:
            raise ConfigError(
                f"max_duration_s must be at least min_duration_s ({self.min_duration_s}), "
                f"got {self.max_duration_s}."
            )

    def is_done(self, n_samples: int, elapsed_s: float) -> bool:
        """Return whether a measurement may end after so many samples and so much time."""
        enough = n_samples >= self.min_samples and elapsed_s >= self.min_duration_s
        return enough or elapsed_s >= self.max_duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of every call, in the order measured; the totals are over the counted calls."""

    first_s: float  # the very first call
    warmup_s: tuple[float, ...]
    samples_s: tuple[float, ...]  # the counted calls
    cpu_s: float  # processor time of the whole process, without that of the checks in between
    wall_s: float  # with the pauses, without the checks
    energy_j: float | None = None  # None without a counter
    block_sizes: tuple[int, ...] = ()  # samples per block if several callables took turns
    complete: bool = True  # False if Ctrl-C ended the measurement before the rule did


@dataclass(slots=True)
class Sampler:
    """Times single calls ``call(i)`` for i = 0, 1, 2, ... and drops each result afterwards."""

    call: Callable[[int], object]
    clock: Clock = field(default_factory=SystemClock)
    n_calls: int = 0

    def sample(self) -> float:
        """Return the seconds of one more call."""
        # Local names: an attribute lookup between the two readings would be timed.
        call, number, now_s = self.call, self.n_calls, self.clock.now_s
        started = now_s()
        result = call(number)
        ended = now_s()
        del result
        self.n_calls = number + 1
        return ended - started

    def warm_up(self, rule: StoppingRule) -> tuple[float, ...]:
        """Return the seconds of the calls of the warm-up."""
        warmup: list[float] = []
        began = self.clock.now_s()
        while len(warmup) < rule.min_warmup_calls or self.clock.now_s() - began < rule.warmup_s:
            warmup.append(self.sample())
        return tuple(warmup)


@dataclass(slots=True)
class _Meter:
    """Adds up wall time, processor time and energy while it runs."""

    clock: Clock
    energy: EnergyCounter | None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    energy_j: float | None = None
    _since: tuple[float, float, Callable[[], float | None]] | None = None

    def start(self) -> None:
        joules = energy_meter(self.energy)  # before the clocks: a counter takes time to read
        self._since = self.clock.now_s(), self.clock.cpu_s(), joules

    def stop(self) -> None:
        if self._since is None:  # Ctrl-C while it was stopped
            return
        wall_s, cpu_s, joules = self._since
        self.wall_s += self.clock.now_s() - wall_s
        self.cpu_s += self.clock.cpu_s() - cpu_s
        if (spent_j := joules()) is not None:
            self.energy_j = (self.energy_j or 0.0) + spent_j
        self._since = None


def measure(
    call: Callable[[int], object],
    rule: StoppingRule | None = None,
    *,
    clock: Clock | None = None,
    energy: EnergyCounter | None = None,
    is_steady: Callable[[Sequence[float]], bool] | None = None,
) -> Timing:
    """Time ``call(i)`` for i = 0, 1, 2, ..., one call after the other.

    Parameters
    ----------
    call : callable
        Takes the call's number, to use another input each time: caches may know a repeated one.
    rule, clock, energy : StoppingRule, Clock, EnergyCounter or None
        None for the default rule, the machine's clock, and no energy.
    is_steady : callable or None
        Asked about the samples when the rule's minima are reached: while it returns False the
        measurement continues, half as long again each time, up to the rule's maximum.

    Returns
    -------
    Timing
        Every sample. Ctrl-C during the counted calls ends the measurement and keeps its samples,
        marked as incomplete; before the first counted call it is raised as usual.
    """
    rule, clock = rule or StoppingRule(), clock or SystemClock()
    sampler = Sampler(call, clock)
    first_s = sampler.sample()
    warmup = sampler.warm_up(rule)
    samples: list[float] = []
    complete = True
    meter = _Meter(clock, energy)
    ask_at_s = 0.0
    meter.start()
    began = clock.now_s()
    try:
        while True:
            elapsed = clock.now_s() - began
            if samples and rule.is_done(len(samples), elapsed):
                if is_steady is None or elapsed >= rule.max_duration_s:
                    break
                if elapsed >= ask_at_s:
                    meter.stop()
                    if is_steady(samples):
                        break
                    ask_at_s = 1.5 * elapsed
                    sampler.sample()  # not counted, because the threads were idle meanwhile
                    meter.start()
            if rule.pause_s:
                clock.sleep_s(rule.pause_s)
            samples.append(sampler.sample())
    except KeyboardInterrupt:
        if not samples:
            raise
        complete = False
    meter.stop()
    return Timing(
        first_s=first_s,
        warmup_s=warmup,
        samples_s=tuple(samples),
        cpu_s=meter.cpu_s,
        wall_s=meter.wall_s,
        energy_j=meter.energy_j,
        complete=complete,
    )


def summarise_percentiles(samples_s: Sequence[float]) -> tuple[Percentile, ...]:
    """Return the reported percentiles; those with too few samples have no value."""
    return tuple(
        Percentile(
            fraction=fraction,
            value_s=percentile(samples_s, fraction) if len(samples_s) >= needed else None,
            n_needed=needed,
            n_samples=len(samples_s),
        )
        for fraction in _REPORTED
        for needed in [samples_needed(fraction)]
    )


def summarise_median(samples_s: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of the median, or None if there are too few effective samples."""
    series = autocorrelation(samples_s)
    inflation = series.inflation if series.detected else 1.0
    found = quantile_interval(samples_s, inflation=inflation)
    if found is None:
        return None
    effective = f", {len(samples_s) / inflation:.0f} effective samples" if inflation > 1 else ""
    return Interval(low=found[0], high=found[1], method=f"order statistics{effective}")
