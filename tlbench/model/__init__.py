"""The ONNX file: its card, who writes it, where it is found, precision conversions, MAC counts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
