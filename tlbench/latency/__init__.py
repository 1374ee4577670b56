"""Time any callable, and judge the timing. Nothing here knows of ONNX."""

from tlbench.latency.alternate import Turns, alternate, block_medians
from tlbench.latency.clock import Clock, SystemClock, tick_s
from tlbench.latency.energy import EnergyCounter, nvml_counter, rapl_counter
from tlbench.latency.evidence import Evidence
from tlbench.latency.isolate import run_isolated
from tlbench.latency.machine import Machine, Observed, Reading, SystemMachine, watch, watch_each
from tlbench.latency.measure import Plan, Sampler, Timing, measure
from tlbench.latency.server import Served, find_peak, serve
from tlbench.latency.steady import ORDERED, looks_steady
from tlbench.latency.summary import REPORTED, summarise_median, summarise_percentiles
from tlbench.latency.throttle import GpuState, gpu_state
from tlbench.latency.validity import judge, reasons_of

__all__ = [
    "ORDERED",
    "REPORTED",
    "Clock",
    "EnergyCounter",
    "Evidence",
    "GpuState",
    "Machine",
    "Observed",
    "Plan",
    "Reading",
    "Sampler",
    "Served",
    "SystemClock",
    "SystemMachine",
    "Timing",
    "Turns",
    "alternate",
    "block_medians",
    "find_peak",
    "gpu_state",
    "judge",
    "looks_steady",
    "measure",
    "nvml_counter",
    "rapl_counter",
    "reasons_of",
    "run_isolated",
    "serve",
    "summarise_median",
    "summarise_percentiles",
    "tick_s",
    "watch",
    "watch_each",
]
