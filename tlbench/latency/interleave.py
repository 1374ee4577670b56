"""Time several callables in turn, so that a trend of the machine affects all of them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import median

from tlbench.core.errors import ConfigError
from tlbench.latency.timing import Clock, Sampler, StoppingRule, SystemClock, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """How the callables take turns."""

    block_s: float = 0.1  # a block lasts at least this long and one call, all of one callable
    min_rounds: int = 20  # in each round every callable has one block, in a newly drawn order
    # Wait before a block: ONNX Runtime's threads were seen to spin for some 20 ms after a call.
    warmup_s: float = 0.05
    # Uncounted calls at the start of a block: caches and clocks are still the previous callable's.
    warmup_calls: int = 1
    seed: int = 0  # of the order

    def __post_init__(self) -> None:
        if self.min_rounds < 1:
            raise ConfigError(f"min_rounds must be at least 1, got {self.min_rounds}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Consecutive calls of one callable: their seconds, and the totals over them."""

    samples_s: tuple[float, ...]
    cpu_s: float
    wall_s: float


def time_block(sampler: Sampler, turns: Turns, clock: Clock, *, pause_s: float = 0.0) -> Block:
    """Wait, make the uncounted calls, and time calls for one block."""
    clock.sleep_s(turns.warmup_s)
    for _ in range(turns.warmup_calls):
        sampler.sample()
    samples: list[float] = []
    began, cpu_began = clock.now_s(), clock.cpu_s()
    while not samples or clock.now_s() - began < turns.block_s:
        if pause_s:
            clock.sleep_s(pause_s)
        samples.append(sampler.sample())
    return Block(
        samples_s=tuple(samples),
        cpu_s=clock.cpu_s() - cpu_began,
        wall_s=clock.now_s() - began,
    )


def join_blocks(
    blocks: Sequence[Block], *, first_s: float, warmup_s: tuple[float, ...], complete: bool = True
) -> Timing:
    """Return the blocks of one callable as its timing."""
    return Timing(
        first_s=first_s,
        warmup_s=warmup_s,
        samples_s=tuple(sample for block in blocks for sample in block.samples_s),
        cpu_s=sum(block.cpu_s for block in blocks),
        wall_s=sum(block.wall_s for block in blocks),
        block_sizes=tuple(len(block.samples_s) for block in blocks),
        complete=complete,
    )


@dataclass(slots=True)
class _TimedCall:
    sampler: Sampler
    first_s: float = 0.0
    warmup_s: tuple[float, ...] = ()
    blocks: list[Block] = field(default_factory=list)

    def is_done(self, rule: StoppingRule) -> bool:
        n_samples = sum(len(block.samples_s) for block in self.blocks)
        return rule.is_done(n_samples, sum(block.wall_s for block in self.blocks))


def alternate(
    calls: Mapping[str, Callable[[int], object]],
    rule: StoppingRule | None = None,
    turns: Turns | None = None,
    *,
    clock: Clock | None = None,
) -> dict[str, Timing]:
    """Time several callables in blocks that alternate in random order; one `Timing` per key.

    *rule* applies to each callable, its maximum to all together. Ctrl-C keeps whole rounds.
    """
    rule, turns, clock = rule or StoppingRule(), turns or Turns(), clock or SystemClock()
    order, generator = list(calls), random.Random(turns.seed)  # noqa: S311 - no secret
    timed = {name: _TimedCall(Sampler(call, clock)) for name, call in calls.items()}
    for each in timed.values():
        each.first_s = each.sampler.sample()
        each.warmup_s = each.sampler.warm_up(rule)
    n_rounds, complete, began = 0, True, clock.now_s()

    def is_done() -> bool:
        if clock.now_s() - began >= rule.max_duration_s:
            return True
        return n_rounds >= turns.min_rounds and all(each.is_done(rule) for each in timed.values())

    try:
        while n_rounds == 0 or not is_done():
            generator.shuffle(order)
            for name in order:
                each = timed[name]
                each.blocks.append(time_block(each.sampler, turns, clock, pause_s=rule.pause_s))
            n_rounds += 1
    except KeyboardInterrupt:
        if n_rounds == 0:
            raise
        complete = False
    return {
        name: join_blocks(
            each.blocks[:n_rounds],
            first_s=each.first_s,
            warmup_s=each.warmup_s,
            complete=complete,
        )
        for name, each in timed.items()
    }


def block_medians(samples_s: tuple[float, ...], block_sizes: tuple[int, ...]) -> list[float]:
    """Return the median of each block, in order."""
    samples = iter(samples_s)
    return [median(islice(samples, size)) for size in block_sizes]
