"""Which head can be fitted on which features: some need a map, and rows do not show one."""

from collections.abc import Mapping, Sequence

from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener
from tlbench.features import FeatureBaseline
from tlbench.heads import Head, Params
from tlbench.model import OnnxModel

BACKBONE = "backbone"

Layouts = Mapping[str, Mapping[str, Params]]
"""For each kind of features the heads that can be fitted on it, with their parameters."""


def feature_shapes(
    model: OnnxModel, baselines: Sequence[FeatureBaseline]
) -> dict[str, tuple[int, ...] | None]:
    """Return the shape of one image's features of each kind; None where only a fit will tell."""
    backbone = model.card.feature_shape if model.card else None
    return {BACKBONE: backbone} | {baseline.name: baseline.shape for baseline in baselines}


def lay_out_heads(
    heads: Sequence[Head],
    params: Mapping[str, Params],
    shapes: Mapping[str, tuple[int, ...] | None],
    listener: Listener,
) -> Layouts:
    """Tell each head the shape of the features, before anything is extracted.

    Parameters
    ----------
    heads, params
        The chosen heads, and every parameter of each by its name.
    shapes : mapping
        From `feature_shapes`.
    listener : Listener
        Warned of each head that is left out on some features, because they are no map.

    Raises
    ------
    ConfigError
        If a head can be fitted on none of the features.
    """
    laid_out: dict[str, dict[str, Params]] = {features: {} for features in shapes}
    for head in heads:
        refused: dict[str, ConfigError] = {}
        for features, shape in shapes.items():
            try:
                laid_out[features][head.name] = head.lay_out(params[head.name], shape)
            except ConfigError as error:
                refused[features] = error
        if len(refused) == len(shapes):
            raise next(iter(refused.values()))
        for features, reason in refused.items():
            listener.warn(f"{head.name} is left out on {features} features. {reason}")
    return laid_out
