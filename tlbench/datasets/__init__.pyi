from .arrays import ImagesLike, LabelsLike, as_images
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
from .columns import Columns
from .decode import ImageFiles, quiet_pillow
from .files import ImageFinder
from .leaks import (
    CrossFoldDuplicates,
    Digests,
    HashedImages,
    Leaks,
    find_cross_fold_duplicates,
    find_leaks,
)
from .thumbnails import ThumbnailedImages, ThumbnailSheet

__all__ = [
    "DATASETS",
    "Columns",
    "CrossFoldDuplicates",
    "Dataset",
    "DatasetLoader",
    "DatasetRequest",
    "Digests",
    "Grouping",
    "HashedImages",
    "ImageFiles",
    "ImageFinder",
    "ImagesLike",
    "LabelsLike",
    "Leaks",
    "SourceFile",
    "Split",
    "ThumbnailSheet",
    "ThumbnailedImages",
    "as_images",
    "find_cross_fold_duplicates",
    "find_leaks",
    "load_dataset",
    "quiet_pillow",
]
