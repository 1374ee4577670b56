"""Call something again and again, and keep every sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tlbench.core.errors import ConfigError
from tlbench.latency.clock import Clock, SystemClock
from tlbench.latency.energy import EnergyCounter, energy_meter


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRule:
    """When to stop: after both minima are reached, or at the maximum time.

    Attributes
    ----------
    warmup_s, min_warmup_calls : float, int
        The warm-up lasts until both are reached; the first call of all is kept apart from it.
    min_samples, min_duration_s : int, float
        The measurement lasts until both are reached,
    max_duration_s : float
        but a slow callable ends it here, with what samples there are (at least one).
    pause_s : float
        Wait before each counted call, as a device does that is asked now and then.
    """

    warmup_s: float = 0.3
    min_warmup_calls: int = 2
    min_samples: int = 64
    min_duration_s: float = 1.0
    max_duration_s: float = 30.0
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        if self.min_samples < 1 or self.max_duration_s < self.min_duration_s:
            msg = (
                f"A measurement of {self.min_samples} samples in {self.min_duration_s} to "
                f"{self.max_duration_s} s is impossible: need at least 1 sample and min <= max."
            )
            raise ConfigError(msg)

    def is_done(self, n_samples: int, elapsed_s: float) -> bool:
        """Tell whether a measurement may end after so many samples and so much time."""
        enough = n_samples >= self.min_samples and elapsed_s >= self.min_duration_s
        return enough or elapsed_s >= self.max_duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of every call, in the order measured.

    Attributes
    ----------
    cpu_s : float
        Processor time of the whole process over the counted samples.
    energy_j : float or None
        What the energy counter, if there is one, went up by over the counted samples.
    wall_s : float
        From the first counted call to the end of the last, pauses included.
    block_sizes : tuple of int
        Samples of each block where several callables took turns; empty otherwise.
    complete : bool
        False where Ctrl-C ended the measurement before the rule did.
    """

    first_s: float
    warmup_s: tuple[float, ...]
    samples_s: tuple[float, ...]
    cpu_s: float
    wall_s: float
    energy_j: float | None = None
    block_sizes: tuple[int, ...] = ()
    complete: bool = True


@dataclass(slots=True)
class Sampler:
    """Times single calls ``call(i)`` for i = 0, 1, 2, ...

    The number is handed over so that the callable can take another input each time: a repeated
    input may be answered from a cache. Results are dropped at once, outside the timed part.
    """

    call: Callable[[int], object]
    clock: Clock = field(default_factory=SystemClock)
    n_calls: int = 0

    def sample(self) -> float:
        """Return the seconds of one more call."""
        # Local names: what is looked up between the two readings is counted.
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


def measure(
    call: Callable[[int], object],
    rule: StoppingRule | None = None,
    *,
    clock: Clock | None = None,
    energy: EnergyCounter | None = None,
    is_steady: Callable[[Sequence[float]], bool] | None = None,
) -> Timing:
    """Time ``call(i)`` for i = 0, 1, 2, ... one after the other; see `Sampler`.

    Parameters
    ----------
    is_steady : callable or None
        Asked about the samples when the rule's minima are reached. While it says no, the
        measurement goes on, half as long again each time, up to the rule's maximum.

    Notes
    -----
    Ctrl-C during the counted calls ends the measurement and keeps what there is, marked as not
    complete; before the first counted call it is an interruption like any other.
    """
    rule, clock = rule or StoppingRule(), clock or SystemClock()
    sampler = Sampler(call, clock)
    first_s = sampler.sample()
    warmup = sampler.warm_up(rule)
    samples: list[float] = []
    complete = True
    joules = energy_meter(energy)
    ask_at_s = cpu_aside_s = 0.0
    began, cpu_began = clock.now_s(), clock.cpu_s()
    try:
        while True:
            elapsed = clock.now_s() - began
            if samples and rule.is_done(len(samples), elapsed):
                if is_steady is None or elapsed >= rule.max_duration_s:
                    break
                if elapsed >= ask_at_s:
                    cpu_before = clock.cpu_s()
                    if is_steady(samples):
                        break
                    ask_at_s = 1.5 * elapsed
                    sampler.sample()  # not counted: threads and caches had rest meanwhile
                    cpu_aside_s += clock.cpu_s() - cpu_before
            if rule.pause_s:
                clock.sleep_s(rule.pause_s)
            samples.append(sampler.sample())
    except KeyboardInterrupt:
        if not samples:
            raise
        complete = False
    return Timing(
        first_s=first_s,
        warmup_s=warmup,
        samples_s=tuple(samples),
        cpu_s=clock.cpu_s() - cpu_began - cpu_aside_s,
        wall_s=clock.now_s() - began,
        energy_j=joules(),
        complete=complete,
    )
