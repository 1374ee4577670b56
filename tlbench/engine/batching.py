"""Cut images into batches for a session."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tlbench.core.arrays import ImageArray, Images, LabelArray
from tlbench.core.errors import UnreadableImageError


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one size. Rows beyond ``len(index)`` are padding: their features are dropped."""

    index: LabelArray
    images: ImageArray


@dataclass(frozen=True, slots=True)
class Loaded:
    """The batches of one chunk, and what could not be read: position and error."""

    batches: tuple[Batch, ...]
    unreadable: tuple[tuple[int, UnreadableImageError], ...]


def chunks(n_images: int, batch_size: int) -> Iterator[range]:
    """Yield the positions of each batch; the last may be shorter."""
    for start in range(0, n_images, batch_size):
        yield range(start, min(start + batch_size, n_images))


def load_batches(images: Images, positions: Sequence[int], *, pad_to: int | None) -> Loaded:
    """Read the images at *positions* and stack those of one size.

    Images of one size make one batch; a chunk of several sizes makes a batch for each. With
    *pad_to*, batches are filled up to that many rows by repeating the last image: a new batch shape
    would make an accelerator search for algorithms and plan memory again.
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
        batches.append(
            Batch(
                index=np.array([position for position, _ in group], dtype=np.int64),
                images=np.stack([*(image for _, image in group), *padding]),
            )
        )
    return Loaded(tuple(batches), tuple(unreadable))
