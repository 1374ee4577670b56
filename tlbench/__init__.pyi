from .api import (
    Comparison,
    LoadedBackbone,
    Run,
    Verdict,
    check_gate,
    compare_runs,
    evaluate,
    export,
    extract,
    load_backbone,
    load_run,
    measure_latency,
    run,
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
    "Run",
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
    "measure_latency",
    "run",
    "train",
    "write_report",
]
