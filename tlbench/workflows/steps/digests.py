"""A digest of each image's pixels, kept in the store: it tells copies, and what is unreadable."""

from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import UnreadableImageError
from tlbench.core.progress import Listener, task
from tlbench.datasets import HashedImages, Split
from tlbench.features import ArrayStore, content_key


def _digest_parts(split: Split) -> dict[str, Any]:
    # Files are decoded by Pillow: another version may give other pixels.
    return {"split": split.fingerprint, "pillow": metadata.version("pillow")}


def keep_digests(store: ArrayStore, split: Split, images: HashedImages) -> None:
    """Store the digests of *split*, of whose images all that can be decoded were read."""
    parts = _digest_parts(split)
    with store.writing("digests", content_key(parts), parts) as entry:
        entry.save("digests", images.digests)
        entry.commit({"n_unreadable": int(np.count_nonzero(~images.known))})


def image_digests(store: ArrayStore, split: Split, title: str, listener: Listener) -> NDArray[Any]:
    """Return a digest of each image, uint8 (n_images, 16); zeros where it cannot be decoded.

    An extraction leaves them in the store; without one, every image is read once more.
    """
    if stored := store.get("digests", content_key(_digest_parts(split))):
        return stored.arrays["digests"]
    images = HashedImages(split.images)
    with task(listener, f"look for repeated images in {title}", len(images), "images"):
        for position in range(len(images)):
            try:
                images[position]
            except UnreadableImageError:
                continue
            finally:
                listener.advance()
    keep_digests(store, split, images)
    return images.digests
