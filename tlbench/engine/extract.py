"""Stream images through a network in batches, decoding ahead on other threads."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import ImageArray, Images, LabelArray
from tlbench.core.errors import ConfigError, DataError, ModelError, UnreadableImageError
from tlbench.core.progress import Listener, Silent
from tlbench.machine import available_cpus

T = TypeVar("T")
R = TypeVar("R")

# Enough to hide a slow decode behind a batch, and few enough that memory stays small.
_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Extraction:
    """How an extraction went."""

    n_images: int  # images whose features were delivered
    n_batches: int  # calls of the network
    elapsed_s: float  # from the first read to the last delivery
    unreadable: tuple[tuple[int, UnreadableImageError], ...]  # position and error of each image
    # of how many images delivered have this height and width
    sizes: Mapping[tuple[int, int], int] = field(default_factory=dict)


def extract_features(
    run: Callable[[ImageArray], NDArray[Any]],
    images: Images,
    *,
    sink: Callable[[LabelArray, NDArray[Any]], None],
    batch_size: int = 32,
    pad_tail: bool = False,
    strict: bool = False,
    workers: int | None = None,
    listener: Listener | None = None,
) -> Extraction:
    """Compute the features of *images*, decoding a few batches ahead while the network runs.

    Parameters
    ----------
    run : callable
        From uint8 (N, H, W, 3) to an array of N rows, usually `Session.run`.
    images : Images
        Raw images; sizes may differ.
    sink : callable
        Receives positions, int64 (n,), and the matching rows of what *run* returned. Every readable
        position arrives exactly once; images of one size arrive in order.
    batch_size, pad_tail : int, bool
        Images per call, and whether to fill short batches up to it, so that the network sees a
        single batch shape. Features change by no more than float32 rounding.
    strict : bool
        Raise at the first unreadable image instead of leaving it out.
    workers : int or None
        Threads that decode; None chooses from the processors that this process may use.

    Returns
    -------
    Extraction
        Counts, seconds, and the images that were left out.

    Raises
    ------
    ConfigError
        If *batch_size* is below 1.
    ModelError
        If *run* does not return one row for each image.
    UnreadableImageError, DataError
        With *strict*, for the first image that cannot be decoded; or if no image can be.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}.")
    listener = listener or Silent()
    workers = workers or min(4, available_cpus())
    load = partial(load_batches, images, pad_to=batch_size if pad_tail else None)
    unreadable: list[tuple[int, UnreadableImageError]] = []
    sizes: Counter[tuple[int, int]] = Counter()
    n_images = n_batches = 0
    started = time.perf_counter()
    loading = prefetch(
        load, chunks(len(images), batch_size), workers=workers, depth=workers + _AHEAD - 1
    )
    for batches, failed in loading:
        if failed and strict:
            raise failed[0][1]
        unreadable.extend(failed)
        for index, batch in batches:
            features = run(batch)
            if len(features) != len(batch):
                msg = (
                    f"The model gives {len(features)} rows for {len(batch)} images, so its rows "
                    "are not the features of one image each. Export it with an open batch axis."
                )
                raise ModelError(msg)
            sink(index, features[: len(index)])
            sizes[batch.shape[1], batch.shape[2]] += len(index)
            n_images += len(index)
            n_batches += 1
            listener.advance(len(index))
    if n_images == 0:
        first = f"; the first: {unreadable[0][1]}" if unreadable else "."
        raise DataError(f"None of the {len(images)} images can be decoded{first}")
    elapsed_s = time.perf_counter() - started
    return Extraction(n_images, n_batches, elapsed_s, tuple(unreadable), sizes)


def chunks(n_images: int, batch_size: int) -> Iterator[range]:
    """Yield the positions of each batch; the last batch may be shorter."""
    for start in range(0, n_images, batch_size):
        yield range(start, min(start + batch_size, n_images))


def load_batches(
    images: Images, positions: Sequence[int], *, pad_to: int | None
) -> tuple[list[tuple[LabelArray, ImageArray]], list[tuple[int, UnreadableImageError]]]:
    """Return positions and stacked images by size, and position and error of unreadable images.

    With *pad_to*, batches are filled by repeating the last image: accelerators replan each shape.
    """
    by_shape: dict[tuple[int, ...], list[tuple[int, ImageArray]]] = {}
    unreadable = []
    for position in positions:
        try:
            image = images[position]
        except UnreadableImageError as error:
            unreadable.append((position, error))
        else:
            by_shape.setdefault(image.shape, []).append((position, image))
    batches = []
    for group in by_shape.values():
        padding = [group[-1][1]] * max(0, (pad_to or 0) - len(group))
        index = np.array([position for position, _ in group], dtype=np.int64)
        batches.append((index, np.stack([*(image for _, image in group), *padding])))
    return batches, unreadable


def prefetch(
    function: Callable[[T], R], items: Iterable[T], *, workers: int, depth: int
) -> Iterator[R]:
    """Yield ``function(item)`` for each item, in order, computed up to *depth* items ahead.

    An exception is raised when its item's turn comes. Closing drops what has not started.
    """
    remaining = iter(items)
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="tlbench-prefetch")
    try:
        for item in islice(remaining, depth):
            pending.append(pool.submit(function, item))
        while pending:
            result = pending.popleft().result()
            for item in islice(remaining, 1):
                pending.append(pool.submit(function, item))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
