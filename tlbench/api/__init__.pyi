from .backbone import LoadedBackbone, load_backbone
from .export import export
from .measure import evaluate, extract, measure, measure_latency, run
from .results import Comparison, Results, Run, Verdict
from .saved import check_gate, compare_runs, load_run, write_report
from .sweeps import Pick, Sweep, load_sweep, measure_sweep, sweep
from .train import train

__all__ = [
    "Comparison",
    "LoadedBackbone",
    "Pick",
    "Results",
    "Run",
    "Sweep",
    "Verdict",
    "check_gate",
    "compare_runs",
    "evaluate",
    "export",
    "extract",
    "load_backbone",
    "load_run",
    "load_sweep",
    "measure",
    "measure_latency",
    "measure_sweep",
    "run",
    "sweep",
    "train",
    "write_report",
]
