"""Fit every head on the backbone's features and on each baseline's."""

from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from tlbench.baselines import BASELINES, Baseline
from tlbench.config import RunConfig
from tlbench.errors import ModelError
from tlbench.evaluation import Evaluation, evaluate_head
from tlbench.features import content_key
from tlbench.heads import HEADS, Head, parse_params, resolve_head_params
from tlbench.model import OnnxModel
from tlbench.pipeline.fitting import Fitting
from tlbench.pipeline.kinds import FeatureKind
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
    fitting: Fitting,
) -> tuple[list[AccuracyResult], dict[str, NDArray[np.generic]]]:
    """Fit every head on each kind of features, score it on the test split.

    A kind that was fitted on another precision shows a deployed head that meets a converted
    backbone.

    Returns
    -------
    tuple
        The results, and the arrays of ``predictions.npz``.
    """
    test = fitting.test
    results: list[AccuracyResult] = []
    predictions: dict[str, NDArray[np.generic]] = {"labels": test.labels, "index": test.index}
    for kind in fitting.kinds:
        for head in fitting.heads_on(kind):
            evaluation = _evaluate(fitting, kind, head)
            results.append(replace(evaluation.result, fitted_on=kind.fitted_on))
            predictions[f"{kind.title}.{head.name}"] = evaluation.predictions
    return results, predictions


def _evaluate(fitting: Fitting, kind: FeatureKind, head: Head) -> Evaluation:
    """Answer from the store, or fit, score and store: equal inputs give equal predictions."""
    store, groupings = fitting.workplace.store, fitting.dataset.groupings
    parts = fitting.parts(kind, head)
    parts["groupings"] = [[group.name, list(group.group_of)] for group in groupings]
    key = content_key(parts)
    if stored := store.get("predictions", key):
        result = msgspec.convert(stored.meta, AccuracyResult)
        return Evaluation(
            result=replace(result, from_store=True),
            predictions=stored.arrays["predictions"],
        )
    train, test = kind.matrices()
    with task(fitting.workplace.listener, f"fit {head.name} on {kind.name}"):
        evaluation = evaluate_head(
            head,
            fitting.params_on(kind, head),
            train,
            fitting.train.labels,
            test,
            fitting.test.labels,
            features=kind.name,
            baseline=kind.baseline,
            seed=fitting.seed,
            n_classes=len(fitting.dataset.classes),
            groups={group.name: np.array(group.group_of, dtype=np.int64) for group in groupings},
        )
    with store.writing("predictions", key, parts) as entry:
        entry.save("predictions", evaluation.predictions)
        entry.commit(plain_value(evaluation.result))
    return evaluation
