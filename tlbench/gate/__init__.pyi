from .baseline import make_baseline
from .judge import judge_run
from .policy import AccuracyPolicy, DriftPolicy, LatencyPolicy, Policy, read_policy

__all__ = [
    "AccuracyPolicy",
    "DriftPolicy",
    "LatencyPolicy",
    "Policy",
    "judge_run",
    "make_baseline",
    "read_policy",
]
