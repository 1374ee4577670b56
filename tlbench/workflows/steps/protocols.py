"""Protocols besides the hold-out, for every head on every kind of features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
import numpy as np

from tlbench.core.arrays import LabelArray
from tlbench.core.progress import task
from tlbench.features import content_key
from tlbench.heads import (
    Head,
    Params,
    SearchSpace,
    balanced_rows,
    check_folds,
    check_sizes,
    cross_validate,
    learning_curve,
)
from tlbench.records import CrossValidation, LearningCurve, plain_value
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.feature_sets import FeatureSet
from tlbench.workflows.steps.fitting import Fitting


def check_protocol(
    config: RunConfig,
    classes: Sequence[str],
    labels: tuple[LabelArray, LabelArray],
    heads: Sequence[Head],
    params: Mapping[str, Params],
) -> None:
    """Raise ConfigError where the data cannot give what is asked for.

    To be called before minutes of work with the *labels* of all train and test images, and again
    with those of the images that could be read.
    """
    protocol, (train_labels, _) = config.protocol, labels
    if protocol.folds is not None:
        check_folds(np.concatenate(labels), protocol.folds, config.seed)
    if protocol.curve:
        check_sizes(protocol.curve, train_labels, classes)
        fewest = train_labels[balanced_rows(train_labels, min(protocol.curve), 0)]
        for head in heads:  # some refuse so few images, and would do so after the extraction
            head.adapt(params[head.name], fewest)


def measure_folds(fitting: Fitting) -> list[CrossValidation]:
    """Return a stratified cross-validation of each head on each kind; none without folds."""
    n_folds = fitting.context.config.protocol.folds
    if n_folds is None:
        return []
    labels = np.concatenate([fitting.train.labels, fitting.test.labels])

    def measure(kind: FeatureSet, head: Head) -> CrossValidation:
        parts, listener = kind.matrices(), fitting.context.listener
        space = fitting.space_of(head)
        n_fits = n_folds * _n_fits(space)
        with task(listener, f"folds of {head.name} on {kind.name}", n_fits, "fits"):
            return cross_validate(
                head,
                fitting.params_on(kind, head),
                parts,
                labels,
                n_folds=n_folds,
                features=kind.name,
                baseline=kind.baseline,
                seed=fitting.seed,
                space=space,
                on_fit=listener.advance,
            )

    found = _each(fitting, "folds", CrossValidation, {"folds": n_folds}, measure)
    return [replace(one, from_store=True) if stored else one for one, stored in found]


def measure_curves(fitting: Fitting) -> list[LearningCurve]:
    """Return a learning curve of each head on each kind; none without sizes."""
    protocol = fitting.context.config.protocol
    if not protocol.curve:
        return []
    train, test = fitting.train, fitting.test
    n_points = len(protocol.curve) * protocol.curve_seeds

    def measure(kind: FeatureSet, head: Head) -> LearningCurve:
        (train_features, test_features), listener = kind.matrices(), fitting.context.listener
        space = fitting.space_of(head)
        n_fits = n_points * _n_fits(space)
        with task(listener, f"curve of {head.name} on {kind.name}", n_fits, "fits"):
            return learning_curve(
                head,
                fitting.params_on(kind, head),
                (train_features, train.labels),
                (test_features, test.labels),
                sizes=protocol.curve,
                n_seeds=protocol.curve_seeds,
                features=kind.name,
                baseline=kind.baseline,
                seed=fitting.seed,
                space=space,
                on_fit=listener.advance,
            )

    asked = {"curve": sorted(protocol.curve), "seeds": protocol.curve_seeds}
    return [one for one, _ in _each(fitting, "curves", LearningCurve, asked, measure)]


def _n_fits(space: SearchSpace | None) -> int:
    return 1 if space is None else 1 + len(space.values)


_Record = TypeVar("_Record", CrossValidation, LearningCurve)


def _each(
    fitting: Fitting,
    entry_kind: str,
    record: type[_Record],
    asked: dict[str, Any],
    measure: Callable[[FeatureSet, Head], _Record],
) -> list[tuple[_Record, bool]]:
    """Return a record for each head on each kind, and whether it was in the store.

    A kind that was fitted on another precision is left out: these protocols draw their own training
    images.
    """
    found = []
    store = fitting.context.store
    for kind in fitting.sets:
        for head in () if kind.fitted_on else fitting.heads_on(kind):
            parts = {**fitting.parts(kind, head), **asked}
            key = content_key(parts)
            if stored := store.get(entry_kind, key):
                found.append((msgspec.convert(stored.meta, record), True))
                continue
            result = measure(kind, head)
            with store.writing(entry_kind, key, parts) as entry:
                entry.commit(plain_value(result))
            found.append((result, False))
    return found
