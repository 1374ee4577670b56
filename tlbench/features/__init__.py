"""The content-addressed store of features, and of the predictions made on them."""

from tlbench.features.store import ArrayStore, StoredArrays, content_key
from tlbench.features.writer import RowWriter

__all__ = ["ArrayStore", "RowWriter", "StoredArrays", "content_key"]
