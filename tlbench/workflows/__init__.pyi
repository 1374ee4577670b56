from .config import (
    DEFAULT_HEADS,
    QUICK_TIMING,
    GivenObjects,
    ProtocolConfig,
    RunConfig,
    TimingConfig,
    default_cache_dir,
    default_data_dir,
)
from .export import export_at_precision
from .fuse import fuse_run
from .predict import FoundImages, find_images, predict_images
from .reproduce import RecipeChoices, reproduce_recipe
from .run import RunOutcome, run_benchmark
from .steps.features import SplitFeatures, extract_dataset_split
from .train import TrainingPlan, train_network

__all__ = [
    "DEFAULT_HEADS",
    "QUICK_TIMING",
    "FoundImages",
    "GivenObjects",
    "ProtocolConfig",
    "RecipeChoices",
    "RunConfig",
    "RunOutcome",
    "SplitFeatures",
    "TimingConfig",
    "TrainingPlan",
    "default_cache_dir",
    "default_data_dir",
    "export_at_precision",
    "extract_dataset_split",
    "find_images",
    "fuse_run",
    "predict_images",
    "reproduce_recipe",
    "run_benchmark",
    "train_network",
]
