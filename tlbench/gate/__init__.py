"""Gate: a saved run judged against a baseline by a policy. Nothing here measures."""

from tlbench.gate.baseline import make_baseline
from tlbench.gate.judge import judge_run
from tlbench.gate.policy import (
    AccuracyPolicy,
    DriftPolicy,
    LatencyPolicy,
    Policy,
    read_policy,
)

__all__ = [
    "AccuracyPolicy",
    "DriftPolicy",
    "LatencyPolicy",
    "Policy",
    "judge_run",
    "make_baseline",
    "read_policy",
]
