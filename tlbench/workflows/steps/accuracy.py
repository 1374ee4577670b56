"""Fit every head on the backbone's features and on each baseline's."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray
from tlbench.core.errors import ConfigError, ModelError
from tlbench.core.progress import Listener, task
from tlbench.features import BASELINES, FeatureBaseline, content_key
from tlbench.heads import (
    HEADS,
    Evaluation,
    Head,
    Params,
    check_requirements,
    evaluate_head,
    parse_params,
    resolve_head_params,
    search_notes,
    search_parameter,
)
from tlbench.model import OnnxModel
from tlbench.records import AccuracyResult, Search, plain_value
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.feature_sets import FeatureSet
from tlbench.workflows.steps.fitting import Fitting
from tlbench.workflows.steps.head_shapes import Layouts, feature_shapes, lay_out_heads


class CandidateHeads:
    """The heads and baselines of a run, found and checked before any work begins."""

    def __init__(self, config: RunConfig) -> None:
        self.heads: list[Head] = [HEADS.load(name) for name in config.heads]
        for head in self.heads:
            check_requirements(head)
        overrides = parse_params(config.head_params)
        self.params = resolve_head_params(self.heads, overrides)
        if config.protocol.search:
            _check_search(self.heads, overrides)
        self.baselines: list[FeatureBaseline] = [BASELINES.load(name) for name in config.baselines]
        self.layouts: Layouts = {}

    def lay_out(self, model: OnnxModel, listener: Listener) -> None:
        """Tell the heads the shape of the features, before these are extracted."""
        shapes = feature_shapes(model, self.baselines)
        self.layouts = lay_out_heads(self.heads, self.params, shapes, listener)


def _check_search(heads: Sequence[Head], overrides: Collection[str]) -> None:
    """Raise ConfigError where ``--search`` would do nothing, or undo what is given."""
    spaces = {head.name: head.search for head in heads if head.search is not None}
    if not spaces:
        msg = (
            f"--search finds no parameter to choose for {', '.join(head.name for head in heads)}. "
            "Leave it out, or add a head such as softmax."
        )
        raise ConfigError(msg)
    for name, space in spaces.items():
        given = {space.parameter, f"{name}.{space.parameter}"} & set(overrides)
        if given:
            msg = (
                f"--search chooses {name}.{space.parameter}, which --head-param "
                f"{given.pop()} gives as well. Leave one of them out."
            )
            raise ConfigError(msg)


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
    for kind in fitting.sets:
        for head in fitting.heads_on(kind):
            evaluation = _evaluate(fitting, kind, head)
            results.append(replace(evaluation.result, fitted_on=kind.fitted_on))
            predictions[f"{kind.title}.{head.name}"] = evaluation.predictions
    return results, predictions


def _evaluate(fitting: Fitting, kind: FeatureSet, head: Head) -> Evaluation:
    """Answer from the store, or fit, score and store: equal inputs give equal predictions."""
    store, groupings = fitting.context.store, fitting.dataset.groupings
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
    params, search, notes = _choose(fitting, kind, head, train)
    with task(fitting.context.listener, f"fit {head.name} on {kind.name}"):
        evaluation = evaluate_head(
            head,
            params,
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
    result = replace(evaluation.result, search=search, notes=notes + evaluation.result.notes)
    with store.writing("predictions", key, parts) as entry:
        entry.save("predictions", evaluation.predictions)
        entry.commit(plain_value(result))
    return replace(evaluation, result=result)


def _choose(
    fitting: Fitting, kind: FeatureSet, head: Head, train: FloatArray
) -> tuple[Params, Search | None, tuple[str, ...]]:
    """Return the parameters to use, how one of them was chosen if it was, and notes on that."""
    params, protocol = fitting.params_on(kind, head), fitting.context.config.protocol
    if not protocol.search:
        return params, None, ()
    space, listener = fitting.space_of(head), fitting.context.listener
    if space is None:
        return params, None, ("Nothing is searched for this head: its parameters are as given.",)
    with task(listener, f"search {head.name} on {kind.name}", len(space.values), "values"):
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
