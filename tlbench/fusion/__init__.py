"""Fitted heads as ONNX nodes behind a backbone. Knows graphs and estimators, runs neither."""

from tlbench.fusion.fitted import PROBABILITY_TOLERANCE, FittedHead, fit_classifier
from tlbench.fusion.join import fuse_graphs
from tlbench.fusion.write import attach_card, part_beside, publish, save_model

__all__ = [
    "PROBABILITY_TOLERANCE",
    "FittedHead",
    "attach_card",
    "fit_classifier",
    "fuse_graphs",
    "part_beside",
    "publish",
    "save_model",
]
