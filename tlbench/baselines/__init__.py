"""Feature baselines: features that no pretrained network made, for the same heads."""

from tlbench.baselines.base import (
    BASELINES,
    Baseline,
    BaselineFeatures,
    Images,
    compute_baseline,
)

__all__ = ["BASELINES", "Baseline", "BaselineFeatures", "Images", "compute_baseline"]
