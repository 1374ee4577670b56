from .api import (
    Comparison,
    LoadedBackbone,
    Pick,
    Run,
    Sweep,
    Verdict,
    check_gate,
    compare_runs,
    evaluate,
    export,
    extract,
    load_backbone,
    load_run,
    load_sweep,
    measure_latency,
    run,
    sweep,
    train,
    write_report,
)
from .core.errors import TlbenchError
from .datasets import Dataset

__version__: str
_telemetry_is_on: bool

__all__ = [
    "Comparison",
    "Dataset",
    "LoadedBackbone",
    "Pick",
    "Run",
    "Sweep",
    "TlbenchError",
    "Verdict",
    "__version__",
    "check_gate",
    "compare_runs",
    "evaluate",
    "export",
    "extract",
    "load_backbone",
    "load_run",
    "load_sweep",
    "measure_latency",
    "run",
    "sweep",
    "train",
    "write_report",
]
