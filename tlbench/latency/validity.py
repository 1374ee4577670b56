"""Whether to believe a timing: every check with its figure, its bound, and what to do.

The bounds are choices; each says here what it rests on. A check that cannot be made is ``unknown``
and never passes in silence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tlbench.latency.steady import ORDERED
from tlbench.results.records import Check
from tlbench.stats import autocorrelation, samples_needed, trend
from tlbench.units import format_percent, format_seconds

__all__ = ["Evidence", "judge", "reasons_of"]

# A sample must last so many ticks of the clock: quantisation then stays below one percent.
TICKS = 100
# Processors kept busy by others, as a share of those this process may use. An idle machine's own
# housekeeping was seen at 0.5 to 2 %; one other busy process on two processors is 50 %.
OTHER_LOAD = 0.05
# A fixed piece of arithmetic, fastest of several laps, before and after. Turbo steps are
# 3 to 5 %; on a shared virtual machine the figure itself was seen to move by 20 %.
SLOWDOWN = 0.25
# The samples show a change of speed when their halves differ by so much, in the same direction.
SHOWN = 0.05
# The same input again and again may be faster by the processor's caches alone, not by so much.
REPEATED = 0.80
# Winograd convolutions do with 2.25 times fewer multiplications than the graph's arithmetic has.
ARITHMETIC = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known about a timing besides its samples; None where it is not known.

    Attributes
    ----------
    tick_s : float
        Smallest step of the clock.
    cpus, other_cpus, slowdown, throttle_reasons
        See `tlbench.latency.machine.Observed`.
    repeated_ratio : float or None
        Median time with one input again and again, over that with changing inputs.
    batch_size, n_answers : int
        Images that went in, and rows that came out of one call.
    elsewhere : tuple of str
        Operators that ran on another provider than the one asked for.
    macs_per_s, peak_macs_per_s : float or None
        Arithmetic of the graph times the throughput, and the most that the machine was seen to do.
    independent : bool
        Whether the order of the samples should not matter. It does for a server's: requests wait
        for one another.
    complete : bool
        False after Ctrl-C.
    """

    tick_s: float
    cpus: int
    other_cpus: float | None
    slowdown: float
    throttle_reasons: tuple[str, ...] = ()
    repeated_ratio: float | None = None
    batch_size: int = 1
    n_answers: int = 1
    elsewhere: tuple[str, ...] = ()
    macs_per_s: float | None = None
    peak_macs_per_s: float | None = None
    independent: bool = True
    complete: bool = True


def judge(samples_s: Sequence[float], evidence: Evidence) -> tuple[Check, ...]:
    """Return all checks of a timing, those that decide most first."""
    checks = [
        _finished(evidence),
        _samples(samples_s),
        _other_load(evidence),
        _clock_speed(samples_s, evidence),
        *((_drift(samples_s), _autocorrelation(samples_s)) if evidence.independent else ()),
        _timer(samples_s, evidence),
        _batch(evidence),
        _placement(evidence),
        _caching(evidence),
        _arithmetic(evidence),
    ]
    return tuple(checks)


