"""The sets of features that every head of a run is fitted on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata

from tlbench.core.arrays import FloatArray
from tlbench.core.hashing import sha256_array, sha256_value
from tlbench.datasets import Dataset
from tlbench.features import FeatureBaseline, compute_baseline
from tlbench.model import FULL_PRECISION
from tlbench.workflows.steps.features import RunContext, SplitFeatures


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Features of the readable train and test images.

    Attributes
    ----------
    name : str
        For the record: ``"backbone"`` or a baseline's name.
    fitted_on : str or None
        Precision of the train features where it is not that of the test features.
    identity : str
        Digest of whatever determines them.
    matrices : callable
        Returns train and test features, (n_train | n_test, n_features), float32; those of a
        baseline are computed at the first call.
    """

    name: str
    fitted_on: str | None = None
    identity: str
    matrices: Callable[[], tuple[FloatArray, FloatArray]]

    @property
    def baseline(self) -> bool:
        """Whether no network made them."""
        return self.name != "backbone"

    @property
    def title(self) -> str:
        """The name in ``predictions.npz``."""
        return f"{self.name}-{self.fitted_on}" if self.fitted_on else self.name


def feature_sets(
    context: RunContext,
    dataset: Dataset,
    baselines: list[FeatureBaseline],
    train: SplitFeatures,
    test: SplitFeatures,
    *,
    reference: SplitFeatures | None = None,
) -> list[FeatureSet]:
    """Return the backbone's features, those fitted at full precision if any, and each baseline's.

    Every kind has the same rows: those that could be decoded.

    Parameters
    ----------
    reference : SplitFeatures or None
        fp32 features of the train split, where *train* and *test* have a lower precision.
    """
    rows = [sha256_array(train.index), sha256_array(test.index)]
    sets = [
        FeatureSet(
            name="backbone",
            identity=sha256_value([train.key, test.key]),
            matrices=lambda: (train.features, test.features),
        )
    ]
    if reference is not None:
        sets.append(
            FeatureSet(
                name="backbone",
                fitted_on=FULL_PRECISION,
                identity=sha256_value([reference.key, test.key]),
                matrices=lambda: (reference.features, test.features),
            )
        )
    for baseline in baselines:
        images = [dataset.train.images_fingerprint, dataset.test.images_fingerprint]
        sets.append(
            FeatureSet(
                name=baseline.name,
                identity=sha256_value([baseline.name, _versions(baseline), *images, *rows]),
                matrices=_baseline_matrices(context, dataset, baseline),
            )
        )
    return sets


def _versions(baseline: FeatureBaseline) -> list[str]:
    return [
        f"{name} {metadata.version(name)}" for name in ("tlbench", "pillow", *baseline.requires)
    ]


def _baseline_matrices(
    context: RunContext, dataset: Dataset, baseline: FeatureBaseline
) -> Callable[[], tuple[FloatArray, FloatArray]]:
    """Return a function that computes the baseline's features when they are first needed."""

    @cache
    def matrices() -> tuple[FloatArray, FloatArray]:
        train, test = (
            compute_baseline(
                baseline,
                split.images,
                strict=context.config.strict,
                listener=context.listener,
            ).features
            for split in (dataset.train, dataset.test)
        )
        return train, test

    return matrices
