"""Fit every head on the backbone's features and on each baseline's."""

from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from tlbench.arrays import LabelArray
from tlbench.baselines import BASELINES, Baseline
from tlbench.config import RunConfig
from tlbench.datasets import Dataset
from tlbench.errors import ModelError
from tlbench.evaluation import Evaluation, evaluate_head
from tlbench.features import content_key
from tlbench.heads import HEADS, Head, Params, parse_params, resolve_head_params
from tlbench.model import OnnxModel
from tlbench.pipeline.extraction import SplitFeatures, Workplace
from tlbench.pipeline.kinds import FeatureKind, feature_kinds, fit_parts
from tlbench.progress import task
from tlbench.results.codec import plain_value
from tlbench.results.records import AccuracyResult

__all__ = ["Contestants", "measure_accuracy", "refuse_random_weights"]


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

    Parameters
    ----------
    reference : SplitFeatures or None
        fp32 features of the train split, where *train* and *test* have a lower precision: each head
        is also fitted on these and tried on *test*, as if a deployed head met a converted backbone.
    """
    kinds = feature_kinds(
        workplace, dataset, contestants.baselines, train, test, reference=reference
    )
    results: list[AccuracyResult] = []
    predictions: dict[str, NDArray[np.generic]] = {"labels": test.labels, "index": test.index}
    for kind in kinds:
        for head in contestants.heads:
            evaluation = _evaluate(
                workplace,
                dataset,
                kind,
                head,
                contestants.params[head.name],
                labels=(train.labels, test.labels),
            )
            results.append(replace(evaluation.result, fitted_on=kind.fitted_on))
            predictions[f"{kind.title}.{head.name}"] = evaluation.predictions
    return results, predictions


def _evaluate(
    workplace: Workplace,
    dataset: Dataset,
    kind: FeatureKind,
    head: Head,
    params: Params,
    *,
    labels: tuple[LabelArray, LabelArray],
) -> Evaluation:
    """Answer from the store, or fit, score and store: equal inputs give equal predictions."""
    parts = {
        **fit_parts(workplace, dataset, kind, head, params, labels=labels),
        "groupings": [[group.name, list(group.group_of)] for group in dataset.groupings],
    }
    key = content_key(parts)
    if stored := workplace.store.get("predictions", key):
        result = msgspec.convert(stored.meta, AccuracyResult)
        return Evaluation(
            result=replace(result, from_store=True),
            predictions=stored.arrays["predictions"],
        )
    train, test = kind.matrices()
    with task(workplace.listener, f"fit {head.name} on {kind.name}"):
        evaluation = evaluate_head(
            head,
            params,
            train,
            labels[0],
            test,
            labels[1],
            features=kind.name,
            baseline=kind.baseline,
            seed=workplace.config.seed,
            n_classes=len(dataset.classes),
            groups={
                group.name: np.array(group.group_of, dtype=np.int64) for group in dataset.groupings
            },
        )
    with workplace.store.writing("predictions", key, parts) as entry:
        entry.save("predictions", evaluation.predictions)
        entry.commit(plain_value(evaluation.result))
    return evaluation
