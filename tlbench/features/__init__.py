"""Feature baselines, and the content-addressed store of features and predictions."""

from tlbench.features.baselines import (
    BASELINES,
    BaselineFeatures,
    FeatureBaseline,
    compute_baseline,
)
from tlbench.features.files import check_npz_path, save_npz
from tlbench.features.store import ArrayStore, StoredArrays, content_key
from tlbench.features.writer import RowWriter

__all__ = [
    "BASELINES",
    "ArrayStore",
    "BaselineFeatures",
    "FeatureBaseline",
    "RowWriter",
    "StoredArrays",
    "check_npz_path",
    "compute_baseline",
    "content_key",
    "save_npz",
]
