"""The ONNX Runtime engine: providers, sessions, and streaming feature extraction."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
