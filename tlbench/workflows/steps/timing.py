"""Latency of one open session in every requested scenario, and its costs in fresh processes."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import Any

from tlbench.core.errors import GpuUnreadableError, MeasurementError
from tlbench.core.progress import Listener
from tlbench.engine import Session
from tlbench.latency import (
    ORDERED,
    Clock,
    Served,
    StoppingRule,
    Timing,
    find_highest_rate,
    looks_steady,
    measure,
    run_isolated,
    serve,
    watch,
)
from tlbench.machine import locate_gpu
from tlbench.records import FreshProcess, LatencyResult
from tlbench.stats import samples_needed
from tlbench.workflows.config import RunConfig, TimingConfig
from tlbench.workflows.steps.timed_model import LatencyInputs, TimedModel, TimingCase

_IDLE_S = 1.0
_FRESH_MODULE, _FRESH_LIBRARIES = "tlbench.engine.fresh", ("numpy", "onnxruntime")
_FRESH_TIMEOUT_S = 300.0


def timing_cases(config: RunConfig, inputs: LatencyInputs) -> list[TimingCase]:
    """Return the timing cases of *config*, in the requested order.

    A file that fixes the batch is measured at that batch size only: scenario single needs a 1.
    """
    timing = config.timing
    sizes = timing.batch_sizes or (config.batch_size,)
    if inputs.fixed_batch is not None:
        sizes = (inputs.fixed_batch,)
    cases = []
    for scenario in timing.scenarios:
        single = inputs.fixed_batch or 1
        is_batched = scenario == "offline" or single > 1
        for boundary in timing.boundaries:
            if boundary == "device->device" and scenario in {"cold", "server"}:
                continue  # a request arrives at the host
            for size in sizes if is_batched else (1,):
                name = "offline" if is_batched and scenario == "single" else scenario
                cases.append(TimingCase(scenario=name, batch_size=size, boundary=boundary))
    return list(dict.fromkeys(cases))


def stopping_rule(timing: TimingConfig, case: TimingCase) -> StoppingRule:
    """Return when a timing may end: a batch needs only enough samples for its median."""
    n_samples = timing.min_samples
    if case.scenario == "offline":
        n_samples = ORDERED  # enough for a median, and to tell a trend
    elif case.scenario == "server":  # so that one late request in a hundred can be told from two
        n_samples = max(n_samples, samples_needed(0.99))
    return StoppingRule(
        min_samples=n_samples,
        min_duration_s=timing.min_duration_s,
        max_duration_s=timing.max_duration_s,
        pause_s=timing.pause_s if case.scenario == "paced" else 0.0,
    )


def measure_latency(
    session: Session, inputs: LatencyInputs, config: RunConfig, listener: Listener
) -> Iterator[LatencyResult]:
    """Yield a result for each case; after Ctrl-C the last one is incomplete and nothing follows."""
    import scipy.stats  # noqa: F401 - the checks use it: not loaded in the middle of a timing

    timed_model = TimedModel(session, inputs)
    cases = timing_cases(config, inputs)
    for number, case in enumerate(cases):
        listener.start(f"latency, {case}")
        result = _measure_case(timed_model, case, config.timing, is_first=number == 0)
        listener.finish()
        yield result
        if not result.complete:
            return


def _measure_case(
    timed_model: TimedModel, case: TimingCase, timing: TimingConfig, *, is_first: bool
) -> LatencyResult:
    if case.scenario == "cold":
        return _cold(timed_model, case, timing)
    more: dict[str, Any] = {}
    calls = timed_model.calls(case)
    rule = stopping_rule(timing, case)
    with watch(timed_model.machine) as machine_samples:
        if case.scenario == "server":
            served = _serve(calls[0], timing, rule, timed_model.clock)
            found, more["server"] = served.timing, served.load
        else:
            found = measure(
                calls[0],
                rule,
                clock=timed_model.clock,
                energy=timed_model.energy,
                is_steady=looks_steady if timing.extend_until_steady else None,
            )
    if case.scenario == "paced":
        more["pause_s"] = timing.pause_s
    if timing.costs and found.complete:
        try:
            if is_first and timing.extend_until_steady:
                more["idle_cpu_s"] = _idle_cpu_s(timed_model)
            if case.scenario in {"single", "offline"}:
                more |= memory_of(timed_model, case)
        except KeyboardInterrupt:
            found = replace(found, complete=False)
    return timed_model.result(case, found, machine_samples, calls, **more)


def _idle_cpu_s(timed_model: TimedModel) -> float:
    """Return the CPU time of this process in the second after a call: threads that spin."""
    timed_model.session.run(timed_model.inputs.batches(timed_model.inputs.fixed_batch or 1)[0])
    before = timed_model.clock.cpu_s()
    timed_model.clock.sleep_s(_IDLE_S)
    return timed_model.clock.cpu_s() - before


def memory_of(timed_model: TimedModel, case: TimingCase) -> dict[str, Any]:
    """Return the memory of a fresh process, as fields of the record."""
    fresh = measure_fresh(timed_model.session, timed_model.inputs, case.batch_size, 1)
    return {
        "peak_rss_bytes": max(fresh.peak_rss_bytes),
        "device_bytes": max(fresh.device_bytes, default=None),
        "device_note": fresh.device_note,
    }


def _cold(timed_model: TimedModel, case: TimingCase, timing: TimingConfig) -> LatencyResult:
    """Time the imports, the creation of the session and the first call in fresh processes."""
    cpu_before = _children_cpu_s()
    with watch(timed_model.machine) as machine_samples:
        fresh = measure_fresh(
            timed_model.session, timed_model.inputs, case.batch_size, timing.processes
        )
    samples = _until_first_output(fresh)
    found = Timing(
        first_s=samples[0],
        warmup_s=(),
        samples_s=samples,
        cpu_s=_children_cpu_s() - cpu_before,  # of the whole processes, second call included
        wall_s=sum(samples),
    )
    return timed_model.result(
        case,
        found,
        machine_samples,
        timed_model.calls(case),
        fresh=fresh,
        peak_rss_bytes=max(fresh.peak_rss_bytes),
        device_bytes=max(fresh.device_bytes, default=None),
        device_note=fresh.device_note,
    )


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _until_first_output(fresh: FreshProcess) -> tuple[float, ...]:
    return tuple(map(sum, zip(fresh.import_s, fresh.create_s, fresh.first_s, strict=True)))


def _serve(
    call: Callable[[int], Any], timing: TimingConfig, rule: StoppingRule, clock: Clock
) -> Served:
    def serve_at(qps: float) -> Served:
        return serve(call, qps=qps, latency_bound_s=timing.latency_bound_s, rule=rule, clock=clock)

    if not timing.find_highest_rate:
        assert timing.qps is not None  # checked in the configuration
        return serve_at(timing.qps)
    quick = measure(call, StoppingRule(min_samples=11, min_duration_s=0.3), clock=clock)
    typical = median(quick.samples_s)
    if typical > timing.latency_bound_s:
        msg = (
            f"No rate can be served: one image alone takes {typical:.4f} s, and latency_bound_s is "
            f"{timing.latency_bound_s} s. Raise it."
        )
        raise MeasurementError(msg)
    return find_highest_rate(serve_at, ceiling_qps=1 / typical)


def measure_fresh(
    session: Session, inputs: LatencyInputs, batch_size: int, processes: int
) -> FreshProcess:
    """Load the session's model in fresh processes, one after another, and call it twice in each."""
    gpu, note = _gpu_of(session)
    request = {
        "path": str(session.model.path),
        "provider": session.provider,
        "provider_options": session.requested_options,
        "threads": session.threads,
        "spin": session.spin,
        "input": session.model.inputs[0].name,
        "shape": [batch_size, *inputs.shape],
        "dtype": str(inputs.rows[0].dtype),
        "gpu": gpu,
    }
    outputs = [
        run_isolated(_FRESH_MODULE, request, timeout_s=_FRESH_TIMEOUT_S, libraries=_FRESH_LIBRARIES)
        for _ in range(processes)
    ]
    session.model.check_unchanged()  # each process has read the file again

    def column(name: str) -> tuple[float, ...]:
        return tuple(answer[name] for answer in outputs)

    def whole(name: str) -> tuple[int, ...]:
        return tuple(answer[name] for answer in outputs if answer[name] is not None)

    return FreshProcess(
        import_s=column("import_s"),
        create_s=column("create_s"),
        first_s=column("first_s"),
        second_s=column("second_s"),
        before_rss_bytes=whole("before_rss_bytes"),
        peak_rss_bytes=whole("peak_rss_bytes"),
        device_bytes=whole("device_bytes"),
        device_note=next((a["device_note"] for a in outputs if a["device_note"]), note),
    )


def _gpu_of(session: Session) -> tuple[str | None, str | None]:
    """Return the bus id of the session's GPU, or why it cannot be read; on a CPU neither."""
    if session.cuda_device is None:
        return None, None
    try:
        return locate_gpu(session.cuda_device), None
    except GpuUnreadableError as error:
        return None, str(error)
