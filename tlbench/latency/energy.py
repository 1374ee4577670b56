"""Energy counters: NVIDIA's through NVML, the processor package's through Linux's powercap (RAPL).

A counter is read before and after; where there is none, the record says why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["EnergyCounter", "energy_meter", "nvml_counter", "rapl_counter"]

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """A cumulative counter.

    Attributes
    ----------
    read_j : callable or None
        Returns joules since some start; None where there is no counter.
    note : str
        What the counter counts, or why there is none.
    range_j : float or None
        Where the counter starts again from 0.
    """

    read_j: Callable[[], float] | None
    note: str
    range_j: float | None = None


def energy_meter(counter: EnergyCounter | None) -> Callable[[], float | None]:
    """Begin to count; the returned function says the joules since then, None without a counter.

    The counter may wrap round once in between.
    """
    if counter is None or counter.read_j is None:
        return lambda: None
    read_j, range_j, before = counter.read_j, counter.range_j, counter.read_j()

    def spent_j() -> float:
        spent = read_j() - before
        return spent if spent >= 0 or range_j is None else spent + range_j

    return spent_j


def rapl_counter(powercap: Path = POWERCAP) -> EnergyCounter:
    """Return the counter of all processor packages (RAPL domains ``package-*``)."""
    packages = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        try:
            if (zone / "name").read_text().startswith("package"):
                packages.append(zone)
        except OSError:
            continue
    if not packages:
        return EnergyCounter(None, f"no energy counter: {powercap} has no processor package (RAPL)")
    files = [zone / "energy_uj" for zone in packages]

    def read_j() -> float:
        return sum(int(file.read_text()) for file in files) / 1e6

    try:
        read_j()
        ranges = [int((zone / "max_energy_range_uj").read_text()) for zone in packages]
    except PermissionError:
        return EnergyCounter(None, f"no energy counter: {files[0]} may be read by root only")
    except (OSError, ValueError) as error:
        return EnergyCounter(None, f"no energy counter: {files[0]}: {error}")
    # With several packages each wraps by itself; one wrap is undone only where there is one.
    range_j = ranges[0] / 1e6 if len(ranges) == 1 else None
    note = f"{len(files)} processor package(s), everything that runs on them, without the memory"
    return EnergyCounter(read_j, note, range_j)


def nvml_counter(index: int = 0) -> EnergyCounter:
    """Return the counter of one NVIDIA GPU: the whole board, whoever uses it."""
    try:
        import pynvml
    except ImportError:
        return EnergyCounter(None, "no energy counter: install nvidia-ml-py (extra 'cuda')")
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        return EnergyCounter(None, f"no energy counter: NVML says {error}")
    return EnergyCounter(
        lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, f"GPU {index}, its board"
    )
