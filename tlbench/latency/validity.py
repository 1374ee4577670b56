"""Whether to believe a timing: every check with its value, its limit, and what to do.

The limits are choices; each states what it is based on. A check that cannot be made is ``unknown``
and never passes silently.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high

from tlbench.core.units import format_percent, format_seconds
from tlbench.latency.disturbance import (
    clock_speed,
    cpu_quota,
    decide,
    gpu_clock,
    more_or_less,
    other_load,
    unknown,
)
from tlbench.latency.sensors import MachineSamples
from tlbench.records import Check
from tlbench.stats import autocorrelation, samples_needed, trend

# At a significance of 0.1 % no order of fewer samples is a trend.
ORDERED = 12
# A sample must last so many ticks of the clock: quantisation then stays below one percent.
TICKS = 100
# A repeated input may be faster because of the processor's caches, but not by this much.
REPEATED = 0.80
# Winograd convolutions need 2.25 times fewer multiplications than the graph's arithmetic has.
ARITHMETIC = 2.5


@dataclass(slots=True, kw_only=True)
class CheckInputs(MachineSamples):
    """What is known about a timing besides its samples; None for what is not known."""

    tick_s: float  # smallest step of the clock
    repeated_ratio: float | None = None  # median time of one repeated input over changing inputs
    inputs_change: bool = True  # from call to call in the timing
    batch_size: int = 1  # images that went into one call
    n_outputs: int = 1  # rows that came out
    elsewhere: tuple[str, ...] = ()  # operators that ran on another provider than the requested
    macs_per_s: float | None = None  # arithmetic of the graph times the throughput
    ceiling_macs_per_s: float | None = None  # arithmetic ceiling of the machine
    independent: bool = True  # False if requests wait for one another: then their order matters
    complete: bool = True  # False after Ctrl-C


def run_checks(samples_s: Sequence[float], check_inputs: CheckInputs) -> tuple[Check, ...]:
    """Check a timing; the most decisive check comes first, one that cannot be made is unknown."""
    return (
        _finished(check_inputs),
        _samples(samples_s),
        other_load(check_inputs),
        *((cpu_quota(check_inputs),) if _has_quota(check_inputs) else ()),
        clock_speed(samples_s, check_inputs),
        *((gpu_clock(check_inputs),) if check_inputs.gpu else ()),
        *((_trend(samples_s), _autocorrelation(samples_s)) if check_inputs.independent else ()),
        _timer(samples_s, check_inputs),
        _batch(check_inputs),
        _placement(check_inputs),
        _caching(check_inputs),
        _arithmetic(check_inputs),
    )


def _has_quota(check_inputs: CheckInputs) -> bool:
    # A quota above the cgroups that a container sees shows in the counters alone.
    return check_inputs.cpu_quota is not None or bool(check_inputs.throttled_cpus)


def reasons_of(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return why a timing is INVALID: the texts of the checks that failed."""
    return tuple(check.text for check in checks if check.outcome == "fail")


def looks_steady(samples_s: Sequence[float]) -> bool:
    """Return whether the samples have no trend and enough effective samples for a median."""
    # Slow and fast phases of a shared machine look like a trend or few samples at first.
    if len(samples_s) < ORDERED:
        return True  # too few to tell; the checks report it as unknown
    series = autocorrelation(samples_s)
    effective = len(samples_s) / (series.inflation if series.detected else 1.0)
    return effective >= samples_needed(0.5) and not trend(samples_s).detected


def _finished(check_inputs: CheckInputs) -> Check:
    if check_inputs.complete:
        return Check(name="finished", outcome="pass", text="the measurement ran to its end")
    text = "interrupted before its end: measure again"
    return Check(name="finished", outcome="fail", text=text)


def _samples(samples_s: Sequence[float]) -> Check:
    found, needed = len(samples_s), samples_needed(0.5)
    failed = f"{found} samples are too few for a median, which needs {needed}: raise max_duration_s"
    return decide("samples", found < needed, found, needed, failed, f"{found} samples")


