"""Time several callables in turn, so that a drift of the machine meets them all."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tlbench.core.errors import ConfigError
from tlbench.latency.clock import Clock, SystemClock
from tlbench.latency.measure import Sampler, StoppingRule, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """How the callables take turns.

    Attributes
    ----------
    block_s : float
        A block lasts at least this long and at least one call; all its samples are of one callable.
    min_rounds : int
        Rounds, in each of which every callable has one block, in an order drawn anew.
    warmup_s : float
        Wait before a block, until the threads of the callable before no longer spin. ONNX Runtime's
        were seen to spin for some 20 ms after a call.
    warmup_calls : int
        Calls at the start of a block that are not counted: caches and clocks belong to the one
        before.
    seed : int
        Of the order.
    """

    block_s: float = 0.1
    min_rounds: int = 20
    warmup_s: float = 0.05
    warmup_calls: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.min_rounds < 1:
            raise ConfigError(f"A comparison needs at least 1 round, not {self.min_rounds}.")


@dataclass(frozen=True, slots=True)
class _Block:
    samples_s: tuple[float, ...]
    cpu_s: float
    wall_s: float


@dataclass(slots=True)
class _Side:
    sampler: Sampler
    first_s: float = 0.0
    warmup_s: tuple[float, ...] = ()
    blocks: list[_Block] = field(default_factory=list)

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
    """Time every callable in blocks that alternate in random order.

    The rule's limits and its pause hold for each callable, its maximum for all together; only whole
    rounds are kept, so block i of one stands next to block i of another.

    Returns
    -------
    dict
        A `Timing` for each key, all with the same number of blocks. Ctrl-C keeps the whole rounds,
        marked as not complete; without one it is an interruption like any other.
    """
    rule, turns, clock = rule or StoppingRule(), turns or Turns(), clock or SystemClock()
    order, generator = list(calls), random.Random(turns.seed)  # noqa: S311 - no secret
    sides = {name: _Side(Sampler(call, clock)) for name, call in calls.items()}
    for side in sides.values():
        side.first_s = side.sampler.sample()
        side.warmup_s = side.sampler.warm_up(rule)
    n_rounds, complete, began = 0, True, clock.now_s()

    def is_done() -> bool:
        if clock.now_s() - began >= rule.max_duration_s:
            return True
        return n_rounds >= turns.min_rounds and all(side.is_done(rule) for side in sides.values())

    try:
        while n_rounds == 0 or not is_done():
            generator.shuffle(order)
            for name in order:
                block = _block(sides[name].sampler, turns, clock, pause_s=rule.pause_s)
                sides[name].blocks.append(block)
            n_rounds += 1
    except KeyboardInterrupt:
        if n_rounds == 0:
            raise
        complete = False
    return {name: _timing(side, n_rounds, complete=complete) for name, side in sides.items()}


def _block(sampler: Sampler, turns: Turns, clock: Clock, *, pause_s: float) -> _Block:
    clock.sleep_s(turns.warmup_s)
    for _ in range(turns.warmup_calls):
        sampler.sample()
    samples: list[float] = []
    began, cpu_began = clock.now_s(), clock.cpu_s()
    while not samples or clock.now_s() - began < turns.block_s:
        if pause_s:
            clock.sleep_s(pause_s)
        samples.append(sampler.sample())
    return _Block(tuple(samples), clock.cpu_s() - cpu_began, clock.now_s() - began)


def _timing(side: _Side, n_rounds: int, *, complete: bool) -> Timing:
    blocks = side.blocks[:n_rounds]
    return Timing(
        first_s=side.first_s,
        warmup_s=side.warmup_s,
        samples_s=tuple(sample for block in blocks for sample in block.samples_s),
        cpu_s=sum(block.cpu_s for block in blocks),
        wall_s=sum(block.wall_s for block in blocks),
        block_sizes=tuple(len(block.samples_s) for block in blocks),
        complete=complete,
    )


def block_medians(samples_s: tuple[float, ...], block_sizes: tuple[int, ...]) -> list[float]:
    """Return the median of each block, in order."""
    from statistics import median

    medians, start = [], 0
    for size in block_sizes:
        medians.append(median(samples_s[start : start + size]))
        start += size
    return medians
