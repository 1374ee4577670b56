"""NVIDIA's management library (NVML), asked about the very GPU that a CUDA device number means.

NVML counts the machine's GPUs by their place on the bus. CUDA counts those that
``CUDA_VISIBLE_DEVICES`` leaves to this process, in the order of ``CUDA_DEVICE_ORDER``, which is by
speed unless set. So a number of the one is never taken for a number of the other.
"""

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

from tlbench.core.errors import GpuUnreadableError

# "0000:3b:00.0" and room for a longer domain.
_BUS_ID_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaGpu:
    """One GPU with NVML open on it.

    Attributes
    ----------
    nvml : module
        ``pynvml``, initialised.
    handle : object
        NVML's own, for its functions.
    pci_bus_id : str
        Where the GPU sits: ``"0000:3b:00.0"``. Of a MIG instance, the GPU that it is part of.
    """

    nvml: Any
    handle: Any
    pci_bus_id: str


def normal_bus_id(text: str) -> str:
    """Return a PCI bus id in one form: ``"00000000:3B:00.0"`` becomes ``"0000:3b:00.0"``."""
    domain, separator, rest = text.strip().lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}" if separator else text.strip().lower()


def locate_gpu(device_id: int) -> str:
    """Return the PCI bus id of the GPU that CUDA knows by this number in this process.

    The CUDA driver says it. Where it does not, and NVML sees a single GPU, it is that one.

    Raises
    ------
    GpuUnreadableError
        If it cannot be told.

    Notes
    -----
    It starts the driver, so a process whose first call is timed must not ask.
    """
    try:
        return bus_id_of(device_id)
    except GpuUnreadableError as unknown:
        nvml = _open_nvml()
        try:
            n_gpus = nvml.nvmlDeviceGetCount()
            if n_gpus == 1:
                info = nvml.nvmlDeviceGetPciInfo(nvml.nvmlDeviceGetHandleByIndex(0))
                bus_id = info.busId
                return normal_bus_id(bus_id.decode() if isinstance(bus_id, bytes) else bus_id)
        except nvml.NVMLError as error:
            raise GpuUnreadableError(f"{unknown}, and NVML says {error}") from error
        raise GpuUnreadableError(f"{unknown}, and NVML sees {n_gpus} GPUs") from unknown


def bus_id_of(device_id: int) -> str:
    """Return what the CUDA driver says of a device number; see `locate_gpu`.

    Raises
    ------
    GpuUnreadableError
        If there is no driver, or no such device.
    """
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
            raise GpuUnreadableError(f"{what}: {name} gave error {status}")
    return normal_bus_id(text.value.decode("ascii"))


def open_gpu(device_id: int) -> NvidiaGpu:
    """Open NVML on the GPU that CUDA knows by this number in this process.

    Raises
    ------
    GpuUnreadableError
        If NVML does not work here, or it cannot be told which GPU that is.
    """
    _open_nvml()  # its absence is the reason that can be cured
    return open_gpu_at(locate_gpu(device_id))


def open_gpu_at(pci_bus_id: str) -> NvidiaGpu:
    """Open NVML on the GPU at this place.

    Raises
    ------
    GpuUnreadableError
        If NVML does not work here, or knows no such GPU.
    """
    nvml = _open_nvml()
    try:
        handle = nvml.nvmlDeviceGetHandleByPciBusId(pci_bus_id)
    except nvml.NVMLError as error:
        raise GpuUnreadableError(f"NVML says {error}") from error
    return NvidiaGpu(nvml=nvml, handle=handle, pci_bus_id=pci_bus_id)


def _open_nvml() -> Any:  # noqa: ANN401 - a module without types
    try:
        import pynvml
    except ImportError as error:
        raise GpuUnreadableError("nvidia-ml-py is not installed (extra 'cuda')") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise GpuUnreadableError(f"NVML says {error}") from error
    return pynvml


def _open_driver() -> Any:  # noqa: ANN401 - a C library
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
