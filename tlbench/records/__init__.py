"""Frozen records of what was measured, their JSON, and the folder that keeps runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
