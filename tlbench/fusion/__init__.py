"""Fitted heads as ONNX nodes behind a backbone: one classifier file."""

from tlbench.fusion.classifier import attach_card, fuse_graphs, part_beside, publish, save_model
from tlbench.fusion.heads import PROBABILITY_TOLERANCE, FittedHead, fit_classifier

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
