"""Interleaved comparison: several models, providers, precisions or thread counts in one run."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener
from tlbench.core.registry import unknown_name
from tlbench.engine import check_provider, provider_name
from tlbench.latency import Turns, alternate, block_medians, watch_each
from tlbench.model import FULL_PRECISION, check_precision
from tlbench.records import Interval, LatencyRatio, LatencyResult, ModelUnderTest, RunResult
from tlbench.stats import ratio_interval
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.context import RunContext, cache_folder
from tlbench.workflows.steps.record import make_record, model_info
from tlbench.workflows.steps.timed_model import TimedModel, TimingCase, latency_inputs
from tlbench.workflows.steps.timing import memory_of, stopping_rule, timing_cases
from tlbench.workflows.steps.warnings import run_warnings

# Enough blocks for an interval: a run at a lower precision compares only in passing.
_QUICK_ROUNDS = 10

# MODEL@threads=1,provider=cuda: an "@" may stand in a path, so the settings must look like some.
_SPEC = re.compile(r"(?P<model>.+?)(?:@(?P<settings>\w+=[^=,]*(?:,\w+=[^=,]*)*))?")
_SETTINGS = ["threads", "provider", "precision", "spin"]
_SPIN = {"yes": True, "no": False}


def candidate_config(spec: str, config: RunConfig) -> RunConfig:
    """Return *config* with the model and the settings of ``MODEL@name=value,...``."""
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise ConfigError(f"{spec!r} does not name a model. Write MODEL or MODEL@threads=1.")
    changed = replace(config, model=found["model"])
    for setting in (found["settings"] or "").split(",") if found["settings"] else ():
        name, _, value = setting.partition("=")
        if name not in _SETTINGS:
            raise unknown_name("setting of a candidate", name, _SETTINGS)
        if name == "threads":
            if not value.isdecimal():
                raise ConfigError(f"threads of {spec!r} must be a whole number, got {value!r}.")
            changed = replace(changed, threads=int(value))
        elif name == "provider":
            if provider_name(value) != config.provider:
                changed = replace(changed, provider_options={})  # they are the other provider's
            changed = replace(changed, provider=value)
        elif name == "precision":
            changed = replace(changed, precision=value)
        elif value not in _SPIN:
            raise ConfigError(f"spin of {spec!r} must be yes or no, got {value!r}.")
        else:
            changed = replace(changed, timing=replace(changed.timing, spin=_SPIN[value]))
    return changed


@dataclass
class InterleavedComparison:
    """Open sessions of the models under test; the first is the reference."""

    config: RunConfig
    timed: list[TimedModel]
    assumptions: tuple[str, ...]

    @property
    def models_under_test(self) -> tuple[ModelUnderTest, ...]:
        """Their identities, as they go into the record."""
        return tuple(
            ModelUnderTest(
                label=model.label or "",
                model=model_info(model.session.model),
                provider=model.session.provider,
                precision=model.precision,
                threads=model.session.threads,
            )
            for model in self.timed
        )

    def measure(
        self, listener: Listener
    ) -> Iterator[tuple[list[LatencyResult], list[LatencyRatio]]]:
        """Yield for each case the results of all models, and their ratios to the reference.

        After Ctrl-C the last ones are incomplete and nothing follows.
        """
        timing = self.config.timing
        for case in timing_cases(self.config, self.timed[0].inputs):
            listener.start(f"{len(self.timed)} models alternately, {case}")
            calls = [model.calls(case) for model in self.timed]
            by_label = {
                model.label or "": changing
                for model, (changing, _) in zip(self.timed, calls, strict=True)
            }
            with watch_each([model.machine for model in self.timed]) as machine_samples:
                timings = alternate(
                    by_label, stopping_rule(timing, case), Turns(min_rounds=timing.rounds)
                )
            results = []
            for model, samples, own in zip(self.timed, machine_samples, calls, strict=True):
                found = timings[model.label or ""]
                more: dict[str, Any] = {}
                if case.scenario == "paced":
                    more["pause_s"] = timing.pause_s
                elif timing.costs and found.complete:
                    more = memory_of(model, case)
                results.append(model.result(case, found, samples, own, **more))
            del calls, by_label, own  # the buffers of this case, before those of the next are made
            listener.finish()
            yield results, [self._ratio(case, results[0], other) for other in results[1:]]
            if not results[0].complete:
                return

    def _ratio(
        self, case: TimingCase, reference: LatencyResult, candidate: LatencyResult
    ) -> LatencyRatio:
        estimate = ratio_interval(
            block_medians(candidate.samples_s, candidate.block_sizes),
            block_medians(reference.samples_s, reference.block_sizes),
        )
        interval = None
        if estimate.low is not None and estimate.high is not None:
            interval = Interval(
                low=estimate.low,
                high=estimate.high,
                method="Hodges-Lehmann and Wilcoxon over block medians",
            )
        by_label = {model.label: model for model in self.models_under_test}
        ours, theirs = by_label[reference.label or ""], by_label[candidate.label or ""]
        properties = (
            ("model", ours.model.sha256, theirs.model.sha256),
            ("provider", ours.provider, theirs.provider),
            ("precision", ours.precision, theirs.precision),
            ("threads", ours.threads, theirs.threads),
        )
        return LatencyRatio(
            label=theirs.label,
            reference=ours.label,
            scenario=case.scenario,
            batch_size=case.batch_size,
            boundary=reference.boundary,
            ratio=estimate.ratio,
            interval=interval,
            n_blocks=estimate.n_blocks,
            unlike=tuple(name for name, one, other in properties if one != other),
        )


@contextmanager
def opened_comparison(
    config: RunConfig, listener: Listener, cache_dir: Path
) -> Iterator[InterleavedComparison]:
    """Open a session for the run's model and for each candidate."""
    specs = (config.model, *config.timing.candidates)
    if len(set(specs)) < len(specs):
        raise ConfigError(f"A model is named twice: {', '.join(specs)}.")
    configs = [candidate_config(spec, config) for spec in specs]
    for one in configs:  # before any export
        check_provider(one.provider)
        check_precision(one.precision)
    with ExitStack() as stack:
        timed, assumptions = [], []
        for spec, one in zip(specs, configs, strict=True):
            context = stack.enter_context(RunContext(one, listener, cache_dir))
            inputs = latency_inputs(context.model, None)
            timed.append(TimedModel(context.session(), inputs, label=spec))
            assumptions += [f"{spec}: {text}" for text in inputs.assumptions]
        for left, right in pairwise(timed):
            batches = left.inputs.fixed_batch, right.inputs.fixed_batch
            if batches[0] != batches[1]:
                msg = (
                    f"{left.label} fixes the batch size at {batches[0] or 'none'}, {right.label} "
                    f"at {batches[1] or 'none'}: their times cannot be compared. Export both with "
                    "the same batch axis."
                )
                raise ConfigError(msg)
        yield InterleavedComparison(config, timed, tuple(assumptions))