def reasons_of(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return why a timing is INVALID: the texts of the checks that failed."""
    return tuple(check.text for check in checks if check.outcome == "fail")


def _check(  # noqa: PLR0917 - the columns of a table
    name: str,
    failed: bool,  # noqa: FBT001 - the condition, written out at each call
    value: float,
    limit: float,
    text: str,
    passed: str,
) -> Check:
    outcome, words = ("fail", text) if failed else ("pass", passed)
    return Check(name=name, outcome=outcome, value=value, limit=limit, text=words)  # type: ignore[arg-type]


def _unknown(name: str, why: str) -> Check:
    return Check(name=name, outcome="unknown", text=why)


def _change(fraction: float) -> str:
    return f"{format_percent(abs(fraction))} {'more' if fraction > 0 else 'less'}"


def _finished(evidence: Evidence) -> Check:
    if evidence.complete:
        return Check(name="finished", outcome="pass", text="the measurement ran to its end")
    text = "interrupted before its end: measure again"
    return Check(name="finished", outcome="fail", text=text)


def _samples(samples_s: Sequence[float]) -> Check:
    found, needed = len(samples_s), samples_needed(0.5)
    return _check(
        "samples",
        found < needed,
        found,
        needed,
        f"{found} samples are too few for a median, which needs {needed}: raise --max-duration",
        f"{found} samples",
    )


def _other_load(evidence: Evidence) -> Check:
    if evidence.other_cpus is None:
        return _unknown("other load", "this machine does not tell what else runs on it")
    share, limit = evidence.other_cpus / evidence.cpus, OTHER_LOAD
    return _check(
        "other load",
        share > limit,
        share,
        limit,
        f"other load on the machine: others kept {evidence.other_cpus:.2f} of {evidence.cpus} "
        "processors busy; stop them and measure again",
        f"others kept {evidence.other_cpus:.2f} of {evidence.cpus} processors busy",
    )


def _clock_speed(samples_s: Sequence[float], evidence: Evidence) -> Check:
    """Judge the machine's speed at the two ends by what the samples between them show of it.

    A neighbour on the host can slow either end alone, and then the samples know nothing of it.
    """
    if evidence.throttle_reasons:
        reasons = ", ".join(evidence.throttle_reasons)
        text = f"the accelerator was clocked down ({reasons}): cool it or lock its clocks"
        return Check(name="clock speed", outcome="fail", text=text)
    if evidence.other_cpus is not None and evidence.other_cpus / evidence.cpus > OTHER_LOAD:
        return _unknown("clock speed", "cannot be told beside other load on the machine")
    change = evidence.slowdown - 1
    text = f"the same arithmetic took {_change(change)} time after the measurement than before it"
    outcome = "pass"
    if abs(change) > SLOWDOWN:
        half = len(samples_s) // 2
        shown = median(samples_s[half:]) / median(samples_s[:half] or samples_s) - 1
        if shown * change > 0 and abs(shown) >= SHOWN:
            outcome = "fail"
            text += (
                f", and the second half of the calls {_change(shown)} (heat, power or clock): let "
                "the machine settle and measure again"
            )
        else:
            outcome = "note"
            text += ", which the calls do not show"
    return Check(
        name="clock speed",
        outcome=outcome,  # type: ignore[arg-type]
        value=change,
        limit=SLOWDOWN,
        text=text,
    )


def _drift(samples_s: Sequence[float]) -> Check:
    if len(samples_s) < ORDERED:
        return _unknown("drift", f"{len(samples_s)} samples are too few to tell, {ORDERED} do")
    if min(samples_s) <= 0:
        return _unknown("drift", "some calls took no time that the clock shows")
    found = trend(samples_s)
    change = found.half_change_fraction
    return _check(
        "drift",
        found.detected,
        change,
        0.05,
        f"drift: the second half took {_change(change)} time than the first, the trend is "
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
        return _unknown("autocorrelation", text)
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


def _timer(samples_s: Sequence[float], evidence: Evidence) -> Check:
    # The infinite tick of a clock that was never seen to move cannot be written as seconds.
    coarse = (
        "never seen to move" if math.isinf(evidence.tick_s) else format_seconds(evidence.tick_s)
    )
    ticks = sorted(samples_s)[len(samples_s) // 2] / evidence.tick_s if evidence.tick_s else 0.0
    return _check(
        "timer",
        ticks < TICKS,
        ticks,
        TICKS,
        f"timer too coarse: a call lasts {ticks:.0f} ticks of the clock "
        f"({coarse}); use a larger batch",
        f"a call lasts {ticks:,.0f} ticks of the clock",
    )


def _batch(evidence: Evidence) -> Check:
    return _check(
        "batch",
        evidence.n_answers != evidence.batch_size,
        evidence.n_answers,
        evidence.batch_size,
        f"{evidence.batch_size} images went in and {evidence.n_answers} rows came out: the "
        "effective batch is not the one asked for, so images/s would be wrong",
        f"{evidence.n_answers} rows for {evidence.batch_size} images",
    )


def _placement(evidence: Evidence) -> Check:
    if not evidence.elsewhere:
        return Check(name="placement", outcome="pass", text="all operators ran where asked for")
    # Those that carry the arithmetic were refused when the session was opened.
    text = f"{', '.join(evidence.elsewhere)} ran on another provider: data may cross the bus"
    return Check(name="placement", outcome="note", text=text)


def _caching(evidence: Evidence) -> Check:
    ratio = evidence.repeated_ratio
    if ratio is None:
        return _unknown("caching", "not looked at: inputs changed from call to call")
    return _check(
        "caching",
        ratio < REPEATED,
        ratio,
        REPEATED,
        f"result caching: one input again and again takes {ratio:.2f} of the time of changing "
        "ones; turn the cache off",
        f"one input again and again takes {ratio:.2f} of the time of changing ones",
    )


def _arithmetic(evidence: Evidence) -> Check:
    if evidence.macs_per_s is None or not evidence.peak_macs_per_s:
        return _unknown("arithmetic", "the graph's arithmetic or the machine's peak is not known")
    share = evidence.macs_per_s / evidence.peak_macs_per_s
    return _check(
        "arithmetic",
        share > ARITHMETIC,
        share,
        ARITHMETIC,
        f"impossible: {share:.1f} times the arithmetic that this machine was seen to do; the model "
        "cannot have run as it stands in the file",
        f"{format_percent(share)} of the machine's measured arithmetic",
    )
