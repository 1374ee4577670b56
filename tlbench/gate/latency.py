"""Latency rule: a ratio with its interval, between like machines and like timings only."""

from dataclasses import fields

from tlbench.core.units import format_factor, format_seconds
from tlbench.gate.baseline import timing_summary
from tlbench.gate.policy import LatencyPolicy
from tlbench.records import BaselineTiming, GateCheck, GatedTiming, Interval, LatencyResult, Machine

_RULE = "latency"
# In which two timings of like machines must be alike. The precision may differ: whether a
# conversion is slower is what a gate asks.
_ALIKE = ("provider", "threads", "input_shape", "pause_s", "load")


def judge_latency(
    timings: tuple[LatencyResult, ...],
    machine: Machine,
    baseline: tuple[BaselineTiming, ...],
    baseline_machine: Machine,
    policy: LatencyPolicy,
) -> tuple[list[GatedTiming], list[GateCheck]]:
    """Judge every timing of the baseline; return figures and checks.

    Parameters
    ----------
    timings, machine
        Of the run.
    baseline, baseline_machine
        Of the baseline.

    Notes
    -----
    The interval of the ratio joins those of both medians after Bonferroni, as `tlbench compare`
    does. It covers the noise within each run, not that between days: hence the wide default.
    """
    figures: list[GatedTiming] = []
    checks: list[GateCheck] = []
    if not policy.judge:
        return figures, checks
    found = {_what(summary): summary for summary in map(timing_summary, timings)}
    unlike_machine = _differences(baseline_machine, machine, [f.name for f in fields(Machine)])
    for one in baseline:
        name, two = name_of(one), found.get(_what(one))
        if two is None:
            known = ", ".join(map(name_of, found.values())) or "none"
            text = f"in the baseline, not in the run, which has: {known}"
            checks.append(GateCheck(rule="present", subject=name, outcome="fail", text=text))
            continue
        figure = _figure(name, one, two)
        reason = _why_not(one, two, figure, unlike_machine)
        if reason is None:
            figures.append(figure)
            checks.append(_judged(figure, policy))
        else:
            text = f"not judged: {reason}"
            check = GateCheck(rule=_RULE, subject=name, outcome=policy.not_judged, text=text)
            checks.append(check)
    return figures, checks


def name_of(one: BaselineTiming) -> str:
    """Return ``single batch 1``, with the boundary where that is not the common one."""
    place = "" if one.boundary == "numpy->numpy" else f" {one.boundary}"
    return f"{one.scenario} batch {one.batch_size}{place}"


def _what(one: BaselineTiming) -> tuple[str, int, str]:
    return one.scenario, one.batch_size, one.boundary


def _differences(one: object, two: object, names: list[str] | tuple[str, ...]) -> str | None:
    found = [
        f"{name} {getattr(one, name)} against {getattr(two, name)}"
        for name in names
        if getattr(one, name) != getattr(two, name)
    ]
    return "; ".join(found) or None


def _why_not(
    one: BaselineTiming, two: BaselineTiming, figure: GatedTiming, unlike_machine: str | None
) -> str | None:
    """Return why two timings cannot be held against one another, the baseline's fact first."""
    if unlike_machine:
        return f"another machine ({unlike_machine})"
    if differences := _differences(one, two, _ALIKE):
        return differences
    for whose, timing in (("baseline", one), ("run", two)):
        if timing.verdict == "INVALID":
            return f"the timing of the {whose} is INVALID"
    if figure.interval is None:
        return "too few independent samples for an interval, or a queue"
    return None


def _figure(name: str, one: BaselineTiming, two: BaselineTiming) -> GatedTiming:
    low, high = one.median_interval, two.median_interval
    interval = None
    if low is not None and high is not None:
        interval = Interval(
            low=high.low / low.high,
            high=high.high / low.low,
            # Each end may be missed as often as its median's: Bonferroni.
            confidence_fraction=low.confidence_fraction + high.confidence_fraction - 1,
            method="order statistics of both medians, combined after Bonferroni",
        )
    return GatedTiming(
        name=name,
        baseline_s=one.median_s,
        run_s=two.median_s,
        ratio=two.median_s / one.median_s,
        interval=interval,
    )


def _judged(figure: GatedTiming, policy: LatencyPolicy) -> GateCheck:
    assert figure.interval is not None
    low, high = format_factor(figure.interval.low), format_factor(figure.interval.high)
    text = (
        f"{format_seconds(figure.run_s)} against {format_seconds(figure.baseline_s)}: "
        f"{format_factor(figure.ratio)} times [{low}, {high}]; fails wholly above "
        f"{policy.max_ratio:g}"
    )
    passed = figure.interval.low <= policy.max_ratio
    return GateCheck(
        rule=_RULE, subject=figure.name, outcome="pass" if passed else "fail", text=text
    )
