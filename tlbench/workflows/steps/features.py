"""Features of a dataset's splits: from the store, or from the network into the store."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import DataError, ModelError, StorageError, UnreadableImageError
from tlbench.core.hashing import sha256_array, sha256_value
from tlbench.core.progress import Listener
from tlbench.datasets import HashedImages, Split, ThumbnailedImages
from tlbench.engine import (
    Extraction,
    accepts_raw_images,
    extract_features,
    runtime_version,
)
from tlbench.features import (
    FeatureBaseline,
    StoredArrays,
    check_npz_path,
    compute_baseline,
    content_key,
    save_npz,
)
from tlbench.machine import cuda_variables
from tlbench.model import FULL_PRECISION, OnnxModel, classifier_card
from tlbench.records import ExtractionResult, Placement, SkippedImage, plain_value
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.context import RunContext
from tlbench.workflows.steps.digests import keep_digests
from tlbench.workflows.steps.thumbnails import keep_thumbnails, thumbnailed
from tlbench.workflows.steps.unused import all_used

BACKBONE = "backbone"


@dataclass(frozen=True, slots=True)
class SplitFeatures:
    """Features of the readable images of a split.

    Attributes
    ----------
    features : ndarray of shape (n, n_features), float32
        Memory-mapped and read-only.
    labels, index : ndarray of shape (n,), int64
        Class of each row, and its position in the split.
    key : str
        Identity of the features in the store.
    """

    features: FloatArray
    labels: LabelArray
    index: LabelArray
    key: str
    result: ExtractionResult
    skipped: tuple[SkippedImage, ...]

    def save(self, file: str | Path) -> Path:
        """Write features, labels and index to a ``.npz`` file, and return its path."""
        destination = check_npz_path(Path(file).expanduser())
        save_npz(
            destination, {"features": self.features, "labels": self.labels, "index": self.index}
        )
        return destination

    def __repr__(self) -> str:
        return f"SplitFeatures({self.result.split}: features of shape {self.features.shape})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Train and test features of the readable images, from the backbone or a feature baseline.

    ``identity`` is a digest of all that determines them. ``matrices`` returns both float32
    matrices; those of a feature baseline are computed on the first call.
    """

    name: str
    fitted_on: str | None = (
        None  # precision of the train features, where the test ones have another
    )
    identity: str
    matrices: Callable[[], tuple[FloatArray, FloatArray]]
    storable: bool = True  # False: ``identity`` does not cover the code of a given baseline

    @property
    def baseline(self) -> bool:
        """Whether no network computed them."""
        return self.name != BACKBONE

    @property
    def title(self) -> str:
        """The name in ``predictions.npz``."""
        return f"{self.name}-{self.fitted_on}" if self.fitted_on else self.name


def extract_dataset_split(config: RunConfig, split_name: str, listener: Listener) -> SplitFeatures:
    """Return the features of the split *split_name* of the configured dataset."""
    with RunContext.opened(config, listener) as context:
        split = getattr(context.dataset, split_name)
        found = extract_split(context, split, split_name)
        for unused in context.dataset.unused:
            listener.warn(f"not used: {unused}")
        # Without a cache the store goes with the context; the caller's arrays stay.
        return found if config.cache else replace(found, features=np.array(found.features))


def extract_split(context: RunContext, split: Split, split_name: str) -> SplitFeatures:
    """Return the features of *split* from the store; compute them first if they are not there."""
    with all_used(context) if context.config.strict else nullcontext():
        return _extract_split(context, split, split_name)


def _extract_split(context: RunContext, split: Split, split_name: str) -> SplitFeatures:
    config, model, store = context.config, context.model, context.store
    if classifier_card(model) is not None:
        msg = (
            f"{model.path} is a classifier: it has labels and no features. Classify images with "
            "tlbench predict, time it with tlbench latency, or name the backbone itself."
        )
        raise ModelError(msg)
    if len(model.inputs) > 1:
        names = ", ".join(tensor.name for tensor in model.inputs)
        msg = (
            f"{model.path} has {len(model.inputs)} inputs ({names}); features are computed by "
            "models with one input, the images."
        )
        raise ModelError(msg)
    if not accepts_raw_images(model):
        msg = (
            f"{model.path} takes {model.inputs[0]}, not uint8 images (N, H, W, 3): its "
            "preprocessing is unknown, so only its latency can be measured (tlbench latency). "
            f"State its preprocessing to have features: tlbench export onnx:{model.path.name} "
            "--scale S --mean M --std D."
        )
        raise ModelError(msg)
    parts = {
        "model": model.sha256,
        "images": split.images_fingerprint,
        "pillow": metadata.version("pillow"),  # another version may decode other pixels
        "provider": config.provider,
        "provider_options": dict(config.provider_options),
        "precision": model.card.precision if model.card else "unknown",
        "onnxruntime": runtime_version(),
    }
    if parts["provider"] != "cpu" and (tf32 := cuda_variables().get("NVIDIA_TF32_OVERRIDE")):
        parts["NVIDIA_TF32_OVERRIDE"] = tf32  # overrules the provider's options
    key = content_key(parts)
    stored = store.get("features", key)
    from_store = stored is not None
    if stored is None:
        _compute(context, split, split_name, key, parts)
        stored = store.get("features", key)
        if stored is None:
            msg = (
                f"The features of {split_name} disappeared from {store.root} as soon as they were "
                "written: another program deletes files there. Run again, or choose another "
                "cache_dir."
            )
            raise StorageError(msg)
    return _split_features(stored, split, split_name, from_store=from_store, strict=config.strict)


