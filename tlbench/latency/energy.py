"""Energy counters: of NVIDIA GPUs through NVML, of processors through Linux's powercap (RAPL)."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tlbench.core.errors import GpuUnreadableError
from tlbench.machine import open_gpu

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """A cumulative counter."""

    read_j: Callable[[], float] | None  # returns joules since some start; None without a counter
    note: str  # what is counted, or why nothing is


def energy_meter(counter: EnergyCounter | None) -> Callable[[], float | None]:
    """Start counting; return a function that gives the joules since then, or None."""
    if counter is None or counter.read_j is None:
        return lambda: None
    read_j, before = counter.read_j, counter.read_j()
    return lambda: read_j() - before


def rapl_counter(powercap: Path = POWERCAP) -> EnergyCounter:
    """Return the counter of all processor packages (RAPL domains ``package-*``)."""
    packages = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        with suppress(OSError):
            if (zone / "name").read_text().startswith("package"):
                packages.append(zone)
    if not packages:
        return EnergyCounter(None, f"no energy counter: {powercap} has no processor package (RAPL)")
    first = packages[0] / "energy_uj"
    try:
        read_uj = [_unwrapped(zone) for zone in packages]
    except PermissionError:
        return EnergyCounter(None, f"no energy counter: only root may read {first}")
    except (OSError, ValueError) as error:
        return EnergyCounter(None, f"no energy counter: {first}: {error}")
    note = f"{len(packages)} processor package(s) with everything that runs on them, without memory"
    return EnergyCounter(lambda: sum(read() for read in read_uj) / 1e6, note)


def _unwrapped(zone: Path) -> Callable[[], int]:
    """Return a reader of one package's microjoules that corrects one wrap between two readings."""
    file = zone / "energy_uj"
    range_uj = int((zone / "max_energy_range_uj").read_text())
    last, wrapped = int(file.read_text()), 0

    def read_uj() -> int:
        nonlocal last, wrapped
        now = int(file.read_text())
        if now < last:
            wrapped += range_uj
        last = now
        return now + wrapped

    return read_uj


def nvml_counter(device_id: int = 0) -> EnergyCounter:
    """Return the counter of the GPU that CUDA knows by this number: of the board, for all users."""
    try:
        gpu = open_gpu(device_id)
    except GpuUnreadableError as error:
        return EnergyCounter(None, f"no energy counter: {error}")
    nvml, handle = gpu.nvml, gpu.handle
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError as error:
        return EnergyCounter(None, f"no energy counter: NVML reports: {error}")
    note = f"the board of GPU {gpu.pci_bus_id}"
    with suppress(nvml.NVMLError):  # raised for a GPU that cannot be split into instances
        if nvml.nvmlDeviceGetMigMode(handle)[0]:
            note += ", including its other MIG instances"
    return EnergyCounter(lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, note)
