"""Use cases, one file each: run, compare models, drift, reproduce, fuse, predict."""

from tlbench.workflows.config import (
    QUICK_TIMING,
    ProtocolConfig,
    RunConfig,
    TimingConfig,
    default_cache_dir,
)
from tlbench.workflows.export import export_at_precision
from tlbench.workflows.fuse import fuse_run
from tlbench.workflows.predict import find_images, predict_images
from tlbench.workflows.reproduce import RecipeChoices, reproduce_recipe
from tlbench.workflows.run import RunOutcome, run_benchmark
from tlbench.workflows.steps.features import SplitFeatures, extract_dataset_split

__all__ = [
    "QUICK_TIMING",
    "ProtocolConfig",
    "RecipeChoices",
    "RunConfig",
    "RunOutcome",
    "SplitFeatures",
    "TimingConfig",
    "default_cache_dir",
    "export_at_precision",
    "extract_dataset_split",
    "find_images",
    "fuse_run",
    "predict_images",
    "reproduce_recipe",
    "run_benchmark",
]
