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
from tlbench.datasets.leaks import Digests, HashedImages, Leaks, Spread, find_leaks, find_spread

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetLoader",
    "DatasetRequest",
    "Digests",
    "Grouping",
    "HashedImages",
    "Leaks",
    "SourceFile",
    "Split",
    "Spread",
    "find_leaks",
    "find_spread",
    "load_dataset",
]
