"""Time any callable and check the timing. This package knows nothing of ONNX."""

from tlbench.latency.alternate import Turns, alternate, block_medians
from tlbench.latency.energy import EnergyCounter, nvml_counter, rapl_counter
from tlbench.latency.isolate import run_isolated
from tlbench.latency.measure import (
    Clock,
    Sampler,
    StoppingRule,
    SystemClock,
    Timing,
    measure,
    summarise_median,
    summarise_percentiles,
    tick_s,
)
from tlbench.latency.sensors import (
    GpuState,
    MachineSamples,
    MachineSensors,
    Reading,
    SystemSensors,
    gpu_state,
    watch,
    watch_each,
)
from tlbench.latency.server import Served, find_highest_rate, serve
from tlbench.latency.validity import ORDERED, CheckInputs, looks_steady, reasons_of, run_checks

__all__ = [
    "ORDERED",
    "CheckInputs",
    "Clock",
    "EnergyCounter",
    "GpuState",
    "MachineSamples",
    "MachineSensors",
    "Reading",
    "Sampler",
    "Served",
    "StoppingRule",
    "SystemClock",
    "SystemSensors",
    "Timing",
    "Turns",
    "alternate",
    "block_medians",
    "find_highest_rate",
    "gpu_state",
    "looks_steady",
    "measure",
    "nvml_counter",
    "rapl_counter",
    "reasons_of",
    "run_checks",
    "run_isolated",
    "serve",
    "summarise_median",
    "summarise_percentiles",
    "tick_s",
    "watch",
    "watch_each",
]
