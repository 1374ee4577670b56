"""Fit every head on the backbone's features and on each baseline's."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import metadata

import msgspec
import numpy as np
from numpy.typing import NDArray

from tlbench.arrays import FloatArray, LabelArray
from tlbench.baselines import BASELINES, Baseline, compute_baseline
from tlbench.config import RunConfig
from tlbench.datasets import Dataset
from tlbench.errors import ModelError
from tlbench.evaluation import Evaluation, evaluate_head
from tlbench.features import content_key
from tlbench.hashing import sha256_array, sha256_value
from tlbench.heads import HEADS, Head, Params, parse_params, resolve_head_params
from tlbench.model import OnnxModel
from tlbench.pipeline.extraction import SplitFeatures, Workplace
from tlbench.precision import FULL_PRECISION
from tlbench.results.codec import plain_value
from tlbench.results.records import AccuracyResult

__all__ = ["Contestants", "measure_accuracy", "refuse_random_weights"]

_Matrices = tuple[FloatArray, FloatArray]


class Contestants:
    """The heads and baselines of a run, found and checked before any work begins."""

    def __init__(self, config: RunConfig) -> None:
        self.heads: list[Head] = [HEADS.load(name) for name in config.heads]
        self.params = resolve_head_params(self.heads, parse_params(config.head_params))
        self.baselines: list[Baseline] = [BASELINES.load(name) for name in config.baselines]


def refuse_random_weights(model: OnnxModel) -> None:
    """Raise ModelError for a model whose weights were never trained."""
    if model.card is not None and model.card.weights.kind == "random":
        msg = (
            f"{model.path} has random weights: its accuracy would mean nothing. Measure its "
            "latency (tlbench latency), or export it with trained weights (--weights imagenet or "
            "PATH)."
        )
        raise ModelError(msg)


def measure_accuracy(
    workplace: Workplace,
    dataset: Dataset,
    contestants: Contestants,
    train: SplitFeatures,
    test: SplitFeatures,
    *,
    reference: SplitFeatures | None = None,
) -> tuple[list[AccuracyResult], dict[str, NDArray[np.generic]]]:
    """Fit and score; return the results and the arrays of ``predictions.npz``.

    Every head sees the same rows whatever the features: those that could be decoded.

    Parameters
    ----------
    reference : SplitFeatures or None
        fp32 features of the train split, where *train* and *test* have a lower precision: each head
        is also fitted on these and tried on *test*, as if a deployed head met a converted backbone.
    """
    results: list[AccuracyResult] = []
    predictions: dict[str, NDArray[np.generic]] = {"labels": test.labels, "index": test.index}
    rows = [sha256_array(train.index), sha256_array(test.index)]
    kinds: list[tuple[str, str | None, str, Callable[[], _Matrices]]] = [
        (
            "backbone",
            None,
            sha256_value([train.key, test.key]),
            lambda: (train.features, test.features),
        )
    ]
    if reference is not None:
        kinds.append(
            (
                "backbone",
                FULL_PRECISION,
                sha256_value([reference.key, test.key]),
                lambda: (reference.features, test.features),
            )
        )
    for baseline in contestants.baselines:
        identity = sha256_value(
            [baseline.name, _baseline_versions(baseline), dataset.fingerprint, *rows]
        )
        matrices = _baseline_matrices(workplace, dataset, baseline)
        kinds.append((baseline.name, None, identity, matrices))
    for features, fitted_on, identity, matrices in kinds:
        for head in contestants.heads:
            evaluation = _evaluate(
                workplace,
                head,
                contestants.params[head.name],
                matrices,
                (train.labels, test.labels),
                features=features,
                identity=identity,
            )
            results.append(replace(evaluation.result, fitted_on=fitted_on))
            title = f"{features}-{fitted_on}" if fitted_on else features
            predictions[f"{title}.{head.name}"] = evaluation.predictions
    return results, predictions


def _baseline_versions(baseline: Baseline) -> list[str]:
    return [
        f"{name} {metadata.version(name)}" for name in ("tlbench", "pillow", *baseline.requires)
    ]


def _baseline_matrices(
    workplace: Workplace, dataset: Dataset, baseline: Baseline
) -> Callable[[], _Matrices]:
    """Return a function that computes the baseline's features when they are first needed."""

    @cache
    def matrices() -> _Matrices:
        train, test = (
            compute_baseline(
                baseline,
                split.images,
                strict=workplace.config.strict,
                listener=workplace.listener,
            ).features
            for split in (dataset.train, dataset.test)
        )
        return train, test

    return matrices


def _evaluate(
    workplace: Workplace,
    head: Head,
    params: Params,
    matrices: Callable[[], _Matrices],
    labels: tuple[LabelArray, LabelArray],
    *,
    features: str,
    identity: str,
) -> Evaluation:
    """Answer from the store, or fit, score and store: equal inputs give equal predictions."""
    parts = {
        "features": identity,
        "labels": [sha256_array(array) for array in labels],
        "head": head.name,
        "params": dict(params),
        "seed": workplace.config.seed,
        "versions": [f"{name} {metadata.version(name)}" for name in ("scikit-learn", "tlbench")],
    }
    key = content_key(parts)
    if stored := workplace.store.get("predictions", key):
        result = msgspec.convert(stored.meta, AccuracyResult)
        return Evaluation(
            result=replace(result, from_store=True),
            predictions=stored.arrays["predictions"],
        )
    train, test = matrices()
    workplace.listener.start(f"fit {head.name} on {features}")
    try:
        evaluation = evaluate_head(
            head,
            params,
            train,
            labels[0],
            test,
            labels[1],
            features=features,
            baseline=features != "backbone",
            seed=workplace.config.seed,
        )
    finally:
        workplace.listener.finish()
    with workplace.store.writing("predictions", key, parts) as entry:
        entry.save("predictions", evaluation.predictions)
        entry.commit(plain_value(evaluation.result))
    return evaluation
