"""The digests of a split's images: noted during the extraction, or in a pass of their own."""

from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import UnreadableImageError
from tlbench.core.progress import Listener
from tlbench.datasets import HashedImages, Split
from tlbench.features import ArrayStore, content_key

_KIND = "digests"


def _parts(split: Split) -> dict[str, Any]:
    # Files are decoded by Pillow: another version may give other pixels.
    return {"split": split.fingerprint, "pillow": metadata.version("pillow")}


def keep_digests(store: ArrayStore, split: Split, images: HashedImages) -> None:
    """Store the digests of *split*, of whose images all that can be decoded were read."""
    parts = _parts(split)
    with store.writing(_KIND, content_key(parts), parts) as entry:
        entry.save("digests", images.digests)
        entry.commit({"n_unreadable": int(np.count_nonzero(~images.known))})


def image_digests(store: ArrayStore, split: Split, title: str, listener: Listener) -> NDArray[Any]:
    """Return a digest for each image, uint8 (n_images, 16); zeros where it cannot be decoded.

    They come from the store, where an extraction has left them; else every image is read once more.
    """
    if stored := store.get(_KIND, content_key(_parts(split))):
        return stored.arrays["digests"]
    images = HashedImages(split.images)
    listener.start(f"look for repeated images in {title}", len(images), "images")
    for position in range(len(images)):
        try:
            images[position]
        except UnreadableImageError:
            continue
        finally:
            listener.advance()
    listener.finish()
    keep_digests(store, split, images)
    return images.digests
