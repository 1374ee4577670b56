"""Whether an NVIDIA GPU is clocked down at this moment, as its driver gives it, or why untold."""

from dataclasses import dataclass

__all__ = ["GpuState", "gpu_state"]

# Bits of nvmlClocksEventReasons that slow a measurement; "idle" and clocks set by hand do not.
_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """One GPU at one moment.

    Attributes
    ----------
    reasons : tuple of str
        Why it is clocked down; empty where it is not, or where *unknown* says that nobody knows.
    unknown : str or None
        Why the reasons could not be read. None where they were: then no reason is an answer.
    temperature_c, sm_clock_hz : float or None
        Of the chip and its processors; None where the driver does not tell.
    """

    reasons: tuple[str, ...] = ()
    unknown: str | None = None
    temperature_c: float | None = None
    sm_clock_hz: float | None = None


def gpu_state(index: int = 0) -> GpuState:
    """Return the state of one GPU through NVML; where that does not work, with the reason."""
    try:
        import pynvml
    except ImportError:
        return GpuState(unknown="nvidia-ml-py is not installed (extra 'cuda')")
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        mask = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    except pynvml.NVMLError as error:
        return GpuState(unknown=f"NVML says {error}")

    def figure(name: str, kind: int) -> float | None:
        """Return what may be missing without harm: it explains, and decides nothing."""
        try:
            return float(getattr(pynvml, name)(handle, kind))
        except pynvml.NVMLError:
            return None

    megahertz = figure("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)
    return GpuState(
        reasons=tuple(text for bit, text in _REASONS.items() if mask & bit),
        temperature_c=figure("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
        sm_clock_hz=None if megahertz is None else 1e6 * megahertz,
    )
