"""Classifier heads: their parameters, fitting, scoring, search, folds and learning curves."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
