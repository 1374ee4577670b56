"""Timing in rounds that outlive the process: what has been timed is not timed again.

In each round every network is timed for one block, in an order drawn by the round's number. A round
is written when it is whole, so a sweep that is killed goes on with the next one. Whatever the
machine does between two rounds affects all networks alike.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Self

import msgspec

from tlbench.core.errors import ConfigError, ResultError, StorageError
from tlbench.core.files import write_atomically
from tlbench.core.progress import Listener, task
from tlbench.engine import check_provider, open_session
from tlbench.latency import (
    ORDERED,
    Block,
    GpuState,
    MachineSamples,
    Reading,
    Sampler,
    StoppingRule,
    SystemSensors,
    Turns,
    gpu_state,
    join_blocks,
    measure,
    time_block,
)
from tlbench.machine import cpu_quota, usable_cpus
from tlbench.model import OnnxModel
from tlbench.records import LatencyResult
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.timed_model import Calls, LatencyInputs, TimedModel, TimingCase
from tlbench.workflows.steps.timing import memory_of, timing_cases

# Version of a round's file, which only the sweep that wrote it reads.
_ROUND_VERSION = 1
_WARM_UP = StoppingRule()
# Twice in each round: shorter than the laps around a whole timing.
_LAPS_S = 0.05
# Sessions that are open at once may hold so many bytes of models: their memory is a multiple.
_MOST_OPEN_BYTES = 1 << 30
_ENERGY_RULE = StoppingRule(min_samples=ORDERED, min_duration_s=2.0, max_duration_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimedPoint:
    """A network on a provider at a batch size: cells that differ in the head share its timing."""

    key: str
    config: RunConfig
    model: OnnxModel
    inputs: LatencyInputs

    @property
    def case(self) -> TimingCase:
        """What is timed."""
        wanted = self.config.timing.batch_sizes[0]
        (case,) = timing_cases(self.config, self.inputs)
        if case.batch_size != wanted:
            raise ConfigError(
                f"{self.model.path} fixes the batch at {case.batch_size}, so it cannot be timed in "
                f"batches of {wanted}."
            )
        return case


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """The creation of a session, and the first calls in it, which are not counted."""

    create_s: float
    first_s: float
    warmup_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRound:
    """One round: a block of each network, and the machine before and after."""

    version: int = _ROUND_VERSION
    number: int
    start: int  # how often the rounds had been started by then, from 1
    began_at: str
    before: Reading
    after: Reading
    gpus: dict[str, tuple[GpuState, ...]] = field(default_factory=dict)
    blocks: dict[str, Block]
    opened: dict[str, OpenedSession]  # the sessions that were opened for this round


def read_rounds(folder: Path) -> list[TimedRound]:
    """Return the rounds that were timed, in order; raise ResultError for a damaged file."""
    found = []
    for path in sorted(folder.glob("[0-9]*.json")):
        try:
            one = msgspec.json.decode(path.read_bytes(), type=TimedRound)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ResultError(f"{path} is not a timed round: {error}.") from error
        if one.version != _ROUND_VERSION or path != _path(folder, one.number):
            raise ResultError(f"{path} is not a timed round of this version of tlbench.")
        found.append(one)
    return found


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:04}.json"


class Rounds:
    """The networks that take turns. Close it: it holds open sessions, as many as memory allows."""

    def __init__(
        self,
        points: Sequence[TimedPoint],
        folder: Path,
        *,
        turns: Turns | None = None,
        on_failure: Callable[[TimedPoint, Exception], None],
    ) -> None:
        self.points = {point.key: point for point in points}
        self.folder, self.turns = folder, turns or Turns()
        self._on_failure = on_failure
        self._open: OrderedDict[str, tuple[TimedModel, Calls, Sampler, ExitStack]] = OrderedDict()
        self._news: dict[str, OpenedSession] = {}
        self._sensors = SystemSensors(laps_s=_LAPS_S)

    def time(self, n_rounds: int, listener: Listener) -> list[TimedRound]:
        """Time the rounds that are missing, and return all."""
        rounds = {one.number: one for one in read_rounds(self.folder)}
        start = 1 + max((one.start for one in rounds.values()), default=0)
        missing = [number for number in range(1, n_rounds + 1) if number not in rounds]
        title = f"latency of {len(self.points)} networks in turn"
        with task(listener, title, len(missing), "rounds"):
            for number in missing:
                if timed := self._time_round(number, start):
                    rounds[number] = timed
                listener.advance()
        return [rounds[number] for number in sorted(rounds)]

    def _time_round(self, number: int, start: int) -> TimedRound | None:
        keys = sorted(self.points)
        random.Random(f"{self.turns.seed} {number}").shuffle(keys)  # noqa: S311 - no secret
        self._news, blocks = {}, {}
        gpus: dict[str, tuple[GpuState, ...]] = {}
        began_at, before = datetime.now(UTC).isoformat(timespec="seconds"), self._sensors.read()
        for key in keys:
            with self._failures(key):
                timed, _, sampler, _ = self._opened(key)
                states = self._gpu(timed)
                blocks[key] = time_block(sampler, self.turns, timed.clock)
                gpus[key] = (*states, *self._gpu(timed))
        if not blocks:
            return None
        found = TimedRound(
            number=number,
            start=start,
            began_at=began_at,
            before=before,
            after=self._sensors.read(),
            gpus={key: states for key, states in gpus.items() if states},
            blocks=blocks,
            opened=self._news,
        )
        write_atomically(_path(self.folder, number), msgspec.json.encode(found))
        return found

    def results(
        self, rounds: Sequence[TimedRound], keys: Sequence[str], listener: Listener
    ) -> Iterator[tuple[str, LatencyResult]]:
        """Yield the record of each network's timing, with what it costs besides."""
        with task(listener, "memory and checks of each network", len(keys), "networks"):
            for key in keys:
                result = None
                if key in self.points:
                    with self._failures(key):
                        result = self._result(key, rounds)
                listener.advance()
                if result is not None:
                    yield key, result

    def _result(self, key: str, rounds: Sequence[TimedRound]) -> LatencyResult:
        timed, calls, _, _ = self._opened(key)
        point = self.points[key]
        first = next(one.opened[key] for one in rounds if key in one.opened)
        timing = join_blocks(
            [one.blocks[key] for one in rounds], first_s=first.first_s, warmup_s=first.warmup_s
        )
        gpus = [state for one in rounds for state in one.gpus.get(key, ())]
        more = memory_of(timed, point.case) if point.config.timing.costs else {}
        result = timed.result(point.case, timing, _machine(rounds, gpus), calls, **more)
        result = replace(result, create_s=first.create_s)
        return self._with_energy(timed, point, result)

    def _with_energy(
        self, timed: TimedModel, point: TimedPoint, result: LatencyResult
    ) -> LatencyResult:
        """Count the energy in calls of their own: a block is too short for the counters."""
        if timed.energy.read_j is None or not point.config.timing.costs:
            return result
        found = measure(
            timed.calls(point.case)[0], _ENERGY_RULE, clock=timed.clock, energy=timed.energy
        )
        if found.energy_j is None:
            return result
        n_calls = len(found.samples_s)
        return replace(
            result,
            energy_j_per_image=found.energy_j / (n_calls * result.batch_size),
            energy_note=f"{timed.energy.note}; counted in {n_calls} calls after the rounds",
        )

    def _opened(self, key: str) -> tuple[TimedModel, Calls, Sampler, ExitStack]:
        """Return a network with an open session; close those that have waited longest for it."""
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        point = self.points[key]
        size = point.model.size_bytes
        while self._open and size + self._open_bytes() > _MOST_OPEN_BYTES:
            _, (_, _, _, oldest) = self._open.popitem(last=False)
            oldest.close()
        config = point.config
        check_provider(config.provider)
        with ExitStack() as stack:
            session = stack.enter_context(
                open_session(
                    point.model,
                    provider=config.provider,
                    provider_options=config.provider_options,
                    threads=config.threads,
                    spin=config.timing.spin,
                )
            )
            timed = TimedModel(session, point.inputs)
            calls = timed.calls(point.case)
            sampler = Sampler(calls[0], timed.clock)
            first_s = sampler.sample()
            self._news[key] = OpenedSession(
                create_s=session.create_s, first_s=first_s, warmup_s=sampler.warm_up(_WARM_UP)
            )
            self._open[key] = timed, calls, sampler, stack.pop_all()
        return self._open[key]

    def _open_bytes(self) -> int:
        return sum(self.points[key].model.size_bytes for key in self._open)

    @contextmanager
    def _failures(self, key: str) -> Iterator[None]:
        """Leave a network out once the block fails; storage that fails ends the sweep."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever ONNX Runtime raises
            if key in self._open:
                self._open.pop(key)[-1].close()
            self._on_failure(self.points.pop(key), error)

    @staticmethod
    def _gpu(timed: TimedModel) -> tuple[GpuState, ...]:
        number = timed.session.cuda_device
        return () if number is None else (gpu_state(number),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.popitem()[1][-1].close()


def _machine(rounds: Sequence[TimedRound], gpus: Sequence[GpuState]) -> MachineSamples:
    """Return what the machine did during the rounds; what it did between them does not count."""
    wall_s = sum(one.after.wall_s - one.before.wall_s for one in rounds)

    def total(name: str) -> float | None:
        pairs = [(getattr(one.before, name), getattr(one.after, name)) for one in rounds]
        if any(None in pair for pair in pairs):
            return None
        return float(sum(after - before for before, after in pairs))

    busy_s, own_s, throttled_s = map(total, ("busy_s", "own_s", "throttled_s"))
    laps = [lap for one in rounds for lap in (one.before.lap_s, one.after.lap_s)]
    ends = rounds[0].before.temperature_c, rounds[-1].after.temperature_c
    return MachineSamples(
        cpus=len(usable_cpus()),
        other_cpus=(
            None
            if busy_s is None or own_s is None or wall_s <= 0
            else max(0.0, (busy_s - own_s) / wall_s)
        ),
        slowdown=median(laps[len(laps) // 2 :]) / median(laps[: len(laps) // 2]),
        temperatures_c=tuple(degrees for degrees in ends if degrees is not None),
        gpu=(gpus[0], gpus[-1]) if gpus else (),
        cpu_quota=cpu_quota(),
        throttled_cpus=None if throttled_s is None or wall_s <= 0 else throttled_s / wall_s,
    )
