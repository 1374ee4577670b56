"""One whole run: from a configuration to a record."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tlbench.core.progress import Listener, Silent
from tlbench.engine import check_provider
from tlbench.model import FULL_PRECISION, check_precision
from tlbench.records import Breakdown, LatencyRatio, LatencyResult, RunImages, RunResult
from tlbench.workflows.compare_models import compare_models, compare_with_full_precision
from tlbench.workflows.config import RunConfig
from tlbench.workflows.drift import measure_drift
from tlbench.workflows.steps.accuracy import NOT_MEASURED, MeasuredAccuracy, measure_accuracy
from tlbench.workflows.steps.breakdown import breakdown_with_first_head
from tlbench.workflows.steps.context import RunContext
from tlbench.workflows.steps.heads import ChosenHeads
from tlbench.workflows.steps.record import make_record, model_info
from tlbench.workflows.steps.timed_model import LatencyInputs, latency_inputs
from tlbench.workflows.steps.timing import measure_latency
from tlbench.workflows.steps.warnings import run_warnings


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """A finished run that is not saved yet: `tlbench.records.save_run` takes its parts."""

    result: RunResult
    predictions: dict[str, NDArray[np.generic]]
    images: RunImages | None = None  # None without accuracy


def run_benchmark(
    config: RunConfig, listener: Listener | None = None, *, command: str = ""
) -> RunOutcome:
    """Measure what *config* asks for: accuracy, latency or both.

    Parameters
    ----------
    config : RunConfig
        Names are resolved before any work begins, so a typing error costs no time.
    listener : Listener or None
        Told about the progress.
    command : str
        Command line that repeats the run, for the record.

    Returns
    -------
    RunOutcome
        After Ctrl-C during the latency measurement: what there was until then, its result marked
        as not complete. Before that there is nothing to keep, and KeyboardInterrupt is raised.

    Raises
    ------
    TlbenchError
        If anything is unknown, unavailable, missing or damaged.
    """
    listener = listener or Silent()
    created = datetime.now(UTC)
    if config.candidates:
        return RunOutcome(*measure_drift(config, created, listener, command))
    if config.timing.candidates:
        return RunOutcome(compare_models(config, created, listener, command), {})
    return _measure_one(config, created, listener, command)


def _measure_one(
    config: RunConfig, created: datetime, listener: Listener, command: str
) -> RunOutcome:
    check_provider(config.provider)
    check_precision(config.precision)
    heads = ChosenHeads.of(config) if config.accuracy else None
    with RunContext.opened(config, listener) as context:
        accuracy = measure_accuracy(context, heads) if heads else NOT_MEASURED
        images = context.dataset.test.images if heads else None
        inputs = latency_inputs(context.model, images)
        timing = time_model(context, inputs, accuracy) if config.latency else MeasuredTiming()
        result = record_of(
            context,
            created,
            command=command,
            accuracy=accuracy,
            timing=timing,
            assumptions=inputs.assumptions if config.latency else (),
        )
    return RunOutcome(result, accuracy.predictions, accuracy.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTiming:
    """What a run measures of a model's speed; *complete* is False after an interruption."""

    latency: tuple[LatencyResult, ...] = ()
    breakdown: Breakdown | None = None
    ratios: tuple[LatencyRatio, ...] = ()
    complete: bool = True


def record_of(
    context: RunContext,
    created: datetime,
    *,
    command: str,
    accuracy: MeasuredAccuracy,
    timing: MeasuredTiming,
    assumptions: tuple[str, ...] = (),
) -> RunResult:
    """Return the record of a run of one model from the parts that were measured."""
    config = context.config
    return make_record(
        config,
        created,
        command=command,
        model=model_info(context.model, assumptions),
        dataset=accuracy.dataset,
        extraction=accuracy.extraction,
        accuracy=accuracy.results,
        cross_validation=accuracy.cross_validations,
        learning_curves=accuracy.learning_curves,
        latency=timing.latency,
        breakdown=timing.breakdown,
        ratios=timing.ratios,
        complete=timing.complete,
        warnings=run_warnings(
            config,
            accuracy.dataset,
            (*accuracy.extraction, *timing.latency),
            accuracy=accuracy.results,
            protocols=accuracy.protocols,
            ratios=timing.ratios,
            about_data=accuracy.data_warnings,
            unlearnable=accuracy.unlearnable,
            is_limited=accuracy.is_limited,
        ),
    )


def time_model(
    context: RunContext, inputs: LatencyInputs, accuracy: MeasuredAccuracy
) -> MeasuredTiming:
    """Measure latency, then what is derived from it; Ctrl-C keeps the results until then."""
    config, listener = context.config, context.listener
    latency: list[LatencyResult] = []
    breakdown: Breakdown | None = None
    ratios: tuple[LatencyRatio, ...] = ()
    complete = True
    try:
        for timed in measure_latency(context.session(), inputs, config, listener):
            latency.append(timed)  # noqa: PERF402 - one by one: Ctrl-C keeps those before
        complete = all(timed.complete for timed in latency)
        if config.breakdown and complete:
            breakdown = breakdown_with_first_head(context, accuracy)
        if config.precision != FULL_PRECISION and complete:
            context.close_session()
            ratios = compare_with_full_precision(config, listener, context.cache_dir)
    except KeyboardInterrupt:
        if not latency:
            raise
        complete = False
    context.close_session()
    return MeasuredTiming(
        latency=tuple(latency), breakdown=breakdown, ratios=ratios, complete=complete
    )
