"""From the drift of features to that of accuracy: providers, precisions and exports compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.compare import paired_difference
from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener
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
from tlbench.workflows.steps.accuracy import CandidateHeads, refuse_random_weights
from tlbench.workflows.steps.data_warnings import data_warnings
from tlbench.workflows.steps.features import RunContext, SplitFeatures, cache_folder, extract_split
from tlbench.workflows.steps.head_shapes import BACKBONE
from tlbench.workflows.steps.record import dataset_info, make_record, model_info
from tlbench.workflows.steps.warnings import run_warnings


@dataclass(frozen=True, slots=True)
class Drifted:
    """The record of a comparison of features, and the predictions behind it."""

    result: RunResult
    predictions: dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class _Side:
    """Test features of one model."""

    label: str
    model: ModelInfo
    test: SplitFeatures


def measure_drift(
    config: RunConfig, created: datetime, listener: Listener, command: str
) -> Drifted:
    """Fit each head on the features of the first model and try it on those of every model.

    What a deployed classifier meets when its backbone moves to another provider, precision or
    export. The network of each runs over the test split only, that of the first over train too.

    Raises
    ------
    ConfigError
        If a model is named twice.
    DataError
        If the features have another shape than the reference's, or other images were unreadable.
    """
    specs = (config.model, *config.candidates)
    if len(set(specs)) < len(specs):
        raise ConfigError(f"A model is named twice: {', '.join(specs)}.")
    configs = [candidate_config(spec, config) for spec in specs]
    for spec, one in zip(specs, configs, strict=True):  # before any export or extraction
        if (one.threads, one.timing) != (config.threads, config.timing):
            msg = (
                f"Features are stored for a model, provider and precision, whatever the threads: "
                f"{spec!r} would be compared with itself. Set provider= or precision= only."
            )
            raise ConfigError(msg)
        check_provider(one.provider)
        check_precision(one.precision)
    candidates = CandidateHeads(replace(config, baselines=()))
    with cache_folder(config) as cache_dir:
        with RunContext(configs[0], listener, cache_dir) as context:
            refuse_random_weights(context.model)
            dataset = context.dataset
            check_training(dataset.train.labels, dataset.classes)
            candidates.lay_out(context.model, listener)
            train = extract_split(context, dataset.train, "train")
            reference = _side(specs[0], context)
            about_data = data_warnings(context, dataset, train, reference.test)
        others = []
        for spec, one in zip(specs[1:], configs[1:], strict=True):
            with RunContext(one, listener, cache_dir, dataset) as context:
                refuse_random_weights(context.model)
                others.append(_side(spec, context))
        _check_same_images(reference, others)
        for side in (reference, *others):
            check_comparable(reference.test.features, side.test.features)
            check_features(  # an overflow shows here
                "backbone", train.features, train.labels, side.test.features, side.test.labels
            )
        drifts, predictions, notes = _judge(
            config, candidates, train, (reference, *others), listener=listener
        )
        data = dataset_info(dataset, train.skipped + reference.test.skipped)
        unlearnable = check_training(train.labels, dataset.classes)
        passes = (
            replace(train.result, label=reference.label),
            *(replace(side.test.result, label=side.label) for side in (reference, *others)),
        )
        result = make_record(
            config,
            created,
            command=command,
            model=reference.model,
            latency=(),
            dataset=data,
            warnings=(
                *run_warnings(
                    *(config, data, unlearnable, (), passes),
                    about_data=about_data,
                    is_limited=dataset.is_limited,
                ),
                *notes,
            ),
            extraction=passes,
            drifts=tuple(drifts),
        )
    return Drifted(result, predictions)


def _side(label: str, context: RunContext) -> _Side:
    test = extract_split(context, context.dataset.test, "test")
    return _Side(label, model_info(context.model), test)


def _check_same_images(reference: _Side, others: list[_Side]) -> None:
    for other in others:
        if not np.array_equal(reference.test.index, other.test.index):
            msg = (
                f"{other.label} read {len(other.test.index)} test images, {reference.label} "
                f"{len(reference.test.index)}: the pairs would not be the same images. Run again."
            )
            raise ConfigError(msg)


def _judge(
    config: RunConfig,
    candidates: CandidateHeads,
    train: SplitFeatures,
    sides: Sequence[_Side],
    *,
    listener: Listener,
) -> tuple[list[FeatureDrift], dict[str, NDArray[np.generic]], list[str]]:
    reference, *others = sides
    labels = reference.test.labels
    distances = [feature_distance(reference.test.features, o.test.features) for o in others]
    predictions: dict[str, NDArray[np.generic]] = {"labels": labels, "index": reference.test.index}
    drifts: list[FeatureDrift] = []
    notes: list[str] = []
    for head in candidates.heads:
        listener.start(f"fit {head.name} on {reference.label}")
        params = candidates.layouts[BACKBONE][head.name]
        fitted = fit_and_predict(
            head,
            params,
            train.features,
            train.labels,
            reference.test.features,
            seed=config.seed,
        )
        listener.finish()
        notes += [f"{head.name} on {reference.label}: {note}" for note in fitted.notes]
        expected = fitted.predictions
        predictions[f"backbone.{head.name}"] = expected
        for i, (other, distance) in enumerate(zip(others, distances, strict=True), start=1):
            found = _predict(fitted.estimator, other)
            predictions[f"other{i}.{head.name}"] = found
            drifts.append(
                FeatureDrift(
                    label=other.label,
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


def _predict(classifier: Any, side: _Side) -> LabelArray:  # noqa: ANN401 - a scikit-learn estimator
    return np.asarray(classifier.predict(side.test.features), dtype=np.int64)
