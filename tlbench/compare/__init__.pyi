from .cells import MeasuredCell, find_cell, is_worse, open_cells, rounds_interval, summarise
from .compared_run import ComparedRun, open_compared_run, predictions_of
from .comparison import compare_runs, differing_images
from .effect import median_interval, paired_difference, ratio_interval
from .pick import OBJECTIVES, Objective, judge_cells, pick_cell

__all__ = [
    "OBJECTIVES",
    "ComparedRun",
    "MeasuredCell",
    "Objective",
    "compare_runs",
    "differing_images",
    "find_cell",
    "is_worse",
    "judge_cells",
    "median_interval",
    "open_cells",
    "open_compared_run",
    "paired_difference",
    "pick_cell",
    "predictions_of",
    "ratio_interval",
    "rounds_interval",
    "summarise",
]
