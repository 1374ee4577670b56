"""Call something again and again, and keep every sample."""

from collections.abc import Callable
from dataclasses import dataclass

from tlbench.errors import ConfigError
from tlbench.latency.clock import Clock, SystemClock

__all__ = ["Plan", "Timing", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When to stop: after both minima are reached, or at the maximum time.

    Attributes
    ----------
    warmup_s, min_warmup_calls : float, int
        The warm-up lasts until both are reached; the first call of all is kept apart from it.
    min_samples, min_duration_s : int, float
        The measurement lasts until both are reached,
    max_duration_s : float
        but a slow callable ends it here, with what samples there are (at least one).
    """

    warmup_s: float = 0.3
    min_warmup_calls: int = 2
    min_samples: int = 64
    min_duration_s: float = 1.0
    max_duration_s: float = 30.0

    def __post_init__(self) -> None:
        if self.min_samples < 1 or self.max_duration_s < self.min_duration_s:
            msg = (
                f"A measurement of {self.min_samples} samples in {self.min_duration_s} to "
                f"{self.max_duration_s} s is impossible: need at least 1 sample and min <= max."
            )
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of every call, in the order measured.

    ``cpu_s`` is the processor time of the whole process over the counted samples.
    """

    first_s: float
    warmup_s: tuple[float, ...]
    samples_s: tuple[float, ...]
    cpu_s: float


def measure(
    call: Callable[[int], object], plan: Plan | None = None, *, clock: Clock | None = None
) -> Timing:
    """Time ``call(i)`` for i = 0, 1, 2, ...

    The number is handed over so that the callable can take another input each time: a repeated
    input may be answered from a cache. Results are dropped at once, outside the timed part.
    """
    plan, clock = plan or Plan(), clock or SystemClock()
    n_calls = 0

    def sample() -> float:
        nonlocal n_calls
        started = clock.now_s()
        result = call(n_calls)
        ended = clock.now_s()
        del result
        n_calls += 1
        return ended - started

    first_s = sample()
    warmup: list[float] = []
    began = clock.now_s()
    while len(warmup) < plan.min_warmup_calls or clock.now_s() - began < plan.warmup_s:
        warmup.append(sample())
    samples: list[float] = []
    began, cpu_began = clock.now_s(), clock.cpu_s()
    while True:
        samples.append(sample())
        elapsed = clock.now_s() - began
        if len(samples) >= plan.min_samples and elapsed >= plan.min_duration_s:
            break
        if elapsed >= plan.max_duration_s:
            break
    return Timing(
        first_s=first_s,
        warmup_s=tuple(warmup),
        samples_s=tuple(samples),
        cpu_s=clock.cpu_s() - cpu_began,
    )
