"""Datasets: labelled raw images, found by name."""

from tlbench.datasets.base import (
    DATASETS,
    Dataset,
    DatasetLoader,
    DatasetRequest,
    Grouping,
    SourceFile,
    Split,
    load_dataset,
)
from tlbench.datasets.decode import SUFFIXES, quiet_pillow
from tlbench.datasets.folder import ImageFiles
from tlbench.datasets.leaks import Digests, HashedImages, Leaks, Spread, find_leaks, find_spread

__all__ = [
    "DATASETS",
    "SUFFIXES",
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
    "Spread",
    "find_leaks",
    "find_spread",
    "load_dataset",
    "quiet_pillow",
]
