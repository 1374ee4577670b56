"""What is timed, with all that is known of it; and how a timing of it becomes a record."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from statistics import median
from typing import Any

from tlbench.core.errors import ConfigError, GpuUnreadableError, ModelError
from tlbench.engine import Session, arithmetic_ceiling
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
from tlbench.model import count_macs
from tlbench.records import LatencyResult
from tlbench.workflows.steps.inputs import LatencyInputs

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
    """An open session with inputs to feed it.

    Attributes
    ----------
    label : str or None
        Its name among several candidates.
    """

    session: Session
    inputs: LatencyInputs
    label: str | None = None
    clock: SystemClock = field(default_factory=SystemClock)

    def calls(self, case: TimingCase) -> tuple[Callable[[int], Any], Callable[[int], Any]]:
        """Return two callables: with an input that changes from call to call, and with one only.

        Both return something whose length, or which itself as a number, is the rows of the answer.

        Raises
        ------
        ConfigError
            If a CUDA graph is asked for and arrays of the host's are to be timed: those bypass it.
        """
        batches = self.inputs.batches(case.batch_size)
        if case.boundary == "numpy->numpy":
            if self.session.fixed_addresses:
                msg = (
                    "enable_cuda_graph needs buffers that stay on the device: time it with "
                    "--boundary device, or leave the option out."
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
        """Where the GPU sits that the session is on; None on anything else, or if untold."""
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
        # Half precision without a card to say so would be held against the peak of float32, which
        # a GPU exceeds by far.
        if self._macs is None or (self.session.cuda_device is not None and not self._has_card):
            return None
        return arithmetic_ceiling(
            self.precision,
            provider=self.session.provider,
            provider_options=self.session.requested_options,
            threads=self.session.threads,
        )

    def result(
        self, case: TimingCase, timing: Timing, machine_samples: MachineSamples, **more: Any
    ) -> LatencyResult:
        """Judge a timing and return its record; *more* are further fields of the record."""
        changing, repeated = self.calls(case)
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
