"""Versions of CUDA's libraries as loaded, by their own word."""

import ctypes
import json
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest

from tlbench.machine import loaded_libraries, nvidia

LINE = "7f0000000000-7f0000001000 r-xp 00000000 08:01 42   {path}\n"
# Loads CUDA's libraries as ONNX Runtime does, where they are installed.
LOADED = """
import json
from tlbench.engine import check_provider
from tlbench.machine import loaded_libraries
from tlbench.core.errors import ProviderUnavailableError
try:
    check_provider("cuda")
except ProviderUnavailableError:
    pass
print(json.dumps(loaded_libraries()))
"""


def properties(*numbers):
    """Return a C function in the way of cudnnGetProperty."""

    def get(part, answer):
        answer[0] = numbers[part]
        return 0

    kinds = ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
    return ctypes.CFUNCTYPE(*kinds)(get)


def runtime(number):
    def get(answer):
        answer[0] = number
        return 0

    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int))(get)


@pytest.mark.parametrize(
    ("file", "library", "found"),
    [
        ("libcudart.so.12", SimpleNamespace(cudaRuntimeGetVersion=runtime(12090)), "12.9"),
        ("libcublas.so.13", SimpleNamespace(cublasGetProperty=properties(13, 1, 1)), "13.1.1"),
        ("libcudnn.so.9", SimpleNamespace(cudnnGetProperty=properties(9, 24, 0)), "9.24.0"),
        ("libnvinfer.so.10", SimpleNamespace(getInferLibVersion=lambda: 100300), "10.3.0"),
        ("libnvinfer.so.8", SimpleNamespace(getInferLibVersion=lambda: 8601), "8.6.1"),
    ],
)
def test_a_loaded_library_says_its_version(tmp_path, monkeypatch, file, library, found):
    """Asked through ctypes; its file is mapped in several parts."""
    path = f"/opt/with space/{file}"
    maps = tmp_path / "maps"
    maps.write_text(2 * LINE.format(path=path) + LINE.format(path="/lib/libc.so.6"))
    monkeypatch.setattr(nvidia.ctypes, "CDLL", {path: library}.__getitem__)
    assert list(loaded_libraries(maps).values()) == [found]


@pytest.mark.parametrize("file", ["libcudnn_ops.so.9", "libcublasLt.so.13", "libcudnn.so.9.old"])
def test_parts_of_a_library_are_not_asked(tmp_path, monkeypatch, file):
    maps = tmp_path / "maps"
    maps.write_text(LINE.format(path=f"/opt/{file}"))
    monkeypatch.setattr(nvidia.ctypes, "CDLL", {}.__getitem__)
    assert loaded_libraries(maps) == {}


def test_a_library_that_does_not_say_is_left_out(tmp_path, monkeypatch):
    """An old one without the function, or one whose file is gone."""
    maps = tmp_path / "maps"
    maps.write_text(LINE.format(path="/opt/libcudnn.so.9") + LINE.format(path="/libcudart.so.12"))

    def load(path):
        if "cudart" in path:
            raise OSError(path)
        return SimpleNamespace()

    monkeypatch.setattr(nvidia.ctypes, "CDLL", load)
    assert loaded_libraries(maps) == {}


def test_where_the_system_lists_nothing_nothing_is_told(tmp_path):
    assert loaded_libraries(tmp_path / "absent") == {}


def test_the_real_libraries_say_what_pip_says():
    """Those of the extra 'cuda', which load without a GPU."""
    try:
        version = metadata.version("nvidia-cudnn-cu13")
    except metadata.PackageNotFoundError:
        pytest.skip("needs CUDA's libraries: pip install 'tlbench[cuda]'")
    done = subprocess.run(
        [sys.executable, "-c", LOADED], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    if not found:
        pytest.skip("this ONNX Runtime loads libraries of another CUDA, or none")
    assert version.startswith(found["cudnn"])
    assert {"cuda runtime", "cublas"} <= set(found)
