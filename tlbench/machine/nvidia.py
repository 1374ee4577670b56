"""NVIDIA GPUs: NVML opened on the GPU that a CUDA device number means, and loaded CUDA libraries.

NVML counts the machine's GPUs by their position on the bus. CUDA counts those that
``CUDA_VISIBLE_DEVICES`` leaves to this process, in the order of ``CUDA_DEVICE_ORDER``, which is by
speed unless set. The two numberings are never mixed: a PCI bus id connects them.
"""

import ctypes
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlbench.core.errors import GpuUnreadableError

# "0000:3b:00.0" and room for a longer domain.
_BUS_ID_BYTES = 32
_MAPS = Path("/proc/self/maps")
_NAMES = {"cudart": "cuda runtime", "nvinfer": "tensorrt"}
_FILE = re.compile(r"/lib(cudart|cublas|cudnn|nvinfer)\.so[.\d]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaGpu:
    """One GPU with NVML open on it."""

    nvml: Any  # the module pynvml, initialised
    handle: Any  # NVML's handle of the GPU, which its functions take
    pci_bus_id: str  # "0000:3b:00.0"; for a MIG instance, that of the GPU it is part of


def normal_bus_id(text: str) -> str:
    """Return a PCI bus id in one form: ``"00000000:3B:00.0"`` becomes ``"0000:3b:00.0"``."""
    domain, separator, rest = text.strip().lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}" if separator else text.strip().lower()


def locate_gpu(device_id: int) -> str:
    """Return the PCI bus id of the GPU that CUDA knows by this number, or raise GpuUnreadableError.

    This starts the CUDA driver. If it does not answer and NVML sees a single GPU, it is that one.
    """
    try:
        return bus_id_of(device_id)
    except GpuUnreadableError as unknown:
        nvml = _open_nvml()
        try:
            n_gpus = nvml.nvmlDeviceGetCount()
            if n_gpus == 1:
                bus_id = nvml.nvmlDeviceGetPciInfo(nvml.nvmlDeviceGetHandleByIndex(0)).busId
                return normal_bus_id(bus_id.decode() if isinstance(bus_id, bytes) else bus_id)
        except nvml.NVMLError as error:
            raise GpuUnreadableError(f"{unknown}, and NVML reports: {error}") from error
        raise GpuUnreadableError(f"{unknown}, and NVML sees {n_gpus} GPUs") from unknown


def bus_id_of(device_id: int) -> str:
    """Return the PCI bus id that the CUDA driver gives for a device number; see `locate_gpu`."""
    what = f"the CUDA driver does not say which GPU device {device_id} is"
    try:
        driver = _open_driver()
    except OSError as error:
        raise GpuUnreadableError(f"{what}: {error}") from error
    device, text = ctypes.c_int(), ctypes.create_string_buffer(_BUS_ID_BYTES)
    # A CUdevice is a C int; see "Device Management" in the CUDA Driver API.
    steps = (
        ("cuInit", (ctypes.c_uint(0),)),
        ("cuDeviceGet", (ctypes.byref(device), ctypes.c_int(device_id))),
        ("cuDeviceGetPCIBusId", (text, ctypes.c_int(_BUS_ID_BYTES), device)),
    )
    for name, arguments in steps:
        if status := getattr(driver, name)(*arguments):
            raise GpuUnreadableError(f"{what}: {name} returned error {status}")
    return normal_bus_id(text.value.decode("ascii"))


def open_gpu(device_id: int) -> NvidiaGpu:
    """Open NVML on the GPU that CUDA knows by this number, or raise GpuUnreadableError."""
    _open_nvml()  # first: if NVML is missing, that is the reason the user can do something about
    return open_gpu_at(locate_gpu(device_id))


def open_gpu_at(pci_bus_id: str) -> NvidiaGpu:
    """Open NVML on the GPU with this PCI bus id, or raise GpuUnreadableError."""
    nvml = _open_nvml()
    try:
        handle = nvml.nvmlDeviceGetHandleByPciBusId(pci_bus_id)
    except nvml.NVMLError as error:
        raise GpuUnreadableError(f"NVML reports: {error}") from error
    return NvidiaGpu(nvml=nvml, handle=handle, pci_bus_id=pci_bus_id)


def _open_nvml() -> Any:  # noqa: ANN401 - a module without types
    try:
        import pynvml
    except ImportError as error:
        raise GpuUnreadableError("nvidia-ml-py is not installed (extra 'cuda')") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise GpuUnreadableError(f"NVML reports: {error}") from error
    return pynvml


def _open_driver() -> Any:  # noqa: ANN401 - a C library
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


def loaded_libraries(maps: Path = _MAPS) -> dict[str, str]:
    """Return the versions of the loaded CUDA runtime, cuBLAS, cuDNN and TensorRT; on Linux only."""
    # Each is asked itself: pip's list need not be what is loaded, as cuDNN may be PyTorch's.
    try:
        lines = maps.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    paths = dict.fromkeys(line.split(maxsplit=5)[-1] for line in lines if "/lib" in line)
    found = {}
    for path in paths:
        if match := _FILE.search(path):
            name = match[1]
            with suppress(OSError, AttributeError):  # the file is gone, or lacks the function
                found[_NAMES.get(name, name)] = _version(ctypes.CDLL(path), name)
    return found


def _version(library: Any, name: str) -> str:  # noqa: ANN401 - a C library
    number = ctypes.c_int()
    if name == "cudart":
        library.cudaRuntimeGetVersion(ctypes.byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"
    if name == "nvinfer":
        whole = int(library.getInferLibVersion())
        # 10.3.0 is 100300; before version 10 the unit of the major number was 1000.
        major, rest = divmod(whole, 10_000 if whole >= 100_000 else 1_000)  # noqa: PLR2004
        return f"{major}.{rest // 100}.{rest % 100}"
    numbers = []
    for part in range(3):  # libraryPropertyType: major, minor, patch level
        getattr(library, f"{name}GetProperty")(ctypes.c_int(part), ctypes.byref(number))
        numbers.append(str(number.value))
    return ".".join(numbers)
