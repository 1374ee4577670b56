"""Time any callable, and run_checks the timing. Nothing here knows of ONNX."""

from tlbench.latency.alternate import Turns, alternate, block_medians
from tlbench.latency.check_inputs import CheckInputs
from tlbench.latency.clock import Clock, SystemClock, tick_s
from tlbench.latency.energy import EnergyCounter, nvml_counter, rapl_counter
from tlbench.latency.isolate import run_isolated
from tlbench.latency.machine import (
    MachineSamples,
    MachineSensors,
    Reading,
    SystemSensors,
    watch,
    watch_each,
)
from tlbench.latency.measure import Sampler, StoppingRule, Timing, measure
from tlbench.latency.server import Served, find_peak, serve
from tlbench.latency.steady import ORDERED, looks_steady
from tlbench.latency.summary import REPORTED, summarise_median, summarise_percentiles
from tlbench.latency.throttle import GpuState, gpu_state
from tlbench.latency.validity import reasons_of, run_checks

__all__ = [
    "ORDERED",
    "REPORTED",
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
    "find_peak",
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
