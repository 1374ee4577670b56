"""What the steps of one run share: model, data, store, and one session while it is needed."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from tlbench.core.arrays import ImageArray
from tlbench.core.errors import ConfigError, DataError, UnreadableImageError
from tlbench.core.progress import Listener
from tlbench.datasets import Dataset, DatasetRequest, Split, load_dataset
from tlbench.engine import Session, open_session
from tlbench.features import ArrayStore
from tlbench.heads import limit_rows
from tlbench.machine import int8_saturates
from tlbench.model import (
    FULL_PRECISION,
    PRECISIONS,
    ConversionOptions,
    ConversionRequest,
    ImageSample,
    OnnxModel,
    check_convertible,
    check_precision,
    convert_on_first_use,
    is_file_name,
    resolve_model,
)
from tlbench.workflows.config import RunConfig

# From 32 to 256 images, Lite0's int8 accuracy on CIFAR-10 did not change beyond its noise: see
# docs/results/int8-lite0.md. 128 take seconds.
CALIBRATION_IMAGES = 128
HELD_OUT_IMAGES = 64


class RunContext:
    """The model, the dataset, the store and the session of one run.

    The session is opened on first use and closed by `close_session`: a run that finds its features
    in the store never loads the network, and no idle session spins while heads are fitted.
    """

    def __init__(
        self,
        config: RunConfig,
        listener: Listener,
        cache_dir: Path,
        dataset: Dataset | None = None,
    ) -> None:
        self.config = config
        if dataset is not None:  # already loaded by another context
            self.dataset = dataset
        self.listener = listener
        self.cache_dir = cache_dir
        self.store = ArrayStore(cache_dir / "store", on_damage=listener.warn)
        self.model = self._resolved()
        self._stack = ExitStack()
        self._session: Session | None = None

    def _resolved(self) -> OnnxModel:
        """Return the configured model, at the configured precision."""
        config = self.config
        check_precision(config.precision)
        resolve = partial(
            resolve_model,
            config.model,
            cache_dir=self.cache_dir,
            listener=self.listener,
            options=config.export,
        )
        is_converted = config.precision != FULL_PRECISION
        source = config.given.models.get(config.model)
        if source is None and is_file_name(config.model):
            source = resolve()
        if source is None:
            return resolve(conversion=self._conversion() if is_converted else None)
        if not is_converted:
            return source
        check_convertible(source, config.precision)  # before a dataset is loaded in vain
        return convert_on_first_use(
            source, self._conversion(), cache_dir=self.cache_dir, listener=self.listener
        )

    def _conversion(self) -> ConversionRequest:
        return conversion_request(self.config.precision, self.dataset, seed=self.config.seed)

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
        """Return the open session; open it first if need be."""
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
    """Yield the cache folder, or with ``cache=False`` a temporary one."""
    if config.cache:
        yield config.cache_dir
        return
    with tempfile.TemporaryDirectory(prefix="tlbench-") as temporary:
        yield Path(temporary)


def load_limited_dataset(config: RunConfig, listener: Listener) -> Dataset:
    """Load the configured dataset, cut down to the configured limits."""
    dataset = config.given.datasets.get(config.dataset)
    if dataset is None:
        request = DatasetRequest(
            name=config.dataset,
            data_dir=config.data_dir,
            download_dir=config.cache_dir / "datasets",
            seed=config.seed,
            columns=config.columns,
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


def conversion_request(
    precision: str,
    dataset: Dataset,
    *,
    seed: int,
    n_calibration: int = CALIBRATION_IMAGES,
    min_cosine: float | None = None,
) -> ConversionRequest:
    """Choose training images by seed: some to calibrate on, others to measure the drift on.

    A dataset with too few training images for *n_calibration* and ``HELD_OUT_IMAGES`` gives two
    thirds of what it has to the calibration.
    """
    if n_calibration < 1:
        raise ConfigError(f"n_calibration must be at least 1, got {n_calibration}.")
    if not PRECISIONS.load(precision).needs_calibration:
        n_calibration = 0
    images = _readable_images(dataset, seed, n_calibration + HELD_OUT_IMAGES)
    if len(images) < 3:  # noqa: PLR2004 - two to calibrate on, one for the drift
        msg = (
            f"{dataset.name} has {len(images)} readable training images; a conversion to "
            f"{precision} needs at least 3, to calibrate on and to measure the drift on. Choose a "
            "larger dataset."
        )
        raise DataError(msg)
    n_calibration = min(n_calibration, 2 * len(images) // 3)
    held_out = images[n_calibration:]
    return ConversionRequest(
        precision=precision,
        options=ConversionOptions(
            sample=ImageSample(
                dataset=dataset.name,
                fingerprint=dataset.train.fingerprint,
                seed=seed,
                n_calibration=n_calibration,
                n_held_out=len(held_out),
            ),
            calibration=images[:n_calibration],
            held_out=held_out,
            reduce_range=int8_saturates(),
            min_cosine=min_cosine,
        ),
    )


def _readable_images(dataset: Dataset, seed: int, wanted: int) -> list[ImageArray]:
    """Return the first *wanted* readable training images of a permutation by seed."""
    found: list[ImageArray] = []
    for row in np.random.default_rng(seed).permutation(len(dataset.train)):
        if len(found) == wanted:
            break
        try:
            found.append(dataset.train.images[int(row)])
        except UnreadableImageError:  # counted and named where features are extracted
            continue
    return found
