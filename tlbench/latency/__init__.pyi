from .energy import EnergyCounter, nvml_counter, rapl_counter
from .interleave import Block, Turns, alternate, block_medians, join_blocks, time_block
from .isolate import run_isolated
from .sensors import (
    GpuState,
    MachineSamples,
    MachineSensors,
    Reading,
    SystemSensors,
    gpu_state,
    watch,
    watch_each,
)
from .server import Served, find_highest_rate, serve
from .timing import (
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
from .validity import ORDERED, CheckInputs, looks_steady, reasons_of, run_checks

__all__ = [
    "ORDERED",
    "Block",
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
    "join_blocks",
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
    "time_block",
    "watch",
    "watch_each",
]
