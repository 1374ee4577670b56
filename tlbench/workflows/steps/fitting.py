"""What the heads of a run are fitted on, and how what comes of it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from tlbench.core.hashing import sha256_array
from tlbench.datasets import Dataset
from tlbench.heads import VALIDATION_FRACTION, Head, Params, SearchSpace
from tlbench.workflows.steps.feature_sets import FeatureSet
from tlbench.workflows.steps.features import RunContext, SplitFeatures
from tlbench.workflows.steps.head_shapes import Layouts

# Version of the records in the store, a part of every key: raise it when a record gains figures.
_RECORD_VERSION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """Heads with their parameters, and sets of features of the same rows.

    Attributes
    ----------
    layouts : mapping
        For each kind of features the heads that can be fitted on it, with every parameter.
    train, test : SplitFeatures
        The rows: their labels and positions in the splits.
    """

    context: RunContext
    dataset: Dataset
    heads: Sequence[Head]
    layouts: Layouts
    sets: Sequence[FeatureSet]
    train: SplitFeatures
    test: SplitFeatures

    @property
    def seed(self) -> int:
        """Seed of everything that is drawn."""
        return self.context.config.seed

    def heads_on(self, kind: FeatureSet) -> Sequence[Head]:
        """Return the heads that can be fitted on these features; the user knows of the others."""
        return [head for head in self.heads if head.name in self.layouts[kind.name]]

    def params_on(self, kind: FeatureSet, head: Head) -> Params:
        """Return every parameter of a head on these features."""
        return self.layouts[kind.name][head.name]

    def space_of(self, head: Head) -> SearchSpace | None:
        """Return what is searched for a head in this run; None where nothing is."""
        return head.search if self.context.config.protocol.search else None

    def parts(self, kind: FeatureSet, head: Head) -> dict[str, Any]:
        """Return what determines a fitted head and its figures: parts of its key in the store."""
        versions = ("scikit-learn", "tlbench", *head.requires)
        space = self.space_of(head)
        return {
            "record": _RECORD_VERSION,
            "features": kind.identity,
            "labels": [sha256_array(split.labels) for split in (self.train, self.test)],
            "classes": len(self.dataset.classes),
            "head": head.name,
            "params": dict(self.params_on(kind, head)),
            "search": space and [space.parameter, list(space.values), VALIDATION_FRACTION],
            "seed": self.seed,
            "versions": [f"{name} {metadata.version(name)}" for name in versions],
        }