def _compute(
    context: RunContext, split: Split, split_name: str, key: str, parts: dict[str, Any]
) -> None:
    config, listener = context.config, context.listener
    session = context.session()
    # A new batch shape costs an accelerator seconds of algorithm search, and the CPU nothing.
    pad_tail = session.provider != "cpu"
    hashed = HashedImages(split.images)
    # of the split that a report shows
    images = thumbnailed(split, hashed) if split_name == "test" else hashed
    with context.store.writing("features", key, parts) as entry:
        with entry.rows("features", len(split)) as writer:
            listener.start(f"extract {split_name}", len(split), "images")
            extraction = extract_features(
                session.run,
                images,
                sink=writer.write,
                batch_size=config.batch_size,
                pad_tail=pad_tail,
                strict=config.strict,
                listener=listener,
            )
            entry.save("index", writer.finish())
            listener.finish()
        entry.commit(
            {
                "batch_size": config.batch_size,
                "n_batches": extraction.n_batches,
                "tail": "padded" if pad_tail else "exact",
                "elapsed_s": extraction.elapsed_s,
                "provider": session.provider,
                "placement": plain_value(session.placement),
                "cropped_fraction": _cropped_fraction(context.model, extraction),
                "unreadable": [[i, str(error)] for i, error in extraction.unreadable],
            }
        )
    keep_digests(context.store, split, hashed)
    if isinstance(images, ThumbnailedImages):
        keep_thumbnails(context.store, split, np.flatnonzero(hashed.known), images)


def _cropped_fraction(model: OnnxModel, extraction: Extraction) -> float | None:
    """Return the mean share of the images' area that the graph crops; None for an older file."""
    preprocess = model.card.preprocess if model.card else None
    if preprocess is None:
        return None
    cropped = sum(n * preprocess.cropped_fraction(*size) for size, n in extraction.sizes.items())
    return cropped / extraction.n_images


def _split_features(
    stored: StoredArrays, split: Split, split_name: str, *, from_store: bool, strict: bool
) -> SplitFeatures:
    meta, features, index = stored.meta, stored.arrays["features"], stored.arrays["index"]
    skipped = tuple(
        SkippedImage(split=split_name, index=i, reason=reason) for i, reason in meta["unreadable"]
    )
    if skipped and strict:  # the entry was made by a run that was not strict
        raise UnreadableImageError(skipped[0].reason)
    result = ExtractionResult(
        split=split_name,
        n_images=len(index),
        n_features=features.shape[1],
        n_batches=meta["n_batches"],
        batch_size=meta["batch_size"],
        tail=meta["tail"],
        elapsed_s=meta["elapsed_s"],
        from_store=from_store,
        provider=meta["provider"],
        placement=Placement(**meta["placement"]),
        cropped_fraction=meta.get("cropped_fraction"),
    )
    return SplitFeatures(features, split.labels[index], index, stored.key, result, skipped)


def feature_sets(
    context: RunContext,
    baselines: Sequence[FeatureBaseline],
    train: SplitFeatures,
    test: SplitFeatures,
) -> list[FeatureSet]:
    """Return the backbone's features and those of each feature baseline, all of the same rows.

    A backbone at a lower precision comes twice: with a head fitted on its own train features, and
    with one fitted on fp32 features, as when a deployed head meets a converted backbone.
    """
    sets = [
        FeatureSet(
            name=BACKBONE,
            identity=sha256_value([train.key, test.key]),
            matrices=lambda: (train.features, test.features),
        )
    ]
    if context.config.precision != FULL_PRECISION:
        with context.at_full_precision() as other:
            reference = extract_split(other, context.dataset.train, "train")
        sets.append(
            FeatureSet(
                name=BACKBONE,
                fitted_on=FULL_PRECISION,
                identity=sha256_value([reference.key, test.key]),
                matrices=lambda: (reference.features, test.features),
            )
        )
    dataset = context.dataset
    images = [dataset.train.images_fingerprint, dataset.test.images_fingerprint]
    rows = [sha256_array(train.index), sha256_array(test.index)]
    for baseline in baselines:
        versions = [
            f"{name} {metadata.version(name)}" for name in ("tlbench", "pillow", *baseline.requires)
        ]
        sets.append(
            FeatureSet(
                name=baseline.name,
                identity=sha256_value([baseline.name, versions, *images, *rows]),
                storable=baseline.name not in context.config.given.baselines,
                matrices=_baseline_matrices(context, baseline, train, test),
            )
        )
    return sets


def _baseline_matrices(
    context: RunContext, baseline: FeatureBaseline, train: SplitFeatures, test: SplitFeatures
) -> Callable[[], tuple[FloatArray, FloatArray]]:
    """Return a function that computes the features of *baseline* when they are first needed."""

    def of_rows(split: Split, index: LabelArray) -> FloatArray:
        """Return the features of the images that the labels belong to, in their order."""
        found = compute_baseline(
            baseline, split.images, strict=context.config.strict, listener=context.listener
        )
        missing = np.setdiff1d(index, found.index)
        if len(missing):
            reason = dict(found.skipped)[int(missing[0])]
            msg = (
                f"{len(missing)} images can no longer be read that could be when the backbone's "
                f"features were computed. The first: {reason} Restore the files and run again."
            )
            raise DataError(msg)
        if len(index) == len(found.index):
            return found.features
        # Some could not be read then: the features may come from the store, and be older.
        return found.features[np.searchsorted(found.index, index)]

    @cache
    def matrices() -> tuple[FloatArray, FloatArray]:
        dataset = context.dataset
        return of_rows(dataset.train, train.index), of_rows(dataset.test, test.index)

    return matrices
