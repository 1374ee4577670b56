"""Compare: saved runs side by side. Nothing here measures, and nothing imports the engine."""

from tlbench.compare.compared import compare_runs, differing_images
from tlbench.compare.effect import compared_timing
from tlbench.compare.paired import paired_difference, predictions_of
from tlbench.compare.sides import Side, open_side

__all__ = [
    "Side",
    "compare_runs",
    "compared_timing",
    "differing_images",
    "open_side",
    "paired_difference",
    "predictions_of",
]