def compare_models(
    config: RunConfig, created: datetime, listener: Listener, command: str
) -> RunResult:
    """Measure the latency of the run's model and of all candidates alternately, in one record."""
    if config.accuracy:
        raise ConfigError("Only the latency of several models can be measured alternately.")
    latency: list[LatencyResult] = []
    ratios: list[LatencyRatio] = []
    complete = True
    with (
        cache_folder(config) as cache_dir,
        opened_comparison(config, listener, cache_dir) as comparison,
    ):
        try:
            for results, compared in comparison.measure(listener):
                latency += results
                ratios += compared
        except KeyboardInterrupt:
            if not latency:
                raise
            complete = False
        reference = comparison.timed[0]
        return make_record(
            config,
            created,
            command=command,
            model=model_info(reference.session.model, comparison.assumptions),
            latency=tuple(latency),
            models_under_test=comparison.models_under_test,
            ratios=tuple(ratios),
            complete=complete and all(result.complete for result in latency),
            warnings=run_warnings(config, None, latency),
        )


def compare_with_full_precision(
    config: RunConfig, listener: Listener, cache_dir: Path
) -> tuple[LatencyRatio, ...]:
    """Time a converted backbone and its fp32 original alternately, one image after another.

    Only this can say which of the two is faster here: quantised operators are slow on processors
    that lack the instructions for them.
    """
    converted, original = (
        f"{config.model}@precision={p}" for p in (config.precision, FULL_PRECISION)
    )
    timing = replace(
        config.timing,
        scenarios=("single",),
        boundaries=("numpy->numpy",),
        candidates=(converted,),
        rounds=_QUICK_ROUNDS,
        costs=False,
    )
    both = replace(config, model=original, timing=timing)
    with opened_comparison(both, listener, cache_dir) as comparison:
        _, ratios = next(comparison.measure(listener))
    return tuple(
        replace(ratio, label=config.precision, reference=FULL_PRECISION) for ratio in ratios
    )
