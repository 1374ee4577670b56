"""Stream a split's images through a session, features into a sink."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from tlbench.core.arrays import ImageArray, Images, LabelArray
from tlbench.core.errors import ConfigError, DataError, UnreadableImageError
from tlbench.core.progress import Listener, Silent
from tlbench.engine.batching import chunks, load_batches
from tlbench.engine.prefetch import prefetch
from tlbench.machine import available_cpus

# Enough to hide a slow decode behind a batch, few enough that memory stays small.
_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Extraction:
    """How an extraction went.

    Attributes
    ----------
    n_images, n_batches : int
        Images whose features were delivered, and calls of the network.
    elapsed_s : float
        Seconds from the first read to the last delivery.
    unreadable : tuple
        Position and error of every image left out.
    """

    n_images: int
    n_batches: int
    elapsed_s: float
    unreadable: tuple[tuple[int, UnreadableImageError], ...]


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
    """Compute the features of *images*, decoding ahead on other threads while the network runs.

    Parameters
    ----------
    run : callable
        From uint8 (N, H, W, 3) to float32 (N, n_features): usually `Session.run`. Any array with a
        row for each image will do.
    images : Images
        Raw images; sizes may differ.
    sink : callable
        Receives positions, int64 (n,), and their rows of what *run* returned, as they come.
        Every readable position comes exactly once; within images of one size, in order.
    batch_size : int
        Images a call. Each image keeps its features, up to float32 rounding, whatever the batches.
    pad_tail : bool
        Fill short batches up to *batch_size*, so that the network sees one batch shape only.
    strict : bool
        Raise at the first unreadable image, and do not leave it out.
    workers : int or None
        Threads that decode; None chooses from the processors this process may use.

    Raises
    ------
    ConfigError
        If *batch_size* is below 1.
    UnreadableImageError
        With *strict*, for the first image that cannot be decoded.
    DataError
        If no image can be decoded.

    Notes
    -----
    At most a few batches are in memory at any time, whatever the number of images.
    """
    if batch_size < 1:
        msg = f"The batch size must be at least 1, not {batch_size}."
        raise ConfigError(msg)
    listener = listener or Silent()
    workers = workers or min(4, available_cpus())
    load = partial(load_batches, images, pad_to=batch_size if pad_tail else None)
    unreadable: list[tuple[int, UnreadableImageError]] = []
    n_images = n_batches = 0
    started = time.perf_counter()
    loading = prefetch(
        load, chunks(len(images), batch_size), workers=workers, depth=workers + _AHEAD - 1
    )
    for loaded in loading:
        if loaded.unreadable and strict:
            raise loaded.unreadable[0][1]
        unreadable.extend(loaded.unreadable)
        for batch in loaded.batches:
            features = run(batch.images)
            sink(batch.index, features[: len(batch.index)])
            n_images += len(batch.index)
            n_batches += 1
            listener.advance(len(batch.index))
    if n_images == 0:
        first = f"; the first: {unreadable[0][1]}" if unreadable else ""
        msg = f"None of the {len(images)} images can be decoded{first}"
        raise DataError(msg)
    return Extraction(n_images, n_batches, time.perf_counter() - started, tuple(unreadable))
