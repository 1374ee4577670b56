"""Thumbnails of the test images, kept in the store: made while features are extracted."""

from importlib import metadata
from typing import Any, Final

import numpy as np

from tlbench.core.arrays import Images, LabelArray
from tlbench.core.hashing import sha256_array
from tlbench.core.progress import Listener, task
from tlbench.datasets import Split, ThumbnailedImages, ThumbnailSheet
from tlbench.features import ArrayStore, content_key
from tlbench.heads import limit_rows

# A page with these has at most 4 MB; of more images, a sample is shown.
MOST_IMAGES: Final = 10_000
_SEED: Final = 0
# Of the files in the store: raise it when they are made in another way.
_VERSION: Final = 2


def thumbnailed(split: Split, images: Images) -> ThumbnailedImages:
    """Return *images* of a split so that those to show leave a thumbnail when they are read."""
    return ThumbnailedImages(images, _chosen(split).tolist())


def _chosen(split: Split) -> LabelArray:
    """Return which images of a split are shown: all, or a stratified sample."""
    return limit_rows(split.labels, 1 + int(split.labels.max()), MOST_IMAGES, _SEED)


def shown_rows(split: Split, index: LabelArray) -> LabelArray:
    """Return which of the readable images, at *index*, are shown: positions in *index*."""
    return np.flatnonzero(np.isin(index, _chosen(split))).astype(np.int64)


def _parts(split: Split, index: LabelArray) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "split": split.fingerprint,
        "rows": sha256_array(index),
        "most": MOST_IMAGES,
        "pillow": metadata.version("pillow"),
    }


def keep_thumbnails(
    store: ArrayStore, split: Split, index: LabelArray, images: ThumbnailedImages
) -> ThumbnailSheet:
    """Store the thumbnails of the images at *index*, all those that can be decoded."""
    sheet = images.sheet(index[shown_rows(split, index)].tolist())
    parts = _parts(split, index)
    with store.writing("thumbnails", content_key(parts), parts) as entry:
        entry.save("webp", np.frombuffer(sheet.content, np.uint8))
        entry.commit({"side": sheet.side, "n_columns": sheet.n_columns})
    return sheet


def thumbnail_sheet(
    store: ArrayStore, split: Split, index: LabelArray, listener: Listener
) -> ThumbnailSheet:
    """Return the thumbnails from the store; read the images once more if they are not there."""
    if stored := store.get("thumbnails", content_key(_parts(split, index))):
        content = stored.arrays["webp"].tobytes()
        return ThumbnailSheet(content=content, **stored.meta)
    images = thumbnailed(split, split.images)
    rows = index[shown_rows(split, index)]
    with task(listener, "make thumbnails", len(rows), "images"):
        for row in rows.tolist():
            images[row]
            listener.advance()
    return keep_thumbnails(store, split, index, images)
