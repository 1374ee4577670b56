"""Accuracy of every head on every feature set: hold-out, cross-validation, learning curves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tlbench.compare import paired_difference
from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.hashing import sha256_array
from tlbench.core.progress import task
from tlbench.features import content_key
from tlbench.heads import (
    VALIDATION_FRACTION,
    Evaluation,
    Head,
    Params,
    SearchSpace,
    check_training,
    cross_validate,
    evaluate_head,
    learning_curve,
    search_notes,
    search_parameter,
)
from tlbench.records import (
    AccuracyResult,
    CrossValidation,
    DatasetInfo,
    ExtractionResult,
    LearningCurve,
    RunImages,
    Search,
    entry_name,
    plain_value,
)
from tlbench.workflows.steps.context import RunContext
from tlbench.workflows.steps.features import (
    BACKBONE,
    FeatureSet,
    SplitFeatures,
    extract_split,
    feature_sets,
)
from tlbench.workflows.steps.heads import (
    ChosenHeads,
    HeadShapes,
    check_protocol,
    refuse_random_weights,
)
from tlbench.workflows.steps.images import Confidences, keep_images
from tlbench.workflows.steps.record import dataset_info
from tlbench.workflows.steps.warnings import data_warnings

# Version of the records in the store, a part of every key: raise it when a record gains figures.
_RECORD_VERSION = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAccuracy:
    """What a run measures of its heads, and the data that it was measured on."""

    dataset: DatasetInfo | None = None
    extraction: tuple[ExtractionResult, ...] = ()
    results: tuple[AccuracyResult, ...] = ()
    cross_validations: tuple[CrossValidation, ...] = ()
    learning_curves: tuple[LearningCurve, ...] = ()
    predictions: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    images: RunImages | None = None
    train: SplitFeatures | None = None
    unlearnable: Sequence[str] = ()  # classes without a training image
    data_warnings: tuple[str, ...] = ()
    is_limited: bool = False

    @property
    def protocols(self) -> tuple[CrossValidation | LearningCurve, ...]:
        """What was measured besides the hold-out."""
        return (*self.cross_validations, *self.learning_curves)


NOT_MEASURED = MeasuredAccuracy()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Heads with their parameters, and feature sets of the same rows."""

    context: RunContext
    heads: Sequence[Head]
    shapes: HeadShapes
    sets: Sequence[FeatureSet]
    train: SplitFeatures
    test: SplitFeatures

    @property
    def seed(self) -> int:
        return self.context.config.seed

    def heads_on(self, features: FeatureSet) -> Sequence[Head]:
        """Return the heads that can be fitted on these features."""
        return [head for head in self.heads if head.name in self.shapes[features.name]]

    def params_on(self, features: FeatureSet, head: Head) -> Params:
        return self.shapes[features.name][head.name]

    def can_store(self, features: FeatureSet, head: Head) -> bool:
        """Tell whether equal keys mean equal results, for a head on these features."""
        return features.storable and head.storable

    def space_of(self, head: Head) -> SearchSpace | None:
        """Return what this run searches for a head; None for nothing."""
        return head.search if self.context.config.protocol.search else None

    def key_parts(self, features: FeatureSet, head: Head) -> dict[str, Any]:
        """Return all that determines a fitted head and its figures: its key in the store."""
        versions = ("scikit-learn", "tlbench", *head.requires)
        space = self.space_of(head)
        parts = {
            "record": _RECORD_VERSION,
            "features": features.identity,
            "labels": [sha256_array(split.labels) for split in (self.train, self.test)],
            "classes": len(self.context.dataset.classes),
            "head": head.name,
            "params": dict(self.params_on(features, head)),
            "search": space and [space.parameter, list(space.values), VALIDATION_FRACTION],
            "seed": self.seed,
            "versions": [f"{name} {metadata.version(name)}" for name in versions],
        }
        if head.name in self.context.config.given.heads:  # a name of the user's: add the class
            parts["given"] = head.summary
        return parts


