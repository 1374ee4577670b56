"""What a run keeps of its test images for reports: names, confidences, thumbnails, a map."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from tlbench.core.arrays import FloatArray
from tlbench.core.progress import Listener
from tlbench.features import (
    LEAST_IMAGES,
    MOST_VALUES,
    ArrayStore,
    content_key,
    has_tsne,
    pca_map,
    tsne_map,
)
from tlbench.records import CodeMap, Confidence, ImagesDocument, RunImages, plain_value
from tlbench.workflows.steps.context import RunContext
from tlbench.workflows.steps.features import SplitFeatures
from tlbench.workflows.steps.thumbnails import shown_rows, thumbnail_sheet

Confidences: TypeAlias = dict[str, tuple[Literal["probability", "margin"], FloatArray]]
# Of a map in the store: raise it when maps are made in another way.
_VERSION = 1


def keep_images(context: RunContext, test: SplitFeatures, confidences: Confidences) -> RunImages:
    """Return what a report shows of the test images; a map only if it takes no time.

    t-SNE takes seconds to minutes, so it is not a part of a run: `stored_map` draws it later.
    """
    split = context.dataset.test
    rows = shown_rows(split, test.index)
    sheet = thumbnail_sheet(context.store, split, test.index, context.listener)
    names = [split.names[i] for i in test.index[rows]] if split.names else []
    return RunImages(
        document=ImagesDocument(
            rows=tuple(rows.tolist()),
            n_test=len(test.index),
            names=tuple(names),
            tile_px=sheet.side,
            n_columns=sheet.n_columns,
            confidence={
                name: Confidence(kind=kind, values=tuple(_rounded(values[rows])))
                for name, (kind, values) in confidences.items()
            },
            code_map=_quick_map(context.store, test, rows),
            features_key=test.key,
        ),
        sheet=sheet.content,
    )


def _rounded(values: FloatArray) -> list[float]:
    found: list[float] = np.round(values.astype(np.float64), 4).tolist()
    return found


def _quick_map(store: ArrayStore, test: SplitFeatures, rows: Any) -> CodeMap | None:  # noqa: ANN401
    if not _can_map(len(rows), test.features.shape[1]):
        return None
    key, _ = _map_key(test.key)
    if stored := store.get("maps", key):
        return msgspec.convert(stored.meta, CodeMap)
    return pca_map(np.asarray(test.features)[rows])


def _can_map(n_images: int, n_features: int) -> bool:
    return n_images >= LEAST_IMAGES and n_images * n_features <= MOST_VALUES


def _map_key(features_key: str) -> tuple[str, Mapping[str, Any]]:
    parts = {"version": _VERSION, "features": features_key, "method": "t-SNE"}
    return content_key(parts), parts


def stored_map(store: ArrayStore, images: ImagesDocument, listener: Listener) -> CodeMap | None:
    """Return a t-SNE map of a run's test images from the features in the store.

    None where openTSNE is not installed, the features are not in the store, or there are too few
    images or too many values for a map.
    """
    if not has_tsne() or images.features_key is None:
        return None
    key, parts = _map_key(images.features_key)
    if stored := store.get("maps", key):
        return msgspec.convert(stored.meta, CodeMap)
    features = store.get("features", images.features_key)
    if features is None or not _can_map(len(images.rows), features.arrays["features"].shape[1]):
        return None
    found = tsne_map(np.asarray(features.arrays["features"])[list(images.rows)], listener)
    with store.writing("maps", key, parts) as entry:
        entry.commit(plain_value(found))
    return found
