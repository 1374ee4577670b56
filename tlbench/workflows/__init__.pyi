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
from .draw_map import draw_map
from .export import export_at_precision
from .fuse import fuse_run
from .predict import FoundImages, find_images, predict_images
from .reproduce import RecipeChoices, reproduce_recipe
from .run import RunOutcome, run_benchmark
from .steps.features import SplitFeatures, extract_dataset_split
from .sweep import Command, run_sweep
from .sweep_config import AXES, SweepConfig
from .sweep_file import make_sweep_config, read_sweep_file, sweep_timing
from .train import TrainingPlan, train_network

__all__ = [
    "AXES",
    "DEFAULT_HEADS",
    "QUICK_TIMING",
    "Command",
    "FoundImages",
    "GivenObjects",
    "ProtocolConfig",
    "RecipeChoices",
    "RunConfig",
    "RunOutcome",
    "SplitFeatures",
    "SweepConfig",
    "TimingConfig",
    "TrainingPlan",
    "default_cache_dir",
    "default_data_dir",
    "draw_map",
    "export_at_precision",
    "extract_dataset_split",
    "find_images",
    "fuse_run",
    "make_sweep_config",
    "predict_images",
    "read_sweep_file",
    "reproduce_recipe",
    "run_benchmark",
    "run_sweep",
    "sweep_timing",
    "train_network",
]
