"""Gate: a saved run judged against a baseline by a policy. Nothing here measures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