def measure_accuracy(context: RunContext, chosen: ChosenHeads) -> MeasuredAccuracy:
    """Extract the features of both splits, fit every head on them, and score it."""
    refuse_random_weights(context.model)
    config, dataset = context.config, context.dataset
    # before minutes of extraction
    check_training(dataset.train.labels, dataset.classes)
    check_protocol(config, dataset, chosen, dataset.train.labels, dataset.test.labels)
    shapes = chosen.shapes_on(context.model, context.listener)
    train = extract_split(context, dataset.train, "train")
    test = extract_split(context, dataset.test, "test")
    context.close_session()  # the threads of an idle session would spin beside the fit
    # once more without the images that cannot be read
    unlearnable = check_training(train.labels, dataset.classes)
    check_protocol(config, dataset, chosen, train.labels, test.labels)
    fitting = _Task(
        context=context,
        heads=chosen.heads,
        shapes=shapes,
        sets=feature_sets(context, chosen.baselines, train, test),
        train=train,
        test=test,
    )
    results, predictions, confidences = _hold_out(fitting)
    return MeasuredAccuracy(
        dataset=dataset_info(dataset, train.skipped + test.skipped),
        extraction=(train.result, test.result),
        results=results,
        cross_validations=_cross_validations(fitting),
        learning_curves=_learning_curves(fitting),
        predictions=predictions,
        images=keep_images(context, test, confidences),
        train=train,
        unlearnable=unlearnable,
        data_warnings=data_warnings(context, train, test, train.features),
        is_limited=dataset.is_limited,
    )


def _hold_out(
    fitting: _Task,
) -> tuple[tuple[AccuracyResult, ...], dict[str, NDArray[np.generic]], Confidences]:
    """Fit every head on each feature set, score it, and compare the sets image by image."""
    test = fitting.test
    results: list[AccuracyResult] = []
    predictions: dict[str, NDArray[np.generic]] = {"labels": test.labels, "index": test.index}
    confidences: Confidences = {}
    ours: dict[str, LabelArray] = {}  # by head, on the backbone's own features
    for features in fitting.sets:
        for head in fitting.heads_on(features):
            evaluation = _evaluate(fitting, features, head)
            result = replace(evaluation.result, fitted_on=features.fitted_on)
            predictions[entry_name(result)] = evaluation.predictions
            if evaluation.confidence is not None:
                confidences[entry_name(result)] = evaluation.confidence_kind, evaluation.confidence
            if features.name == BACKBONE and features.fitted_on is None:
                ours[head.name] = evaluation.predictions
            elif features.baseline and head.name in ours:  # some heads fit no vector of pixels
                paired = paired_difference(test.labels, evaluation.predictions, ours[head.name])
                result = replace(result, to_backbone=paired)
            results.append(result)
    return tuple(results), predictions, confidences


def _evaluate(fitting: _Task, features: FeatureSet, head: Head) -> Evaluation:
    """Take the evaluation from the store, or fit, score and store: equal inputs, equal results."""
    store, groupings = fitting.context.store, fitting.context.dataset.groupings
    parts = fitting.key_parts(features, head)
    parts["groupings"] = [[group.name, list(group.group_of)] for group in groupings]
    key = content_key(parts)
    can_store = fitting.can_store(features, head)
    if can_store and (stored := store.get("predictions", key)):
        result = msgspec.convert(stored.meta, AccuracyResult)
        return Evaluation(
            result=replace(result, from_store=True),
            predictions=stored.arrays["predictions"],
            confidence=stored.arrays.get("probability", stored.arrays.get("margin")),
            confidence_kind="margin" if "margin" in stored.arrays else "probability",
        )
    train, test = features.matrices()
    params, search, notes = _choose(fitting, features, head, train)
    with task(fitting.context.listener, f"fit {head.name} on {features.name}"):
        evaluation = evaluate_head(
            head,
            params,
            train,
            fitting.train.labels,
            test,
            fitting.test.labels,
            features=features.name,
            baseline=features.baseline,
            seed=fitting.seed,
            n_classes=len(fitting.context.dataset.classes),
            groups={group.name: np.array(group.group_of, dtype=np.int64) for group in groupings},
        )
    result = replace(evaluation.result, search=search, notes=notes + evaluation.result.notes)
    if can_store:
        with store.writing("predictions", key, parts) as entry:
            entry.save("predictions", evaluation.predictions)
            if evaluation.confidence is not None:
                entry.save(evaluation.confidence_kind, evaluation.confidence)
            entry.commit(plain_value(result))
    return replace(evaluation, result=result)


