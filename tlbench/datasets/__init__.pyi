from .base import (
    DATASETS,
    Dataset,
    DatasetLoader,
    DatasetRequest,
    Grouping,
    SourceFile,
    Split,
    load_dataset,
)
from .folder import SUFFIXES, ImageFiles, quiet_pillow
from .leaks import (
    CrossFoldDuplicates,
    Digests,
    HashedImages,
    Leaks,
    find_cross_fold_duplicates,
    find_leaks,
)

__all__ = [
    "DATASETS",
    "SUFFIXES",
    "CrossFoldDuplicates",
    "Dataset",
    "DatasetLoader",
    "DatasetRequest",
    "Digests",
    "Grouping",
    "HashedImages",
    "ImageFiles",
    "Leaks",
    "SourceFile",
    "Split",
    "find_cross_fold_duplicates",
    "find_leaks",
    "load_dataset",
    "quiet_pillow",
]
