"""Datasets: labelled raw images, found by name."""

from tlbench.datasets.base import (
    DATASETS,
    Dataset,
    DatasetLoader,
    DatasetRequest,
    Grouping,
    Split,
    load_dataset,
)

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetLoader",
    "DatasetRequest",
    "Grouping",
    "Split",
    "load_dataset",
]