def _choose(
    fitting: _Task, features: FeatureSet, head: Head, train: FloatArray
) -> tuple[Params, Search | None, tuple[str, ...]]:
    """Return the parameters to use, how one of them was chosen if it was, and notes on that."""
    params, listener = fitting.params_on(features, head), fitting.context.listener
    if not fitting.context.config.protocol.search:
        return params, None, ()
    space = fitting.space_of(head)
    if space is None:
        return params, None, ("This head has no parameter to search; it is fitted as given.",)
    with task(listener, f"search {head.name} on {features.name}", len(space.values), "values"):
        search = search_parameter(
            head,
            space,
            params,
            train,
            fitting.train.labels,
            seed=fitting.seed,
            on_value=listener.advance,
        )
    return {**params, space.parameter: search.chosen}, search, search_notes([search])


def _cross_validations(fitting: _Task) -> tuple[CrossValidation, ...]:
    """Return a stratified cross-validation of each head on each feature set."""
    n_folds = fitting.context.config.protocol.folds
    if n_folds is None:
        return ()
    labels = np.concatenate([fitting.train.labels, fitting.test.labels])

    def measure(features: FeatureSet, head: Head) -> CrossValidation:
        listener, space = fitting.context.listener, fitting.space_of(head)
        n_fits = n_folds * _n_fits(space)
        with task(listener, f"folds of {head.name} on {features.name}", n_fits, "fits"):
            return cross_validate(
                head,
                fitting.params_on(features, head),
                features.matrices(),
                labels,
                n_folds=n_folds,
                features=features.name,
                baseline=features.baseline,
                seed=fitting.seed,
                space=space,
                on_fit=listener.advance,
            )

    found = _each(fitting, "folds", CrossValidation, {"folds": n_folds}, measure)
    return tuple(replace(one, from_store=True) if stored else one for one, stored in found)


def _learning_curves(fitting: _Task) -> tuple[LearningCurve, ...]:
    """Return a learning curve of each head on each feature set."""
    protocol = fitting.context.config.protocol
    if not protocol.curve:
        return ()
    n_points = len(protocol.curve) * protocol.curve_seeds

    def measure(features: FeatureSet, head: Head) -> LearningCurve:
        (train, test), listener = features.matrices(), fitting.context.listener
        space = fitting.space_of(head)
        n_fits = n_points * _n_fits(space)
        with task(listener, f"curve of {head.name} on {features.name}", n_fits, "fits"):
            return learning_curve(
                head,
                fitting.params_on(features, head),
                (train, fitting.train.labels),
                (test, fitting.test.labels),
                sizes=protocol.curve,
                n_seeds=protocol.curve_seeds,
                features=features.name,
                baseline=features.baseline,
                seed=fitting.seed,
                space=space,
                on_fit=listener.advance,
            )

    asked = {"curve": sorted(protocol.curve), "seeds": protocol.curve_seeds}
    return tuple(one for one, _ in _each(fitting, "curves", LearningCurve, asked, measure))


def _n_fits(space: SearchSpace | None) -> int:
    return 1 if space is None else 1 + len(space.values)


_Record = TypeVar("_Record", CrossValidation, LearningCurve)


def _each(
    fitting: _Task,
    entry_kind: str,
    record: type[_Record],
    asked: dict[str, Any],
    measure: Callable[[FeatureSet, Head], _Record],
) -> list[tuple[_Record, bool]]:
    """Return a record for each head on each feature set, and whether it was in the store.

    A set that was fitted on another precision is left out: these protocols draw their own training
    images.
    """
    found = []
    store = fitting.context.store
    for features in fitting.sets:
        for head in () if features.fitted_on else fitting.heads_on(features):
            parts = {**fitting.key_parts(features, head), **asked}
            key = content_key(parts)
            can_store = fitting.can_store(features, head)
            if can_store and (stored := store.get(entry_kind, key)):
                found.append((msgspec.convert(stored.meta, record), True))
                continue
            result = measure(features, head)
            if can_store:
                with store.writing(entry_kind, key, parts) as entry:
                    entry.commit(plain_value(result))
            found.append((result, False))
    return found
