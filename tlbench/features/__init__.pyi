from .baselines import BASELINES, BaselineFeatures, FeatureBaseline, compute_baseline
from .store import ArrayStore, StoredArrays, content_key
from .writer import RowWriter, check_npz_path, save_npz

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
