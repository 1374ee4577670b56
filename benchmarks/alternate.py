"""Two or more callables against one another in one process: warmed up, in blocks, in random order.

On a machine whose speed drifts this is the only fair comparison. Each block holds every side once,
in a random order, so that a drift favours none; a ratio is taken inside a block and its interval
over the blocks.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["THREADS", "Blocks", "Estimate", "alternate", "median_estimate", "run_warm", "warm_up"]

# The same on every side of every comparison.
THREADS = 2

# Longer than any of the libraries spins after its last call: 0.04 s for ONNX Runtime 1.31 here.
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A median over blocks with its interval."""

    median: float
    low: float
    high: float
    n_blocks: int

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}], {self.n_blocks} blocks"


def median_estimate(values: Sequence[float]) -> Estimate:
    """Return the median of independent values and its interval of at least 95 % confidence.

    The ends are two of the values (sign test): the widest-ranked pair that keeps the coverage, with
    no assumption about their distribution. It takes 6 values.
    """
    ordered, n = sorted(values), len(values)
    if n < 6:
        raise ValueError(f"an interval at 95 % takes 6 blocks, not {n}")
    rank = max(k for k in range(1, n // 2 + 1) if _outside(n, k) <= 0.05)
    return Estimate(
        median=statistics.median(ordered), low=ordered[rank - 1], high=ordered[-rank], n_blocks=n
    )


def _outside(n: int, rank: int) -> float:
    """Return the chance that a median lies outside the values of this rank from either end."""
    return 2 * sum(math.comb(n, i) for i in range(rank)) / 2**n


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """What was timed.

    Attributes
    ----------
    times_s : dict
        For each side, for each block, the seconds of each call.
    pause_cpu_s : dict
        For each side, processor seconds that this process burned in the pause after each block:
        threads that spin on although nothing runs.
    """

    times_s: dict[str, list[list[float]]]
    pause_cpu_s: dict[str, list[float]]

    def block_medians_s(self, side: str) -> list[float]:
        """Return the median call of each block."""
        return [statistics.median(block) for block in self.times_s[side]]

    def ratio(self, side: str, to: str) -> Estimate:
        """Return how many times as long *side* takes as *to*."""
        pairs = zip(self.block_medians_s(side), self.block_medians_s(to), strict=True)
        return median_estimate([one / other for one, other in pairs])

    def difference(self, side: str, to: str) -> Estimate:
        """Return how many seconds longer *side* takes than *to*."""
        pairs = zip(self.block_medians_s(side), self.block_medians_s(to), strict=True)
        return median_estimate([one - other for one, other in pairs])

    def facts(self) -> dict[str, object]:
        """Return the medians for ``extra_info``."""
        return {
            "threads": THREADS,
            "block_medians_s": {side: self.block_medians_s(side) for side in self.times_s},
            "cpu_s_in_pause_after": {
                side: statistics.median(values) for side, values in self.pause_cpu_s.items()
            },
            "calls_in_a_block": len(next(iter(self.times_s.values()))[0]),
        }


def warm_up(call: Callable[[], object], *, seconds: float = 0.5, min_calls: int = 3) -> float:
    """Call until the cold calls are over; return the seconds of the last one."""
    began, n_calls = time.perf_counter(), 0
    while True:
        started = time.perf_counter()
        call()
        ended = time.perf_counter()
        n_calls += 1
        if n_calls >= min_calls and ended - began >= seconds:
            return ended - started


def alternate(
    sides: Mapping[str, Callable[[], object]],
    *,
    n_blocks: int,
    calls: int,
    pause_s: float = PAUSE_S,
    warm_up_s: float = 0.5,
    seed: int = 0,
) -> Blocks:
    """Time *calls* calls of each side in each of *n_blocks* blocks.

    Before its timed calls a side is called once, which wakes its threads and fills the caches that
    the other sides took. After them comes a pause, in which its threads fall asleep: those of ONNX
    Runtime and OpenMP spin for a while, at the cost of whoever runs next.
    """
    for call in sides.values():
        warm_up(call, seconds=warm_up_s)
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    times: dict[str, list[list[float]]] = {side: [] for side in sides}
    spun: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(n_blocks):
        for side in generator.sample(list(sides), len(sides)):
            call = sides[side]
            call()
            times[side].append([_seconds(call) for _ in range(calls)])
            began = time.process_time()
            time.sleep(pause_s)
            spun[side].append(time.process_time() - began)
    return Blocks(times_s=times, pause_cpu_s=spun)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    result = call()
    ended = time.perf_counter()
    del result
    return ended - started


def run_warm(
    benchmark, call: Callable[[], object], *, target_s: float = 2.0, max_rounds: int = 200
):
    """Benchmark a callable with pytest-benchmark, warm from the first round on.

    By itself the plugin neither warms up nor calibrates on a warm call: it takes the number of
    iterations from the first, cold one. Here the rounds follow from a warm call, 5 at least.
    """
    last_s = warm_up(call)
    rounds = min(max_rounds, max(5, round(target_s / max(last_s, 1e-9))))
    return benchmark.pedantic(call, rounds=rounds, iterations=1)
