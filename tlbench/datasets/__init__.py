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
from tlbench.datasets.leaks import HashedImages, Leaks, find_leaks

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetLoader",
    "DatasetRequest",
    "Grouping",
    "HashedImages",
    "Leaks",
    "SourceFile",
    "Split",
    "find_leaks",
    "load_dataset",
]
