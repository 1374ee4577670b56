"""The heads and feature baselines of a run: found, checked and matched before any work begins."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ConfigError, ModelError
from tlbench.core.progress import Listener
from tlbench.datasets import Dataset
from tlbench.features import BASELINES, FeatureBaseline
from tlbench.heads import (
    HEADS,
    Head,
    Params,
    balanced_rows,
    check_folds,
    check_requirements,
    check_sizes,
    parse_params,
    resolve_head_params,
)
from tlbench.model import OnnxModel
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.features import BACKBONE

HeadShapes = Mapping[str, Mapping[str, Params]]
"""For each feature set, the heads that can be fitted on it, with all their parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenHeads:
    """The heads and feature baselines of a run, found and checked before any work begins."""

    heads: Sequence[Head]
    params: Mapping[str, Params]
    baselines: Sequence[FeatureBaseline]

    @classmethod
    def of(cls, config: RunConfig) -> "ChosenHeads":
        """Find what *config* names; raise UnknownNameError or ConfigError."""
        given = config.given
        heads = [given.heads.get(name) or HEADS.load(name) for name in config.heads]
        for head in heads:
            check_requirements(head)
        overrides = parse_params(config.head_params)
        params = resolve_head_params(heads, overrides)
        if config.protocol.search:
            _check_search(heads, overrides)
        baselines = [given.baselines.get(name) or BASELINES.load(name) for name in config.baselines]
        return cls(heads=heads, params=params, baselines=baselines)

    def shapes_on(self, model: OnnxModel, listener: Listener) -> HeadShapes:
        """Tell the heads the shape of the features, before these are extracted."""
        shapes = feature_shapes(model, self.baselines)
        return match_heads(self.heads, self.params, shapes, listener)


def feature_shapes(
    model: OnnxModel, baselines: Sequence[FeatureBaseline]
) -> dict[str, tuple[int, ...] | None]:
    """Return the shape of one image's features in each set; None where only a fit will tell."""
    backbone = model.card.feature_shape if model.card else None
    return {BACKBONE: backbone} | {baseline.name: baseline.shape for baseline in baselines}


def refuse_random_weights(model: OnnxModel) -> None:
    """Raise ModelError for a model whose weights were never trained."""
    if model.card is not None and model.card.weights.kind == "random":
        msg = (
            f"{model.path} has random weights: its accuracy would mean nothing. Measure its "
            "latency (tlbench latency), or export it with weights='imagenet' or a weights file."
        )
        raise ModelError(msg)


def match_heads(
    heads: Sequence[Head],
    params: Mapping[str, Params],
    shapes: Mapping[str, tuple[int, ...] | None],
    listener: Listener,
) -> HeadShapes:
    """Return which head can be fitted on which features; warn of each that cannot.

    *shapes* has the shape of one image's features in each feature set, None where only a fit will
    tell. Some heads need a feature map. Raises ConfigError for a head that fits no features.
    """
    matched: dict[str, dict[str, Params]] = {features: {} for features in shapes}
    for head in heads:
        refused: dict[str, ConfigError] = {}
        for features, shape in shapes.items():
            try:
                matched[features][head.name] = head.lay_out(params[head.name], shape)
            except ConfigError as error:
                refused[features] = error
        if len(refused) == len(shapes):
            raise next(iter(refused.values()))
        for features, reason in refused.items():
            listener.warn(f"{head.name} is left out on {features} features. {reason}")
    return matched


def _check_search(heads: Sequence[Head], overrides: Collection[str]) -> None:
    """Raise ConfigError where a search would do nothing, or undo what is given."""
    spaces = {head.name: head.search for head in heads if head.search is not None}
    if not spaces:
        msg = (
            "search=True finds no parameter to choose for "
            f"{', '.join(head.name for head in heads)}. Leave it out, or add a head such as "
            "softmax."
        )
        raise ConfigError(msg)
    for name, space in spaces.items():
        given = {space.parameter, f"{name}.{space.parameter}"} & set(overrides)
        if given:
            msg = (
                f"search=True chooses {name}.{space.parameter}, and head_params gives "
                f"{given.pop()} as well. Leave one of them out."
            )
            raise ConfigError(msg)


def check_protocol(
    config: RunConfig,
    dataset: Dataset,
    chosen: ChosenHeads,
    train_labels: LabelArray,
    test_labels: LabelArray,
) -> None:
    """Raise ConfigError where the data cannot give the folds or the curve that are asked for."""
    protocol = config.protocol
    if protocol.folds is not None:
        check_folds(np.concatenate([train_labels, test_labels]), protocol.folds, config.seed)
    if protocol.curve:
        check_sizes(protocol.curve, train_labels, dataset.classes)
        fewest = train_labels[balanced_rows(train_labels, min(protocol.curve), 0)]
        for head in chosen.heads:  # some refuse so few images, and would do so after the extraction
            head.adapt(chosen.params[head.name], fewest)
