"""Drift: how the features and the predictions change with the provider, precision or export."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tlbench.compare import paired_difference
from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener, task
from tlbench.engine import check_provider
from tlbench.heads import (
    check_comparable,
    check_features,
    check_training,
    feature_distance,
    fit_and_predict,
)
from tlbench.model import check_precision
from tlbench.records import FeatureDrift, ModelInfo, RunResult
from tlbench.workflows.compare_models import candidate_config
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.context import RunContext, cache_folder
from tlbench.workflows.steps.features import BACKBONE, SplitFeatures, extract_split
from tlbench.workflows.steps.heads import ChosenHeads, HeadShapes, refuse_random_weights
from tlbench.workflows.steps.record import dataset_info, make_record, model_info
from tlbench.workflows.steps.warnings import data_warnings, run_warnings

_Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class _ModelFeatures:
    """Test features of one model under test."""

    label: str
    model: ModelInfo
    test: SplitFeatures


def measure_drift(
    config: RunConfig, created: datetime, listener: Listener, command: str
) -> tuple[RunResult, _Arrays]:
    """Fit each head on the features of the first model and score it on those of every model.

    That is what a deployed classifier meets when its backbone moves to another provider, precision
    or export. Returns the record and the arrays of ``predictions.npz``.
    """
    specs, configs = _checked_configs(config)
    chosen = ChosenHeads.of(replace(config, baselines=()))
    with cache_folder(config) as cache_dir:
        with RunContext(configs[0], listener, cache_dir) as context:
            refuse_random_weights(context.model)
            dataset = context.dataset
            check_training(dataset.train.labels, dataset.classes)
            shapes = chosen.shapes_on(context.model, listener)
            train = extract_split(context, dataset.train, "train")
            reference = _test_features(specs[0], context)
            about_data = data_warnings(context, train, reference.test, train.features)
        candidates = []
        for spec, one in zip(specs[1:], configs[1:], strict=True):
            with RunContext(one, listener, cache_dir, dataset) as context:
                refuse_random_weights(context.model)
                candidates.append(_test_features(spec, context))
        models = (reference, *candidates)
        _check_comparable(train, models)
        drifts, predictions, notes = _compare(
            config, chosen, shapes, train, models, listener=listener
        )
    data = dataset_info(dataset, train.skipped + reference.test.skipped)
    passes = (
        replace(train.result, label=reference.label),
        *(replace(model.test.result, label=model.label) for model in models),
    )
    warnings = run_warnings(
        config,
        data,
        passes,
        about_data=about_data,
        unlearnable=check_training(train.labels, dataset.classes),
        is_limited=dataset.is_limited,
    )
    result = make_record(
        config,
        created,
        command=command,
        model=reference.model,
        latency=(),
        dataset=data,
        warnings=(*warnings, *notes),
        extraction=passes,
        drifts=tuple(drifts),
    )
    return result, predictions


def _checked_configs(config: RunConfig) -> tuple[tuple[str, ...], list[RunConfig]]:
    """Return what names each model, and its configuration; checked before any work."""
    specs = (config.model, *config.candidates)
    if len(set(specs)) < len(specs):
        raise ConfigError(f"A model is named twice: {', '.join(specs)}.")
    configs = [candidate_config(spec, config) for spec in specs]
    for spec, one in zip(specs, configs, strict=True):
        if (one.threads, one.timing) != (config.threads, config.timing):
            msg = (
                f"Features do not depend on threads or spin: {spec!r} would be compared with "
                "itself. Set only the provider or the precision after the @."
            )
            raise ConfigError(msg)
        check_provider(one.provider)
        check_precision(one.precision)
    return specs, configs


def _test_features(label: str, context: RunContext) -> _ModelFeatures:
    test = extract_split(context, context.dataset.test, "test")
    return _ModelFeatures(label, model_info(context.model), test)


def _check_comparable(train: SplitFeatures, models: Sequence[_ModelFeatures]) -> None:
    reference = models[0]
    for model in models:
        if not np.array_equal(reference.test.index, model.test.index):
            msg = (
                f"{model.label} read {len(model.test.index)} test images, {reference.label} "
                f"{len(reference.test.index)}: the pairs would not be the same images. Run again."
            )
            raise ConfigError(msg)
        check_comparable(reference.test.features, model.test.features)
        check_features(  # an overflow shows here
            BACKBONE, train.features, train.labels, model.test.features, model.test.labels
        )


def _compare(
    config: RunConfig,
    chosen: ChosenHeads,
    shapes: HeadShapes,
    train: SplitFeatures,
    models: Sequence[_ModelFeatures],
    *,
    listener: Listener,
) -> tuple[list[FeatureDrift], _Arrays, list[str]]:
    reference, *candidates = models
    labels = reference.test.labels
    distances = [
        feature_distance(reference.test.features, model.test.features) for model in candidates
    ]
    predictions: _Arrays = {"labels": labels, "index": reference.test.index}
    drifts: list[FeatureDrift] = []
    notes: list[str] = []
    for head in chosen.heads:
        with task(listener, f"fit {head.name} on {reference.label}"):
            fitted = fit_and_predict(
                head,
                shapes[BACKBONE][head.name],
                train.features,
                train.labels,
                reference.test.features,
                seed=config.seed,
            )
        notes += [f"{head.name} on {reference.label}: {note}" for note in fitted.notes]
        expected = fitted.predictions
        predictions[f"backbone.{head.name}"] = expected
        for i, (model, distance) in enumerate(zip(candidates, distances, strict=True), start=1):
            found = np.asarray(fitted.estimator.predict(model.test.features), dtype=np.int64)
            predictions[f"candidate{i}.{head.name}"] = found
            drifts.append(
                FeatureDrift(
                    label=model.label,
                    reference=reference.label,
                    relative_error=distance.relative_error,
                    smallest_cosine=distance.smallest_cosine,
                    median_cosine=distance.median_cosine,
                    head=head.name,
                    reference_fraction=float(np.mean(expected == labels)),
                    fraction=float(np.mean(found == labels)),
                    paired=paired_difference(labels, expected, found),
                )
            )
    return drifts, predictions, notes
