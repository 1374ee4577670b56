"""Several models, providers, precisions or thread counts, measured in turn in one run."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener
from tlbench.core.registry import unknown_name
from tlbench.engine import check_provider
from tlbench.latency import Turns, alternate, block_medians, watch_each
from tlbench.model import FULL_PRECISION, check_precision
from tlbench.records import Interval, LatencyRatio, LatencyResult, ModelUnderTest
from tlbench.stats import ratio_interval
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.features import RunContext
from tlbench.workflows.steps.inputs import latency_inputs
from tlbench.workflows.steps.latency import memory_of, stopping_rule, timing_cases
from tlbench.workflows.steps.record import model_info
from tlbench.workflows.steps.timed_model import TimedModel, TimingCase

# Enough blocks for an interval; a run at a lower precision is not a contest.
_QUICK_ROUNDS = 10

# MODEL@threads=1,provider=cuda: an "@" may stand in a path, so the settings must look like some.
_SPEC = re.compile(r"(?P<model>.+?)(?:@(?P<settings>\w+=[^=,]*(?:,\w+=[^=,]*)*))?")
_SETTINGS = ["threads", "provider", "precision", "spin"]
_SPIN = {"yes": True, "no": False}


def candidate_config(spec: str, config: RunConfig) -> RunConfig:
    """Return *config* with the model and the settings of ``MODEL@name=value,...``.

    Raises
    ------
    UnknownNameError, ConfigError
        If a setting does not exist or its value makes no sense.
    """
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise ConfigError(f"{spec!r} names no model. Write MODEL or MODEL@threads=1.")
    changed = replace(config, model=found["model"])
    for setting in (found["settings"] or "").split(",") if found["settings"] else ():
        name, _, value = setting.partition("=")
        if name not in _SETTINGS:
            raise unknown_name("setting of a candidate", name, _SETTINGS)
        if name == "threads":
            if not value.isdecimal():
                raise ConfigError(f"threads of {spec!r} must be a whole number, not {value!r}.")
            changed = replace(changed, threads=int(value))
        elif name == "provider":
            if value.lower() != config.provider.lower():  # options of one mean nothing to another
                changed = replace(changed, provider_options={})
            changed = replace(changed, provider=value)
        elif name == "precision":
            changed = replace(changed, precision=value)
        elif value not in _SPIN:
            raise ConfigError(f"spin of {spec!r} must be yes or no, not {value!r}.")
        else:
            changed = replace(changed, timing=replace(changed.timing, spin=_SPIN[value]))
    return changed


@dataclass
class InterleavedComparison:
    """Open sessions of all candidates; the first is the reference."""

    config: RunConfig
    timed_models: list[TimedModel]
    assumptions: tuple[str, ...]

    @property
    def candidates(self) -> tuple[ModelUnderTest, ...]:
        """Their identities, as they go into the record."""
        return tuple(
            ModelUnderTest(
                label=timed_model.label or "",
                model=model_info(timed_model.session.model),
                provider=timed_model.session.provider,
                precision=timed_model.precision,
                threads=timed_model.session.threads,
            )
            for timed_model in self.timed_models
        )

    def measure(
        self, listener: Listener
    ) -> Iterator[tuple[list[LatencyResult], list[LatencyRatio]]]:
        """Yield the results of a case, one a candidate, and the ratios against the reference.

        After Ctrl-C the last ones are incomplete and nothing follows.
        """
        timing = self.config.timing
        for case in timing_cases(self.config, self.timed_models[0].inputs):
            listener.start(f"{len(self.timed_models)} in turn, {case}")
            calls = {
                timed_model.label or "": timed_model.calls(case)[0]
                for timed_model in self.timed_models
            }
            with watch_each(
                [timed_model.machine for timed_model in self.timed_models]
            ) as machine_samples:
                timings = alternate(
                    calls, stopping_rule(timing, case), Turns(min_rounds=timing.rounds)
                )
            results = []
            for timed_model, seen in zip(self.timed_models, machine_samples, strict=True):
                found = timings[timed_model.label or ""]
                more: dict[str, Any] = {}
                if case.scenario == "paced":
                    more["pause_s"] = timing.pause_s
                elif timing.costs and found.complete:
                    more = memory_of(timed_model, case)
                results.append(timed_model.result(case, found, seen, **more))
            listener.finish()
            yield results, [self._ratio(case, results[0], other) for other in results[1:]]
            if not results[0].complete:
                return

    def _ratio(
        self, case: TimingCase, reference: LatencyResult, other: LatencyResult
    ) -> LatencyRatio:
        estimate = ratio_interval(
            block_medians(other.samples_s, other.block_sizes),
            block_medians(reference.samples_s, reference.block_sizes),
        )
        interval = None
        if estimate.low is not None and estimate.high is not None:
            interval = Interval(
                low=estimate.low,
                high=estimate.high,
                method="Hodges-Lehmann and Wilcoxon over block medians",
            )
        sides = {c.label: c for c in self.candidates}
        mine, theirs = sides[reference.label or ""], sides[other.label or ""]
        return LatencyRatio(
            label=theirs.label,
            reference=mine.label,
            scenario=case.scenario,
            batch_size=case.batch_size,
            boundary=reference.boundary,
            ratio=estimate.ratio,
            interval=interval,
            n_blocks=estimate.n_blocks,
            unlike=tuple(
                name
                for name, one, two in (
                    ("model", mine.model.sha256, theirs.model.sha256),
                    ("provider", mine.provider, theirs.provider),
                    ("precision", mine.precision, theirs.precision),
                    ("threads", mine.threads, theirs.threads),
                )
                if one != two
            ),
        )


@contextmanager
def opened_comparison(
    config: RunConfig, listener: Listener, cache_dir: Path
) -> Iterator[InterleavedComparison]:
    """Open a session for the run's model and for each rival.

    Raises
    ------
    ConfigError
        If two candidates are the same, or their files fix different batches.
    """
    specs = (config.model, *config.timing.candidates)
    if len(set(specs)) < len(specs):
        raise ConfigError(f"A candidate is named twice: {', '.join(specs)}.")
    configs = [candidate_config(spec, config) for spec in specs]
    for one in configs:  # before any export
        check_provider(one.provider)
        check_precision(one.precision)
    with ExitStack() as stack:
        timed_models, assumptions = [], []
        for spec, one in zip(specs, configs, strict=True):
            context = stack.enter_context(RunContext(one, listener, cache_dir))
            inputs = latency_inputs(context.model, None)
            timed_models.append(TimedModel(context.session(), inputs, label=spec))
            assumptions += [f"{spec}: {text}" for text in inputs.assumptions]
        for left, right in pairwise(timed_models):
            batches = left.inputs.fixed_batch, right.inputs.fixed_batch
            if batches[0] != batches[1]:
                msg = (
                    f"{left.label} fixes the batch at {batches[0] or 'none'}, {right.label} at "
                    f"{batches[1] or 'none'}: their times cannot be compared. Export both alike."
                )
                raise ConfigError(msg)
        yield InterleavedComparison(config, timed_models, tuple(assumptions))


def against_full_precision(
    config: RunConfig, listener: Listener, cache_dir: Path
) -> tuple[LatencyRatio, ...]:
    """Time a converted backbone and its fp32 original in turn, one image after another.

    Nothing but this can say which of the two is faster here: quantised operators are slow where the
    processor lacks the instructions for them.
    """
    mine, theirs = (f"{config.model}@precision={p}" for p in (config.precision, FULL_PRECISION))
    timing = replace(
        config.timing,
        scenarios=("single",),
        boundaries=("numpy->numpy",),
        candidates=(mine,),
        rounds=_QUICK_ROUNDS,
        costs=False,
    )
    both = replace(config, model=theirs, timing=timing)
    with opened_comparison(both, listener, cache_dir) as contest:
        _, ratios = next(contest.measure(listener))
    return tuple(
        replace(ratio, label=config.precision, reference=FULL_PRECISION) for ratio in ratios
    )