def _trend(samples_s: Sequence[float]) -> Check:
    if len(samples_s) < ORDERED:
        return unknown("trend", f"needs at least {ORDERED} samples, got {len(samples_s)}")
    if min(samples_s) <= 0:
        return unknown("trend", "some calls took no time that the clock shows")
    found = trend(samples_s)
    change = found.half_change_fraction
    passed = f"second half compared with the first: {format_percent(change)}"
    failed = (
        f"trend: the second half took {more_or_less(change)} time than the first (fitted slope "
        f"{format_percent(found.slope_fraction)} over the run); warm up or measure longer"
    )
    return decide("trend", found.detected, change, 0.05, failed, passed)


def _autocorrelation(samples_s: Sequence[float]) -> Check:
    """Check for autocorrelation: a failure only if too few effective samples are left."""
    name, n_samples = "autocorrelation", len(samples_s)
    if n_samples < ORDERED:
        return unknown(name, f"needs at least {ORDERED} samples, got {n_samples}")
    found = autocorrelation(samples_s)
    value, limit = found.lag1, found.threshold
    if not found.detected:
        text = f"neighbouring samples are independent (rank correlation {value:.2f})"
        return Check(name=name, outcome="pass", value=value, limit=limit, text=text)
    effective, needed = n_samples / found.inflation, samples_needed(0.5)
    text = f"autocorrelated samples (effective n {effective:.0f} of {n_samples})"
    if effective < needed:
        text += f"; a median needs {needed}: measure longer (min_duration_s)"
        return Check(name=name, outcome="fail", value=value, limit=limit, text=text)
    text += "; interval widened"
    return Check(name=name, outcome="note", value=value, limit=limit, text=text)


def _timer(samples_s: Sequence[float], check_inputs: CheckInputs) -> Check:
    tick_s = check_inputs.tick_s
    # The infinite tick of a clock that never moved cannot be formatted as seconds.
    step = "which was never seen to move" if math.isinf(tick_s) else format_seconds(tick_s)
    ticks = median_high(samples_s) / tick_s if tick_s else 0.0
    failed = f"timer too coarse: a call lasts {ticks:.0f} clock ticks ({step}); use a larger batch"
    passed = f"a call lasts {ticks:,.0f} clock ticks"
    return decide("timer", ticks < TICKS, ticks, TICKS, failed, passed)


def _batch(check_inputs: CheckInputs) -> Check:
    size, rows = check_inputs.batch_size, check_inputs.n_outputs
    failed = (
        f"{size} images went in and {rows} rows came out: the effective batch size is not the "
        "requested one, so images/s would be wrong"
    )
    return decide("batch", rows != size, rows, size, failed, f"{rows} rows for {size} images")


def _placement(check_inputs: CheckInputs) -> Check:
    if not check_inputs.elsewhere:
        text = "all operators ran on the requested provider"
        return Check(name="placement", outcome="pass", text=text)
    # Operators that carry the arithmetic were refused when the session was opened.
    text = f"{', '.join(check_inputs.elsewhere)} ran on another provider: data may cross the bus"
    return Check(name="placement", outcome="note", text=text)


def _caching(check_inputs: CheckInputs) -> Check:
    ratio = check_inputs.repeated_ratio
    if ratio is None:
        changed = "the input changed with every call"
        why = changed if check_inputs.inputs_change else "a captured graph was given a single input"
        return unknown("caching", f"not checked: {why}")
    text = f"a repeated input takes {ratio:.2f} of the time of changing inputs"
    failed = f"result caching: {text}; turn the cache off"
    return decide("caching", ratio < REPEATED, ratio, REPEATED, failed, text)


def _arithmetic(check_inputs: CheckInputs) -> Check:
    if check_inputs.macs_per_s is None or not check_inputs.ceiling_macs_per_s:
        text = "the graph's arithmetic or the machine's arithmetic ceiling is not known"
        return unknown("arithmetic", text)
    share = check_inputs.macs_per_s / check_inputs.ceiling_macs_per_s
    passed = f"{format_percent(share)} of the arithmetic ceiling measured on this machine"
    failed = (
        f"impossible: {share:.1f} times the arithmetic ceiling measured on this machine; the model "
        "cannot have run as the file describes it"
    )
    return decide("arithmetic", share > ARITHMETIC, share, ARITHMETIC, failed, passed)
