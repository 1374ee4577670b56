"""tlbench: portable benchmarks of transfer learning with ONNX Runtime."""

import os
import sys

__version__ = "0.1.0"

_SWITCH = "ORT_DISABLE_TELEMETRY"
# Whether ONNX Runtime was imported before tlbench and without the switch; runs warn of it.
_is_off = os.environ.get(_SWITCH, "").lower() in {"1", "true", "yes", "on"}
_telemetry_is_on = "onnxruntime" in sys.modules and not _is_off
# ONNX Runtime reads the switch when it is imported, in this process and in those started from it.
# Its telemetry writes to the home folder, looks up a host and computes while a model is timed, so
# the user's own value does not count.
os.environ[_SWITCH] = "1"


def __getattr__(name: str) -> object:
    """Find a public name when one is asked for: the command line needs none to start."""
    import lazy_loader

    find, _, names = lazy_loader.attach_stub(__name__, __file__)
    public = [*names, "__version__"]
    return public if name == "__all__" else find(name)


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))  # type: ignore[call-overload]
