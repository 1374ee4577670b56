"""Whether to believe a timing: every check with its figure, its bound, and what to do.

The bounds are choices; each says here what it rests on. A check that cannot be made is ``unknown``
and never passes in silence.
"""

import math
from collections.abc import Sequence

from tlbench.core.units import format_percent, format_seconds
from tlbench.latency.check_inputs import CheckInputs
from tlbench.latency.checks import decide, more_or_less, unknown
from tlbench.latency.disturbance import clock_speed, gpu_clock, other_load
from tlbench.latency.steady import ORDERED
from tlbench.records import Check
from tlbench.stats import autocorrelation, samples_needed, trend

# A sample must last so many ticks of the clock: quantisation then stays below one percent.
TICKS = 100
# The same input again and again may be faster by the processor's caches alone, not by so much.
REPEATED = 0.80
# Winograd convolutions do with 2.25 times fewer multiplications than the graph's arithmetic has.
ARITHMETIC = 2.5


def run_checks(samples_s: Sequence[float], check_inputs: CheckInputs) -> tuple[Check, ...]:
    """Return all checks of a timing, those that decide most first."""
    checks = [
        _finished(check_inputs),
        _samples(samples_s),
        other_load(check_inputs),
        clock_speed(samples_s, check_inputs),
        *((gpu_clock(check_inputs),) if check_inputs.gpu else ()),
        *((_drift(samples_s), _autocorrelation(samples_s)) if check_inputs.independent else ()),
        _timer(samples_s, check_inputs),
        _batch(check_inputs),
        _placement(check_inputs),
        _caching(check_inputs),
        _arithmetic(check_inputs),
    ]
    return tuple(checks)


def reasons_of(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return why a timing is INVALID: the texts of the checks that failed."""
    return tuple(check.text for check in checks if check.outcome == "fail")


def _finished(check_inputs: CheckInputs) -> Check:
    if check_inputs.complete:
        return Check(name="finished", outcome="pass", text="the measurement ran to its end")
    text = "interrupted before its end: measure again"
    return Check(name="finished", outcome="fail", text=text)


def _samples(samples_s: Sequence[float]) -> Check:
    found, needed = len(samples_s), samples_needed(0.5)
    return decide(
        "samples",
        found < needed,
        found,
        needed,
        f"{found} samples are too few for a median, which needs {needed}: raise --max-duration",
        f"{found} samples",
    )


def _drift(samples_s: Sequence[float]) -> Check:
    if len(samples_s) < ORDERED:
        return unknown("drift", f"{len(samples_s)} samples are too few to tell, {ORDERED} do")
    if min(samples_s) <= 0:
        return unknown("drift", "some calls took no time that the clock shows")
    found = trend(samples_s)
    change = found.half_change_fraction
    return decide(
        "drift",
        found.detected,
        change,
        0.05,
        f"drift: the second half took {more_or_less(change)} time than the first, the trend is "
        f"{format_percent(found.slope_fraction)} over the run; warm up or measure longer",
        f"second half against first: {format_percent(change)}",
    )


def _autocorrelation(samples_s: Sequence[float]) -> Check:
    """Neighbours that resemble one another carry less information; the interval is widened.

    It is no failure by itself: slow phases are part of what a user gets. Without enough
    independent samples left for a median it is one.
    """
    if len(samples_s) < ORDERED:
        text = f"{len(samples_s)} samples are too few to tell, {ORDERED} do"
        return unknown("autocorrelation", text)
    found = autocorrelation(samples_s)
    effective, needed = len(samples_s) / found.inflation, samples_needed(0.5)
    if not found.detected:
        text = f"neighbouring samples are independent (rank correlation {found.lag1:.2f})"
        outcome = "pass"
    elif effective < needed:
        text = (
            f"slow and fast phases: {len(samples_s)} samples are worth only {effective:.0f} "
            f"independent ones, a median needs {needed}: measure longer (--min-duration)"
        )
        outcome = "fail"
    else:
        text = (
            f"slow and fast phases: {len(samples_s)} samples are worth {effective:.0f} independent "
            "ones; the interval is wider for it"
        )
        outcome = "note"
    return Check(
        name="autocorrelation",
        outcome=outcome,  # type: ignore[arg-type]
        value=found.lag1,
        limit=found.threshold,
        text=text,
    )


def _timer(samples_s: Sequence[float], check_inputs: CheckInputs) -> Check:
    # The infinite tick of a clock that was never seen to move cannot be written as seconds.
    coarse = (
        "never seen to move"
        if math.isinf(check_inputs.tick_s)
        else format_seconds(check_inputs.tick_s)
    )
    ticks = (
        sorted(samples_s)[len(samples_s) // 2] / check_inputs.tick_s if check_inputs.tick_s else 0.0
    )
    return decide(
        "timer",
        ticks < TICKS,
        ticks,
        TICKS,
        f"timer too coarse: a call lasts {ticks:.0f} ticks of the clock "
        f"({coarse}); use a larger batch",
        f"a call lasts {ticks:,.0f} ticks of the clock",
    )


def _batch(check_inputs: CheckInputs) -> Check:
    return decide(
        "batch",
        check_inputs.n_outputs != check_inputs.batch_size,
        check_inputs.n_outputs,
        check_inputs.batch_size,
        f"{check_inputs.batch_size} images went in and {check_inputs.n_outputs} rows came out: the "
        "effective batch is not the one asked for, so images/s would be wrong",
        f"{check_inputs.n_outputs} rows for {check_inputs.batch_size} images",
    )


def _placement(check_inputs: CheckInputs) -> Check:
    if not check_inputs.elsewhere:
        return Check(name="placement", outcome="pass", text="all operators ran where asked for")
    # Those that carry the arithmetic were refused when the session was opened.
    text = f"{', '.join(check_inputs.elsewhere)} ran on another provider: data may cross the bus"
    return Check(name="placement", outcome="note", text=text)


def _caching(check_inputs: CheckInputs) -> Check:
    ratio = check_inputs.repeated_ratio
    if ratio is None:
        if check_inputs.inputs_change:
            return unknown("caching", "not looked at: inputs changed from call to call")
        return unknown("caching", "not looked at: a captured graph was given one input only")
    return decide(
        "caching",
        ratio < REPEATED,
        ratio,
        REPEATED,
        f"result caching: one input again and again takes {ratio:.2f} of the time of changing "
        "ones; turn the cache off",
        f"one input again and again takes {ratio:.2f} of the time of changing ones",
    )


def _arithmetic(check_inputs: CheckInputs) -> Check:
    if check_inputs.macs_per_s is None or not check_inputs.ceiling_macs_per_s:
        return unknown("arithmetic", "the graph's arithmetic or the machine's peak is not known")
    share = check_inputs.macs_per_s / check_inputs.ceiling_macs_per_s
    return decide(
        "arithmetic",
        share > ARITHMETIC,
        share,
        ARITHMETIC,
        f"impossible: {share:.1f} times the arithmetic that this machine was seen to do; the model "
        "cannot have run as it stands in the file",
        f"{format_percent(share)} of the machine's measured arithmetic",
    )
