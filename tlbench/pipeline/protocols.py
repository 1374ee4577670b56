"""Protocols besides the hold-out, for every head on every kind of features."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
import numpy as np

from tlbench.config import ProtocolConfig
from tlbench.datasets import Dataset
from tlbench.evaluation.protocols import check_folds, cross_validate
from tlbench.features import content_key
from tlbench.heads import Head
from tlbench.pipeline.fitting import Fitting
from tlbench.pipeline.kinds import FeatureKind
from tlbench.progress import task
from tlbench.results.accuracy import CrossValidation
from tlbench.results.codec import plain_value

__all__ = ["check_protocol", "measure_folds"]


def check_protocol(config: ProtocolConfig, dataset: Dataset) -> None:
    """Raise ConfigError where the data cannot give what is asked for, before minutes of work."""
    if config.folds is not None:
        check_folds(config.folds, len(dataset.train) + len(dataset.test))


def measure_folds(fitting: Fitting) -> list[CrossValidation]:
    """Return a stratified cross-validation of each head on each kind; none without folds."""
    n_folds = fitting.workplace.config.protocol.folds
    if n_folds is None:
        return []
    labels = np.concatenate([fitting.train.labels, fitting.test.labels])

    def measure(kind: FeatureKind, head: Head) -> CrossValidation:
        parts, listener = kind.matrices(), fitting.workplace.listener
        with task(listener, f"folds of {head.name} on {kind.name}", n_folds, "folds"):
            return cross_validate(
                head,
                fitting.params_on(kind, head),
                parts,
                labels,
                n_folds=n_folds,
                features=kind.name,
                baseline=kind.baseline,
                seed=fitting.seed,
                on_fold=listener.advance,
            )

    found = _each(fitting, "folds", CrossValidation, {"folds": n_folds}, measure)
    return [replace(one, from_store=True) if stored else one for one, stored in found]


_Record = TypeVar("_Record", bound=CrossValidation)


def _each(
    fitting: Fitting,
    entry_kind: str,
    record: type[_Record],
    asked: dict[str, Any],
    measure: Callable[[FeatureKind, Head], _Record],
) -> list[tuple[_Record, bool]]:
    """Return a record for each head on each kind, and whether it was in the store.

    A kind that was fitted on another precision is left out: these protocols draw their own training
    images.
    """
    found = []
    store = fitting.workplace.store
    for kind in fitting.kinds:
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
