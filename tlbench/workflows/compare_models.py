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
from tlbench.records import Contestant, Interval, LatencyRatio, LatencyResult
from tlbench.stats import ratio_interval
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.features import Workplace
from tlbench.workflows.steps.inputs import latency_inputs
from tlbench.workflows.steps.latency import jobs_of, memory_of, plan_for
from tlbench.workflows.steps.record import model_info
from tlbench.workflows.steps.timed_model import Job, Subject

# Enough blocks for an interval; a run at a lower precision is not a contest.
_QUICK_ROUNDS = 10

# MODEL@threads=1,provider=cuda: an "@" may stand in a path, so the settings must look like some.
_SPEC = re.compile(r"(?P<model>.+?)(?:@(?P<settings>\w+=[^=,]*(?:,\w+=[^=,]*)*))?")
_SETTINGS = ["threads", "provider", "precision", "spin"]
_SPIN = {"yes": True, "no": False}


def contestant_config(spec: str, config: RunConfig) -> RunConfig:
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
            raise unknown_name("setting of a contestant", name, _SETTINGS)
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
class Contest:
    """Open sessions of all contestants; the first is the reference."""

    config: RunConfig
    subjects: list[Subject]
    assumptions: tuple[str, ...]

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """Their identities, as they go into the record."""
        return tuple(
            Contestant(
                label=subject.label or "",
                model=model_info(subject.session.model),
                provider=subject.session.provider,
                precision=subject.precision,
                threads=subject.session.threads,
            )
            for subject in self.subjects
        )

    def measure(
        self, listener: Listener
    ) -> Iterator[tuple[list[LatencyResult], list[LatencyRatio]]]:
        """Yield the results of a job, one a contestant, and the ratios against the reference.

        After Ctrl-C the last ones are incomplete and nothing follows.
        """
        timing = self.config.timing
        for job in jobs_of(self.config, self.subjects[0].inputs):
            listener.start(f"{len(self.subjects)} in turn, {job}")
            calls = {subject.label or "": subject.calls(job)[0] for subject in self.subjects}
            with watch_each([subject.machine for subject in self.subjects]) as observed:
                timings = alternate(calls, plan_for(timing, job), Turns(min_rounds=timing.rounds))
            results = []
            for subject, seen in zip(self.subjects, observed, strict=True):
                found = timings[subject.label or ""]
                more: dict[str, Any] = {}
                if job.scenario == "paced":
                    more["pause_s"] = timing.pause_s
                elif timing.costs and found.complete:
                    more = memory_of(subject, job)
                results.append(subject.result(job, found, seen, **more))
            listener.finish()
            yield results, [self._ratio(job, results[0], other) for other in results[1:]]
            if not results[0].complete:
                return

    def _ratio(self, job: Job, reference: LatencyResult, other: LatencyResult) -> LatencyRatio:
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
        sides = {c.label: c for c in self.contestants}
        mine, theirs = sides[reference.label or ""], sides[other.label or ""]
        return LatencyRatio(
            label=theirs.label,
            reference=mine.label,
            scenario=job.scenario,
            batch_size=job.batch_size,
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
def opened_contest(config: RunConfig, listener: Listener, cache_dir: Path) -> Iterator[Contest]:
    """Open a session for the run's model and for each rival.

    Raises
    ------
    ConfigError
        If two contestants are the same, or their files fix different batches.
    """
    specs = (config.model, *config.timing.rivals)
    if len(set(specs)) < len(specs):
        raise ConfigError(f"A contestant is named twice: {', '.join(specs)}.")
    configs = [contestant_config(spec, config) for spec in specs]
    for one in configs:  # before any export
        check_provider(one.provider)
        check_precision(one.precision)
    with ExitStack() as stack:
        subjects, assumptions = [], []
        for spec, one in zip(specs, configs, strict=True):
            workplace = stack.enter_context(Workplace(one, listener, cache_dir))
            inputs = latency_inputs(workplace.model, None)
            subjects.append(Subject(workplace.session(), inputs, label=spec))
            assumptions += [f"{spec}: {text}" for text in inputs.assumptions]
        for left, right in pairwise(subjects):
            batches = left.inputs.fixed_batch, right.inputs.fixed_batch
            if batches[0] != batches[1]:
                msg = (
                    f"{left.label} fixes the batch at {batches[0] or 'none'}, {right.label} at "
                    f"{batches[1] or 'none'}: their times cannot be compared. Export both alike."
                )
                raise ConfigError(msg)
        yield Contest(config, subjects, tuple(assumptions))


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
        rivals=(mine,),
        rounds=_QUICK_ROUNDS,
        costs=False,
    )
    both = replace(config, model=theirs, timing=timing)
    with opened_contest(both, listener, cache_dir) as contest:
        _, ratios = next(contest.measure(listener))
    return tuple(
        replace(ratio, label=config.precision, reference=FULL_PRECISION) for ratio in ratios
    )
