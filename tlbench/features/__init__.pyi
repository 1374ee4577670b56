from .baselines import BASELINES, BaselineFeatures, FeatureBaseline, compute_baseline
from .embedding import LEAST_IMAGES, MOST_VALUES, has_tsne, pca_map, tsne_map
from .store import ArrayStore, StoredArrays, content_key
from .writer import RowWriter, check_npz_path, save_npz

__all__ = [
    "BASELINES",
    "LEAST_IMAGES",
    "MOST_VALUES",
    "ArrayStore",
    "BaselineFeatures",
    "FeatureBaseline",
    "RowWriter",
    "StoredArrays",
    "check_npz_path",
    "compute_baseline",
    "content_key",
    "has_tsne",
    "pca_map",
    "save_npz",
    "tsne_map",
]
