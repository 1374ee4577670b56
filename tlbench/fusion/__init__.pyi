from .classifier import attach_card, fuse_graphs
from .heads import PROBABILITY_TOLERANCE, FittedHead, fit_classifier

__all__ = [
    "PROBABILITY_TOLERANCE",
    "FittedHead",
    "attach_card",
    "fit_classifier",
    "fuse_graphs",
]
