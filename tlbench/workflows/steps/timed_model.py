"""A model under test: its session, the inputs it is fed, and the record of its timing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import Images
from tlbench.core.errors import (
    ConfigError,
    GpuUnreadableError,
    ModelError,
    UnreadableImageError,
)
from tlbench.engine import Session, accepts_raw_images, arithmetic_ceiling
from tlbench.latency import (
    CheckInputs,
    EnergyCounter,
    MachineSamples,
    MachineSensors,
    Sampler,
    SystemClock,
    SystemSensors,
    Timing,
    gpu_state,
    nvml_counter,
    rapl_counter,
    reasons_of,
    run_checks,
    summarise_median,
    summarise_percentiles,
    tick_s,
)
from tlbench.machine import locate_gpu
from tlbench.model import OnnxModel, count_macs, is_full_precision
from tlbench.records import LatencyResult

# Inputs change from call to call: a result cached anywhere on the way would show otherwise.
_N_DISTINCT = 8
_MOST_IMAGES = 256
_ASSUMED_SIZE = 224


@dataclass(frozen=True, slots=True)
class LatencyInputs:
    """Single inputs to make batches of, the batch size that the file fixes, and assumptions."""

    rows: tuple[NDArray[Any], ...]
    fixed_batch: int | None
    assumptions: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, the batch left out."""
        return self.rows[0].shape

    def batches(self, batch_size: int) -> list[NDArray[Any]]:
        """Return several different batches: eight of a few images, two of very many."""
        rows, n = self.rows, len(self.rows)
        # Eight batches of 512 random images of 224 pixels would take 600 MB.
        n_batches = max(min(2, n), min(n, _MOST_IMAGES // batch_size))
        return [
            np.stack([rows[(start + i) % n] for i in range(batch_size)])
            for start in range(n_batches)
        ]


def latency_inputs(model: OnnxModel, images: Images | None) -> LatencyInputs:
    """Choose inputs for *model*: the first images of one size, or random values without images."""
    if len(model.inputs) > 1:
        names = ", ".join(tensor.name for tensor in model.inputs)
        msg = (
            f"{model.path} has {len(model.inputs)} inputs ({names}); tlbench measures models with "
            "one input."
        )
        raise ModelError(msg)
    first = model.inputs[0]
    if first.dtype not in {"uint8", "float32", "float16"}:
        raise ModelError(
            f"{model.path} takes {first.dtype}; tlbench can make uint8, float32 and float16 inputs."
        )
    if not first.shape or 0 in first.shape:
        msg = (
            f"{model.path} takes {first}, and tlbench cannot make inputs of that. Give its input a "
            "shape with an axis for the images, such as (N, 3, 224, 224)."
        )
        raise ModelError(msg)
    batch_axis = first.shape[0]
    fixed_batch = batch_axis if isinstance(batch_axis, int) else None
    assumptions = []
    if fixed_batch is not None:
        assumptions.append(f"the file fixes the batch at {fixed_batch}")
    if images is not None and accepts_raw_images(model):
        return LatencyInputs(tuple(_first_images(images)), fixed_batch, tuple(assumptions))
    sizes = model.card.input_size if model.card else (_ASSUMED_SIZE, _ASSUMED_SIZE)
    open_axes = [axis for axis in first.shape[1:] if not isinstance(axis, int)]
    if len(open_axes) > len(sizes):
        msg = f"{model.path} takes {first}: too many open axes for an image."
        raise ModelError(msg)
    filler = iter(sizes)
    shape = tuple(axis if isinstance(axis, int) else next(filler) for axis in first.shape[1:])
    assumptions.append(f"random {first.dtype} inputs of shape {shape}")
    generator = np.random.default_rng(0)
    if first.dtype == "uint8":
        values = generator.integers(0, 256, (_N_DISTINCT, *shape), dtype=np.uint8)
    else:
        values = generator.standard_normal((_N_DISTINCT, *shape)).astype(first.dtype)
    return LatencyInputs(tuple(values), fixed_batch, tuple(assumptions))


def _first_images(images: Images) -> Iterable[NDArray[np.uint8]]:
    def readable() -> Iterable[NDArray[np.uint8]]:
        for position in range(len(images)):
            try:
                yield images[position]
            except UnreadableImageError:
                continue

    found: list[NDArray[np.uint8]] = []
    for image in islice(readable(), 16 * _N_DISTINCT):
        if not found or image.shape == found[0].shape:
            found.append(image)
        if len(found) == _N_DISTINCT:
            break
    return found


Calls = tuple[Callable[[int], Any], Callable[[int], Any]]
# The look for result caching may take so long; for slower calls it is left out, and said so.
_REPEATS_S = 1.0
_MIN_REPEATS, _MAX_REPEATS = 3, 16
# A sample is the time of a warm call: neither a queue's waiting nor a start.
_STEADY = {"single", "offline", "paced"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingCase:
    """One timing: scenario, batch size, boundary."""

    scenario: str
    batch_size: int
    boundary: str

    def __str__(self) -> str:
        """Return the words for a progress bar."""
        place = "" if self.boundary == "numpy->numpy" else ", on the device"
        return f"{self.scenario}, batch {self.batch_size}{place}"


@dataclass
class TimedModel:
    """An open session with inputs to feed it; *label* is its name among several models."""

    session: Session
    inputs: LatencyInputs
    label: str | None = None
    clock: SystemClock = field(default_factory=SystemClock)

    def calls(self, case: TimingCase) -> Calls:
        """Return two callables: one whose input changes from call to call, one whose does not.

        Both return the rows of the output, or their number. At the boundary of the device they
        hold its buffers, so those of one case must be gone before those of the next are made.
        """
        batches = self.inputs.batches(case.batch_size)
        if case.boundary == "numpy->numpy":
            if self.session.fixed_addresses:
                msg = (
                    "enable_cuda_graph needs buffers that stay on the device; arrays of the host "
                    "bypass it. Pass boundaries='device->device', or leave enable_cuda_graph out."
                )
                raise ConfigError(msg)
            run = self.session.run
            return (lambda i: run(batches[i % len(batches)])), (lambda _: run(batches[0]))
        if self.session.fixed_addresses:  # a captured CUDA graph reads one address for ever
            only = self.session.bind(batches[0])
            return (lambda _: only.run()), (lambda _: only.run())
        bound = [self.session.bind(batch) for batch in batches]
        return (lambda i: bound[i % len(bound)].run()), (lambda _: bound[0].run())

    @property
    def precision(self) -> str:
        """Precision in the card; "unknown" without one."""
        card = self.session.model.card
        return card.precision if card else "unknown"

    @property
    def _has_card(self) -> bool:
        return self.session.model.card is not None

    @cached_property
    def machine(self) -> MachineSensors:
        """The machine, with the accelerator that this session is on."""
        if self.session.cuda_device is None:
            return SystemSensors()
        return SystemSensors(partial(gpu_state, self.session.cuda_device))

    @cached_property
    def energy(self) -> EnergyCounter:
        """The energy counter of the device that the session is on."""
        number = self.session.cuda_device
        return rapl_counter() if number is None else nvml_counter(number)

    def _energy_note(self, case: TimingCase, timing: Timing) -> str:
        """Return what was counted, or why nothing was."""
        counter = self.energy
        if timing.energy_j is not None or counter.read_j is None:
            return counter.note
        if timing.block_sizes:
            return "not counted: a block among several candidates is too short for the counter"
        return f"not counted in scenario {case.scenario}"

    @cached_property
    def _gpu(self) -> str | None:
        """Bus id of the session's GPU; None on other devices, or if it cannot be read."""
        if self.session.cuda_device is None:
            return None
        try:
            return locate_gpu(self.session.cuda_device)
        except GpuUnreadableError:  # the check of its clock gives the reason
            return None

    @cached_property
    def _macs(self) -> int | None:
        try:
            return count_macs(self.session.model)
        except ModelError:  # a foreign graph whose shapes are open
            return None

    @cached_property
    def _peak(self) -> float | None:
        # A lower precision without a card to say so would be held against the peak of float32,
        # which it may exceed: TF32 on a GPU, or 8 bits anywhere.
        is_unsure = self.session.cuda_device is not None or not is_full_precision(
            self.session.model
        )
        if self._macs is None or (is_unsure and not self._has_card):
            return None
        return arithmetic_ceiling(
            self.precision,
            provider=self.session.provider,
            provider_options=self.session.requested_options,
            threads=self.session.threads,
        )

    def result(
        self,
        case: TimingCase,
        timing: Timing,
        machine_samples: MachineSamples,
        calls: Calls,
        **more: Any,
    ) -> LatencyResult:
        """Check a timing of *calls* and return its record; *more* are further fields of it."""
        changing, repeated = calls
        typical = median(timing.samples_s)
        n_repeats = min(_MAX_REPEATS, int(_REPEATS_S / (3 * typical)))
        ratio = None
        is_steady = case.scenario in _STEADY
        changes = case.boundary == "numpy->numpy" or not self.session.fixed_addresses
        if timing.complete and n_repeats >= _MIN_REPEATS and is_steady and changes:
            ratio = _repeated_ratio(changing, repeated, n_repeats)
        n_rows = _n_rows(changing(0))
        placement = self.session.placement
        n_images = len(timing.samples_s) * case.batch_size
        rate = n_images / sum(timing.samples_s)
        check_inputs = CheckInputs(
            tick_s=tick_s(self.clock),
            cpus=machine_samples.cpus,
            other_cpus=machine_samples.other_cpus,
            slowdown=machine_samples.slowdown,
            temperatures_c=machine_samples.temperatures_c,
            gpu=machine_samples.gpu,
            cpu_quota=machine_samples.cpu_quota,
            throttled_cpus=machine_samples.throttled_cpus,
            repeated_ratio=ratio,
            inputs_change=changes,
            batch_size=case.batch_size,
            n_outputs=n_rows,
            elsewhere=tuple(op for ops in placement.operators.values() for op in ops),
            macs_per_s=self._macs * rate if self._macs and is_steady else None,
            ceiling_macs_per_s=self._peak if is_steady else None,
            independent=case.scenario != "server",
            complete=timing.complete,
        )
        checks = run_checks(timing.samples_s, check_inputs)
        reasons = reasons_of(checks)
        energy_j = timing.energy_j
        return LatencyResult(
            scenario=case.scenario,
            provider=self.session.provider,
            precision=self.precision,
            batch_size=case.batch_size,
            boundary=case.boundary,  # type: ignore[arg-type]  # checked in the configuration
            create_s=self.session.create_s,
            first_s=timing.first_s,
            warmup_s=timing.warmup_s,
            samples_s=timing.samples_s,
            percentiles=summarise_percentiles(timing.samples_s),
            input_shape=self.inputs.shape,
            cpu_s_per_image=timing.cpu_s / n_images,
            threads=self.session.threads,
            label=self.label,
            settings=self.session.settings,
            block_sizes=timing.block_sizes,
            median_interval=(
                summarise_median(timing.samples_s) if check_inputs.independent else None
            ),
            complete=timing.complete,
            placement=placement,
            energy_j_per_image=None if energy_j is None else energy_j / n_images,
            energy_note=self._energy_note(case, timing),
            gpu=self._gpu,
            verdict="INVALID" if reasons else "VALID",
            reasons=reasons,
            checks=checks,
            **more,
        )


def _n_rows(answer: Any) -> int:  # noqa: ANN401 - an array, or the number of its rows
    return answer if isinstance(answer, int) else len(answer)


def _repeated_ratio(
    changing: Callable[[int], object], repeated: Callable[[int], object], n_repeats: int
) -> float:
    """Return the median time with one input over that with changing ones, taken in turn.

    After MLPerf's audit TEST04: an answer that comes from a cache shows in the repeated input.
    """
    one, many = Sampler(repeated), Sampler(changing)
    one.sample(), many.sample()  # the first of each is a change of input for both
    pairs = []
    for _ in range(n_repeats):
        many.sample()
        one.sample()  # after a change, so that the next one is a repetition
        pairs.append((one.sample(), many.sample()))
    return median(o for o, _ in pairs) / median(m for _, m in pairs)
