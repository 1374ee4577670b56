"""Compare: saved runs side by side. Nothing here measures, and nothing imports the engine."""

from tlbench.compare.compared import compare_runs, differing_images
from tlbench.compare.compared_run import ComparedRun, open_compared_run
from tlbench.compare.effect import compared_timing
from tlbench.compare.paired import paired_difference, predictions_of

__all__ = [
    "ComparedRun",
    "compare_runs",
    "compared_timing",
    "differing_images",
    "open_compared_run",
    "paired_difference",
    "predictions_of",
]
