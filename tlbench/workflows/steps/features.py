"""Features of a dataset's splits: from the store, or from the network into the store."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ModelError, UnreadableImageError
from tlbench.core.progress import Listener
from tlbench.datasets import Dataset, DatasetRequest, HashedImages, Split, load_dataset
from tlbench.engine import (
    Session,
    accepts_raw_images,
    extract_features,
    open_session,
    runtime_version,
)
from tlbench.features import ArrayStore, RowWriter, StoredArrays, content_key
from tlbench.heads import limit_rows
from tlbench.machine import cuda_variables
from tlbench.model import (
    FULL_PRECISION,
    ConversionRequest,
    OnnxModel,
    check_precision,
    classifier_card,
    is_file_name,
    refuse_file_at_precision,
    resolve_model,
)
from tlbench.records import ExtractionResult, Placement, SkippedImage, plain_value
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.conversion import conversion_request
from tlbench.workflows.steps.digests import keep_digests


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


class RunContext:
    """What the steps of one run share: the model, the store, and one session while it is needed.

    The session is opened on first use and closed by `close_session`, so that a run that finds its
    features in the store never loads the network, and no idle session spins while heads are fitted.
    """

    def __init__(
        self,
        config: RunConfig,
        listener: Listener,
        cache_dir: Path,
        dataset: Dataset | None = None,
    ) -> None:
        self.config = config
        if dataset is not None:  # loaded already, by a context of the same data
            self.dataset = dataset
        self.listener = listener
        self.cache_dir = cache_dir
        self.store = ArrayStore(cache_dir / "store", on_damage=listener.warn)
        self.model: OnnxModel = resolve_model(
            config.model,
            cache_dir=cache_dir,
            listener=listener,
            options=config.export,
            conversion=self._conversion(),
        )
        self._stack = ExitStack()
        self._session: Session | None = None

    def _conversion(self) -> ConversionRequest | None:
        precision, model = self.config.precision, self.config.model
        check_precision(precision)
        if precision == FULL_PRECISION:
            return None
        if is_file_name(model):  # before the dataset is loaded for nothing
            refuse_file_at_precision(model, precision)
        return conversion_request(precision, self.dataset, seed=self.config.seed)

    @cached_property
    def dataset(self) -> Dataset:
        """The configured dataset, loaded on first use and cut down to the configured limits."""
        return load_limited_dataset(self.config, self.listener)

    def at_full_precision(self) -> "RunContext":
        """Return a context for the fp32 features of the same backbone, on the same store."""
        config = replace(self.config, precision=FULL_PRECISION)
        return RunContext(config, self.listener, self.cache_dir, self.dataset)

    @classmethod
    @contextmanager
    def opened(cls, config: RunConfig, listener: Listener) -> "Iterator[RunContext]":
        """Open a context in `cache_folder`."""
        with cache_folder(config) as cache_dir, cls(config, listener, cache_dir) as context:
            yield context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close_session()

    def session(self) -> Session:
        """Return the open session, opening it first if need be."""
        if self._session is None:
            self._session = self._stack.enter_context(
                open_session(
                    self.model,
                    provider=self.config.provider,
                    provider_options=self.config.provider_options,
                    threads=self.config.threads,
                    spin=self.config.timing.spin,
                )
            )
        return self._session

    def close_session(self) -> None:
        """Close the session if one is open."""
        self._session = None
        self._stack.close()


@contextmanager
def cache_folder(config: RunConfig) -> Iterator[Path]:
    """Yield the cache's folder, or with ``cache=False`` one that goes afterwards."""
    if config.cache:
        yield config.cache_dir
        return
    with tempfile.TemporaryDirectory(prefix="tlbench-") as temporary:
        yield Path(temporary)


def load_limited_dataset(config: RunConfig, listener: Listener) -> Dataset:
    """Load the configured dataset, cut down to the configured limits."""
    request = DatasetRequest(
        name=config.dataset,
        data_dir=config.data_dir,
        download_dir=config.cache_dir / "datasets",
        seed=config.seed,
        listener=listener,
    )
    dataset = load_dataset(request)

    def limited(split: Split, limit: int | None) -> Split:
        if limit is None or limit >= len(split):
            return split
        return split.take(limit_rows(split.labels, len(dataset.classes), limit, config.seed))

    train = limited(dataset.train, config.limit_train)
    test = limited(dataset.test, config.limit_test)
    is_limited = len(train) < len(dataset.train) or len(test) < len(dataset.test)
    return replace(dataset, train=train, test=test, is_limited=is_limited)


def extract_dataset_split(config: RunConfig, split_name: str, listener: Listener) -> SplitFeatures:
    """Return the features of one split of the configured dataset."""
    with RunContext.opened(config, listener) as context:
        split = getattr(context.dataset, split_name)
        found = extract_split(context, split, split_name)
        # Without a cache the store goes with the context; the caller's arrays stay.
        return found if config.cache else replace(found, features=np.array(found.features))


def extract_split(context: RunContext, split: Split, split_name: str) -> SplitFeatures:
    """Return the features of *split* from the store, after computing them if they are not there.

    Raises
    ------
    ModelError
        If the model does not take raw images, or is a classifier.
    """
    config, model, store = context.config, context.model, context.store
    if classifier_card(model) is not None:
        msg = (
            f"{model.path} is a classifier: it has labels, no features. Use it with tlbench "
            "predict, time it with tlbench latency, or name the backbone itself."
        )
        raise ModelError(msg)
    if not accepts_raw_images(model):
        first = model.inputs[0]
        msg = (
            f"{model.path} takes {first.dtype} {first.shape}, not uint8 images (N, H, W, 3): its "
            "preprocessing is unknown, so only its latency can be measured (tlbench latency)."
        )
        raise ModelError(msg)
    parts = {
        "model": model.sha256,
        "images": split.images_fingerprint,
        "provider": config.provider.lower(),
        "provider_options": dict(config.provider_options),
        "precision": model.card.precision if model.card else "unknown",
        "onnxruntime": runtime_version(),
    }
    if config.provider.lower() != "cpu" and (tf32 := cuda_variables().get("NVIDIA_TF32_OVERRIDE")):
        parts["NVIDIA_TF32_OVERRIDE"] = tf32  # overrules the provider's options
    key = content_key(parts)
    stored = store.get("features", key)
    from_store = stored is not None
    if stored is None:
        _fill(context, split, split_name, key, parts)
        stored = store.get("features", key)
        assert stored is not None
    return _split_features(stored, split, split_name, from_store=from_store, strict=config.strict)


def _fill(
    context: RunContext, split: Split, split_name: str, key: str, parts: dict[str, Any]
) -> None:
    config, listener = context.config, context.listener
    session = context.session()
    # A new batch shape costs an accelerator seconds of algorithm search, and the CPU nothing.
    pad_tail = session.provider != "cpu"
    images = HashedImages(split.images)
    with context.store.writing("features", key, parts) as entry:
        with RowWriter(entry.folder / "features.npy", len(split)) as writer:
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
                "unreadable": [[i, str(error)] for i, error in extraction.unreadable],
            }
        )
    keep_digests(context.store, split, images)


def _split_features(
    stored: StoredArrays, split: Split, split_name: str, *, from_store: bool, strict: bool
) -> SplitFeatures:
    meta, features, index = stored.meta, stored.arrays["features"], stored.arrays["index"]
    skipped = tuple(
        SkippedImage(split=split_name, index=i, reason=reason) for i, reason in meta["unreadable"]
    )
    if skipped and strict:  # the entry was made without --strict
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
    )
    return SplitFeatures(features, split.labels[index], index, stored.key, result, skipped)
