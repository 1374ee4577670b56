"""Versions of the CUDA libraries that this process has loaded, by their own word.

What pip lists need not be what is loaded: cuDNN may come with the system, or with PyTorch.
"""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAPS = Path("/proc/self/maps")
_FILE = re.compile(r"/lib(cudart|cublas|cudnn|nvinfer)\.so[.\d]*$")


def loaded_libraries(maps: Path = _MAPS) -> dict[str, str]:
    """Return library and version of CUDA's runtime, cuBLAS, cuDNN and TensorRT, those loaded.

    Empty where the system does not list what a process has loaded (only Linux does).
    """
    try:
        lines = maps.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    paths = dict.fromkeys(line.split(maxsplit=5)[-1] for line in lines if "/lib" in line)
    found = {}
    for path in paths:
        if match := _FILE.search(path):
            name, version_of = _VERSIONS[match[1]]
            try:
                found[name] = version_of(ctypes.CDLL(path))
            except (OSError, AttributeError):  # gone, or without the function
                continue
    return found


def _runtime(library: Any) -> str:  # noqa: ANN401 - a C library
    number = ctypes.c_int()
    library.cudaRuntimeGetVersion(ctypes.byref(number))
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _by_property(function: str) -> Callable[[Any], str]:
    """Return a reader of major, minor and patch level (libraryPropertyType 0, 1 and 2)."""

    def version_of(library: Any) -> str:  # noqa: ANN401 - a C library
        numbers = []
        for part in range(3):
            number = ctypes.c_int()
            getattr(library, function)(ctypes.c_int(part), ctypes.byref(number))
            numbers.append(str(number.value))
        return ".".join(numbers)

    return version_of


def _tensorrt(library: Any) -> str:  # noqa: ANN401 - a C library
    number = int(library.getInferLibVersion())
    # 10.3.0 is 100300; before version 10 the unit of the major number was 1000.
    major, rest = divmod(number, 10_000 if number >= 100_000 else 1_000)  # noqa: PLR2004
    return f"{major}.{rest // 100}.{rest % 100}"


_VERSIONS = {
    "cudart": ("cuda runtime", _runtime),
    "cublas": ("cublas", _by_property("cublasGetProperty")),
    "cudnn": ("cudnn", _by_property("cudnnGetProperty")),
    "nvinfer": ("tensorrt", _tensorrt),
}
