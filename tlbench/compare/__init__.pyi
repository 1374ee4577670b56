from .compared_run import ComparedRun, open_compared_run, predictions_of
from .comparison import compare_runs, differing_images
from .effect import median_interval, paired_difference, ratio_interval

__all__ = [
    "ComparedRun",
    "compare_runs",
    "differing_images",
    "median_interval",
    "open_compared_run",
    "paired_difference",
    "predictions_of",
    "ratio_interval",
]
