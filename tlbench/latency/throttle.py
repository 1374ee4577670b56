"""Why an NVIDIA GPU is clocked down at this moment, as its driver gives it."""

__all__ = ["throttle_reasons"]

# Bits of nvmlClocksEventReasons that slow a measurement; "idle" and clocks set by hand do not.
_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
}


def throttle_reasons(index: int = 0) -> tuple[str, ...]:
    """Return the reasons of one GPU; empty where it is not clocked down or NVML is absent."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        mask = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    except pynvml.NVMLError:
        return ()
    return tuple(text for bit, text in _REASONS.items() if mask & bit)
