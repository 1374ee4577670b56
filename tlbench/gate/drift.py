"""Drift rule: how far the features may be from those of a reference."""

from tlbench.gate.policy import DriftPolicy
from tlbench.records import BaselineDrift, GateCheck

# A conversion is no measurement that a run could have left out: an fp32 model has none.
_CONVERSION = "conversion to "


def judge_drifts(
    found: tuple[BaselineDrift, ...], baseline: tuple[BaselineDrift, ...], policy: DriftPolicy
) -> list[GateCheck]:
    """Judge every drift that the run knows, and miss those that only the baseline knows.

    Parameters
    ----------
    found, baseline : tuple of BaselineDrift
        Of the run, and of the baseline.
    policy : DriftPolicy
    """
    if not policy.judge:
        return []
    before = {one.name: one.smallest_cosine for one in baseline}
    checks = []
    for one in found:
        passed = one.smallest_cosine >= policy.smallest_cosine
        was = f" (baseline {before[one.name]:.4f})" if one.name in before else ""
        text = f"{one.smallest_cosine:.4f}{was}; at least {policy.smallest_cosine:g}"
        checks.append(
            GateCheck(
                rule="smallest cosine",
                subject=one.name,
                outcome="pass" if passed else "fail",
                text=text,
            )
        )
    known = {one.name for one in found}
    checks += [
        GateCheck(
            rule="present",
            subject=one.name,
            outcome="fail",
            text=f"in the baseline, not in the run, which has: {', '.join(known) or 'none'}",
        )
        for one in baseline
        if one.name not in known and not one.name.startswith(_CONVERSION)
    ]
    return checks
