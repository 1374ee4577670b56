from .backbone import LoadedBackbone, load_backbone
from .export import export
from .measure import evaluate, extract, measure, measure_latency, run
from .results import Comparison, Results, Run, Verdict
from .saved import check_gate, compare_runs, load_run, write_report
from .train import train

__all__ = [
    "Comparison",
    "LoadedBackbone",
    "Results",
    "Run",
    "Verdict",
    "check_gate",
    "compare_runs",
    "evaluate",
    "export",
    "extract",
    "load_backbone",
    "load_run",
    "measure",
    "measure_latency",
    "run",
    "train",
    "write_report",
]
