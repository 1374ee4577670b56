"""Fitted heads as ONNX nodes behind a backbone: one classifier file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
