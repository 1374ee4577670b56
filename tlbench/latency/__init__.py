"""Time any callable. Nothing here knows of ONNX."""

from tlbench.latency.clock import Clock, SystemClock
from tlbench.latency.measure import Plan, Timing, measure
from tlbench.latency.summary import REPORTED, summarise_percentiles

__all__ = [
    "REPORTED",
    "Clock",
    "Plan",
    "SystemClock",
    "Timing",
    "measure",
    "summarise_percentiles",
]
