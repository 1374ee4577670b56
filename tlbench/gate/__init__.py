"""Gate: a saved run held against a baseline by a policy. Nothing here measures."""

from tlbench.gate.baseline import make_baseline
from tlbench.gate.judge import judge_run
from tlbench.gate.policy import Policy, read_policy

__all__ = ["Policy", "judge_run", "make_baseline", "read_policy"]
