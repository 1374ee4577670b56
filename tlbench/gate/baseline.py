"""From a saved run to the baseline that later runs are judged against."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from tlbench.compare import ComparedRun, median_interval, predictions_of
from tlbench.core.errors import GateError
from tlbench.core.hashing import sha256_array
from tlbench.machine import Environment
from tlbench.records import (
    Baseline,
    BaselineAccuracy,
    BaselineData,
    BaselineDrift,
    BaselineModel,
    BaselineTiming,
    LatencyResult,
    Machine,
    ModelInfo,
    Predictions,
    RunResult,
    derive,
    entry_name,
    pack_labels,
)

# Feature baselines such as pixels do not depend on the model, so a gate has no use for them.
_ENTRIES = ("backbone*.*",)


def make_baseline(
    compared: ComparedRun, *, entries: Sequence[str] = _ENTRIES, latency: bool = True
) -> Baseline:
    """Return the baseline of a run; *entries* are names or patterns ``FEATURES.HEAD``."""
    run = compared.run
    compared.check()
    if not run.complete:
        raise GateError(f"Run {run.id} was interrupted. A baseline needs a complete run.")
    if labels := compared.labels:
        raise GateError(
            f"Run {run.id} compares several models ({', '.join(labels)}). Name the one that is the "
            f"baseline: '{run.id}#{labels[0]}'."
        )
    predictions = predictions_of(compared)
    accuracy = _accuracy(run, predictions, entries) if run.accuracy else ()
    timings = tuple(map(timing_summary, compared.timings)) if latency else ()
    drifts = drifts_of(run)
    if not accuracy and not timings and not drifts:
        raise GateError(
            f"Run {run.id} has nothing to keep. Make a run with `tlbench run` or "
            "`tlbench evaluate`."
        )
    return Baseline(
        tlbench_version=run.tlbench_version,
        run=compared.name,
        created_at=run.created_at,
        command=run.config.command,
        model=model_identity(compared.model_of()),
        machine=machine_of(run.environment),
        libraries=dict(sorted(run.environment.libraries.items())),
        data=_data(run, predictions) if accuracy and predictions else None,
        accuracy=accuracy,
        latency=timings,
        drifts=drifts,
    )


def _accuracy(
    run: RunResult, predictions: Predictions | None, entries: Sequence[str]
) -> tuple[BaselineAccuracy, ...]:
    if predictions is None:
        raise GateError(
            f"Run {run.id} has no predictions.npz beside its run.json, so later runs cannot be "
            "compared with it image by image. Copy the whole folder of a run."
        )
    names = [entry_name(result) for result in run.accuracy]
    for pattern in entries:
        if not any(fnmatchcase(name, pattern) for name in names):
            msg = f"Run {run.id} has no predictions {pattern!r}. It has: {', '.join(names)}."
            raise GateError(msg)
    return tuple(
        derive(
            BaselineAccuracy,
            result,
            entry=name,
            predictions=pack_labels(predictions.entries[name]),
        )
        for name, result in zip(names, run.accuracy, strict=True)
        if any(fnmatchcase(name, pattern) for pattern in entries)
    )


def _data(run: RunResult, predictions: Predictions) -> BaselineData:
    found = run.dataset
    if found is None:
        raise GateError(f"Run {run.id} does not say what data it was measured on.")
    return derive(
        BaselineData,
        found,
        n_classes=len(found.classes),
        labels_sha256=sha256_array(predictions.labels),
        index_sha256=sha256_array(predictions.index),
    )


def timing_summary(result: LatencyResult) -> BaselineTiming:
    """Return what a ratio needs of a timing."""
    load = result.server
    return derive(
        BaselineTiming,
        result,
        load=f"{load.qps:g}/s within {load.latency_bound_s:g} s" if load else None,
        n_samples=len(result.samples_s),
        median_interval=median_interval(result),
        verdict=result.verdict if result.complete else "INVALID",
    )


def drifts_of(run: RunResult) -> tuple[BaselineDrift, ...]:
    """Return every smallest cosine that a run knows: measured in it, and in its model's card."""
    # One for each pair of feature sets: several heads on them have the same cosine.
    found = {f"{one.label} against {one.reference}": one.smallest_cosine for one in run.drifts}
    card = run.model.card
    if card is not None and card.conversion is not None:
        found[f"conversion to {card.conversion.precision}"] = card.conversion.drift.min_cosine
    return tuple(BaselineDrift(name=name, smallest_cosine=value) for name, value in found.items())


def model_identity(model: ModelInfo) -> BaselineModel:
    """Return what a verdict says about a model."""
    card = model.card
    return BaselineModel(
        name=card.backbone if card else model.path_name,
        sha256=model.sha256,
        precision=card.precision if card else "unknown",
        weights=f"{card.weights.kind}: {card.weights.origin}" if card else "unknown",
    )


def machine_of(found: Environment) -> Machine:
    """Return the properties that must match before the times of two machines are compared."""
    return derive(Machine, found, gpus=tuple(gpu.name for gpu in found.gpus))
