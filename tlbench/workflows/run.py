"""One whole run: from a configuration to a record."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener, Silent
from tlbench.datasets import Dataset
from tlbench.engine import check_provider
from tlbench.heads import check_training, fit_head
from tlbench.model import FULL_PRECISION, check_precision
from tlbench.records import (
    AccuracyResult,
    Breakdown,
    CrossValidation,
    LatencyRatio,
    LatencyResult,
    LearningCurve,
    RunResult,
)
from tlbench.workflows.compare_models import against_full_precision, opened_comparison
from tlbench.workflows.config import RunConfig
from tlbench.workflows.drift import measure_drift
from tlbench.workflows.steps.accuracy import CandidateHeads, measure_accuracy, refuse_random_weights
from tlbench.workflows.steps.breakdown import measure_breakdown
from tlbench.workflows.steps.data_warnings import data_warnings
from tlbench.workflows.steps.feature_sets import feature_sets
from tlbench.workflows.steps.features import RunContext, SplitFeatures, cache_folder, extract_split
from tlbench.workflows.steps.fitting import Fitting
from tlbench.workflows.steps.inputs import latency_inputs
from tlbench.workflows.steps.latency import measure_latency
from tlbench.workflows.steps.protocols import check_protocol, measure_curves, measure_folds
from tlbench.workflows.steps.record import dataset_info, make_record, model_info
from tlbench.workflows.steps.warnings import run_warnings


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """A finished run, not saved yet: `tlbench.records.save_run` takes both parts."""

    result: RunResult
    predictions: dict[str, NDArray[np.generic]]


def run_benchmark(
    config: RunConfig, listener: Listener | None = None, *, command: str = ""
) -> RunOutcome:
    """Measure what *config* asks for: accuracy, latency or both.

    Parameters
    ----------
    config : RunConfig
        Checked before any work begins; names are resolved first, so that a typing error costs no
        time.
    listener : Listener or None
        Told about the progress.
    command : str
        Command line that repeats the run, for the record.

    Returns
    -------
    RunOutcome
        After Ctrl-C while latency is measured: what there was until then, its result marked as not
        complete. Earlier there is nothing to keep, and Ctrl-C is an interruption like any other.

    Raises
    ------
    TlbenchError
        If anything is unknown, unavailable, missing or damaged; nothing is saved then.
    """
    listener = listener or Silent()
    created = datetime.now(UTC)
    if config.candidates:
        drifted = measure_drift(config, created, listener, command)
        return RunOutcome(drifted.result, drifted.predictions)
    if config.timing.candidates:
        return RunOutcome(_compare_models(config, created, listener, command), {})
    return _run_one(config, created, listener, command)


def _run_one(config: RunConfig, created: datetime, listener: Listener, command: str) -> RunOutcome:
    check_provider(config.provider)
    check_precision(config.precision)
    candidates = CandidateHeads(config) if config.accuracy else None
    with RunContext.opened(config, listener) as context:
        measured = _Accuracy(config, context, candidates) if candidates else None
        images = measured.dataset.test.images if measured else None
        inputs = latency_inputs(context.model, images)
        latency: list[LatencyResult] = []
        breakdown: Breakdown | None = None
        ratios: tuple[LatencyRatio, ...] = ()
        complete = True
        if config.latency:
            try:
                for timed in measure_latency(context.session(), inputs, config, listener):
                    latency.append(timed)  # noqa: PERF402 - one by one: Ctrl-C keeps those before
                if measured and config.breakdown and _all_complete(latency):
                    breakdown = measured.breakdown(listener)
                if config.precision != FULL_PRECISION and _all_complete(latency):
                    context.close_session()
                    ratios = against_full_precision(config, listener, context.cache_dir)
            except KeyboardInterrupt:
                if not latency:
                    raise
                complete = False
            context.close_session()
        info = measured.info if measured else None
        accuracy = tuple(measured.results) if measured else ()
        extraction = measured.extraction if measured else ()
        result = make_record(
            config,
            created,
            command=command,
            model=model_info(context.model, inputs.assumptions if config.latency else ()),
            latency=tuple(latency),
            dataset=info,
            extraction=extraction,
            accuracy=accuracy,
            cross_validation=measured.cross_validations if measured else (),
            learning_curves=measured.learning_curves if measured else (),
            breakdown=breakdown,
            ratios=ratios,
            complete=complete and _all_complete(latency),
            warnings=run_warnings(
                config,
                info,
                measured.unlearnable if measured else (),
                accuracy,
                (*extraction, *latency),
                ratios=ratios,
                about_data=measured.about_data if measured else (),
                protocols=measured.protocols if measured else (),
                is_limited=measured is not None and measured.dataset.is_limited,
            ),
        )
    return RunOutcome(result, measured.predictions if measured else {})


def _all_complete(results: list[LatencyResult]) -> bool:
    return all(result.complete for result in results)


class _Accuracy:
    """The accuracy part of a run, finished when the object is there."""

    def __init__(self, config: RunConfig, context: RunContext, candidates: CandidateHeads) -> None:
        refuse_random_weights(context.model)
        self._config, self._workplace, self._contestants = config, context, candidates
        self.dataset: Dataset = context.dataset
        # before minutes of extraction
        check_training(self.dataset.train.labels, self.dataset.classes)
        self._check_protocol(self.dataset.train.labels, self.dataset.test.labels)
        candidates.lay_out(context.model, context.listener)
        self.train: SplitFeatures = extract_split(context, self.dataset.train, "train")
        test = extract_split(context, self.dataset.test, "test")
        # An idle session's threads would spin beside the fit.
        context.close_session()
        reference = _full_precision_features(context)
        self.unlearnable = check_training(self.train.labels, self.dataset.classes)
        self._check_protocol(self.train.labels, test.labels)  # unreadable images are gone
        self.about_data = data_warnings(context, self.dataset, self.train, test)
        self.extraction = (self.train.result, test.result)
        self.info = dataset_info(self.dataset, self.train.skipped + test.skipped)
        sets = feature_sets(
            context, self.dataset, candidates.baselines, self.train, test, reference=reference
        )
        fitting = Fitting(
            context=context,
            dataset=self.dataset,
            heads=candidates.heads,
            layouts=candidates.layouts,
            sets=sets,
            train=self.train,
            test=test,
        )
        self.results, self.predictions = measure_accuracy(fitting)
        self.cross_validations = tuple(measure_folds(fitting))
        self.learning_curves = tuple(measure_curves(fitting))
        self.protocols: tuple[CrossValidation | LearningCurve, ...] = (
            *self.cross_validations,
            *self.learning_curves,
        )

    def _check_protocol(self, *labels: LabelArray) -> None:
        heads, params = self._contestants.heads, self._contestants.params
        train, test = labels
        check_protocol(self._config, self.dataset.classes, (train, test), heads, params)

    def breakdown(self, listener: Listener) -> Breakdown | None:
        """Time the way from image to label with the best head on the backbone, if there is one."""
        ours = [r for r in self.results if not r.baseline and not r.fitted_on]
        if not ours:  # heads that need a map, on the pixels only
            return None
        best: AccuracyResult = max(ours, key=lambda result: result.accuracy_fraction)
        head = next(head for head in self._contestants.heads if head.name == best.head)
        listener.start(f"breakdown with {head.name}")
        # The session must not spin beside the fit, nor be opened in the middle of the way.
        self._workplace.close_session()
        classifier = fit_head(
            head,
            best.params,  # those that were scored: a search may have chosen one
            self.train.features,
            self.train.labels,
            seed=self._config.seed,
        )
        session = self._workplace.session()
        found = measure_breakdown(session, self.dataset.test.images, classifier, head.name)
        listener.finish()
        return found


def _full_precision_features(context: RunContext) -> SplitFeatures | None:
    """Return the fp32 train features of a backbone at a lower precision, else None."""
    if context.config.precision == FULL_PRECISION:
        return None
    with context.at_full_precision() as other:
        return extract_split(other, context.dataset.train, "train")


def _compare_models(
    config: RunConfig, created: datetime, listener: Listener, command: str
) -> RunResult:
    if config.accuracy:
        raise ConfigError("Only latency is measured of several models in turn.")
    latency: list[LatencyResult] = []
    ratios: list[LatencyRatio] = []
    with ExitStack() as stack:
        cache_dir = stack.enter_context(cache_folder(config))
        contest = stack.enter_context(opened_comparison(config, listener, cache_dir))

        complete = True
        try:
            for results, compared in contest.measure(listener):
                latency += results
                ratios += compared
        except KeyboardInterrupt:
            if not latency:
                raise
            complete = False
        reference = contest.timed_models[0]
        return make_record(
            config,
            created,
            command=command,
            model=model_info(reference.session.model, contest.assumptions),
            latency=tuple(latency),
            models_under_test=contest.candidates,
            ratios=tuple(ratios),
            complete=complete and _all_complete(latency),
            warnings=run_warnings(config, None, (), (), latency),
        )
