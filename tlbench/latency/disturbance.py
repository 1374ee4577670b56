"""Checks whether something besides the network changed a timing: other load, clock speed, heat.

The limits are choices; each states what it is based on.
"""

from collections.abc import Sequence
from statistics import median
from typing import Literal

from tlbench.core.units import format_percent
from tlbench.latency.sensors import MachineSamples, clocked_down
from tlbench.records import Check

# Processors kept busy by others, as a fraction of those this process may use. An idle machine's own
# housekeeping was seen at 0.5 to 2 %; one other busy process on two processors is 50 %.
OTHER_LOAD = 0.05
# Processors held back by a CPU quota, on average. This is one processor stopped for 10 ms in every
# second: the median stays the same, and the 99th percentile shows it.
HELD_BACK = 0.01
# A fixed piece of arithmetic, the fastest of several laps, before and after. Turbo steps are
# 3 to 5 %; on a shared virtual machine the value itself was seen to vary by 20 %.
SLOWDOWN = 0.25
# The samples confirm a change of speed if their halves differ by this much in the same direction.
SHOWN = 0.05
# Fraction of the time that a GPU was held below its application clocks. At half the clock, this
# costs the throughput half as much, and leaves the median unchanged.
CLOCKED_DOWN = 0.01


def decide(  # noqa: PLR0917 - the columns of a table
    name: str,
    failed: bool,  # noqa: FBT001 - the condition, written out at each call
    value: float,
    limit: float,
    failed_text: str,
    passed_text: str,
) -> Check:
    """Return a check that failed or passed, with the text for it."""
    outcome: Literal["fail", "pass"]
    outcome, text = ("fail", failed_text) if failed else ("pass", passed_text)
    return Check(name=name, outcome=outcome, value=value, limit=limit, text=text)


def unknown(name: str, why: str) -> Check:
    """Return a check that could not be made: it neither passes nor fails."""
    return Check(name=name, outcome="unknown", text=why)


def more_or_less(fraction: float) -> str:
    """Return a relative change in words: "5.0 % more"."""
    return f"{format_percent(abs(fraction))} {'more' if fraction > 0 else 'less'}"


def other_load(machine: MachineSamples) -> Check:
    """Check how busy others kept the processors that this process may use."""
    if machine.other_cpus is None:
        return unknown("other load", "this machine does not report what else runs on it")
    share = machine.other_cpus / machine.cpus
    passed = f"others kept {machine.other_cpus:.2f} of {machine.cpus} processors busy"
    failed = f"other load on the machine: {passed}; stop it and measure again"
    return decide("other load", share > OTHER_LOAD, share, OTHER_LOAD, failed, passed)


def cpu_quota(machine: MachineSamples) -> Check:
    """Check how many processors the CPU quota of the cgroups held back."""
    name, held = "cpu quota", machine.throttled_cpus
    quota = "" if machine.cpu_quota is None else f" of {machine.cpu_quota:g} processors"
    if held is None:
        return unknown(name, f"the cgroup does not count when its CPU quota{quota} is spent")
    passed = f"the CPU quota{quota} held back {held:.2f} processors on average"
    failed = f"throttled: {passed}; use fewer threads or raise the quota"
    return decide(name, held > HELD_BACK, held, HELD_BACK, failed, passed)


def clock_speed(samples_s: Sequence[float], machine: MachineSamples) -> Check:
    """Check the machine's speed at both ends against what the samples in between show of it."""
    name = "clock speed"
    if machine.other_cpus is not None and machine.other_cpus / machine.cpus > OTHER_LOAD:
        return unknown(name, "cannot be determined while other load is on the machine")
    change = machine.slowdown - 1
    text = f"the same arithmetic took {more_or_less(change)} time after the measurement than before"
    if machine.temperatures_c:
        text += f" (processor at {_span(machine.temperatures_c, '°C')})"
    if abs(change) <= SLOWDOWN:
        return Check(name=name, outcome="pass", value=change, limit=SLOWDOWN, text=text)
    # A neighbour on the host can slow one end alone, and then the samples show nothing of it.
    half = len(samples_s) // 2
    shown = median(samples_s[half:]) / median(samples_s[:half] or samples_s) - 1
    if shown * change > 0 and abs(shown) >= SHOWN:
        text += (
            f", and the second half of the calls {more_or_less(shown)} (heat, power or clock): "
            "let the machine cool down and measure again"
        )
        return Check(name=name, outcome="fail", value=change, limit=SLOWDOWN, text=text)
    text += ", which the calls do not show"
    return Check(name=name, outcome="note", value=change, limit=SLOWDOWN, text=text)


def gpu_clock(machine: MachineSamples) -> Check:
    """Check whether the GPU was throttled at either end or, if the driver counts it, in between."""
    name, conditions = "gpu clock", _conditions(machine)
    reasons = dict.fromkeys(text for state in machine.gpu for text in state.reasons)
    if reasons:
        text = f"the GPU was throttled ({', '.join(reasons)}): cool it or lock its clocks"
        return Check(name=name, outcome="fail", text=text + conditions)
    if shares := clocked_down(machine.gpu[0], machine.gpu[-1]):
        cause, most = next(iter(shares.items()))
        causes = ", ".join(each for each, share in shares.items() if share > CLOCKED_DOWN)
        throttled = f"the GPU was throttled for {format_percent(most)} of the time"
        failed = f"{throttled} ({causes}): cool it or lock its clocks{conditions}"
        passed = f"{throttled} at most ({cause}){conditions}"
        return decide(name, most > CLOCKED_DOWN, most, CLOCKED_DOWN, failed, passed)
    if silent := [state.unknown for state in machine.gpu if state.unknown is not None]:
        return unknown(name, f"not checked: {silent[0]}; the GPU may have been throttled")
    text = "the GPU was not throttled at either end; its driver does not count what lies between"
    return Check(name=name, outcome="pass", text=text + conditions)


def _conditions(machine: MachineSamples) -> str:
    """Return the known temperatures and clocks of the GPU at the two ends."""
    degrees = [s.temperature_c for s in machine.gpu if s.temperature_c is not None]
    clocks = [s.sm_clock_hz / 1e6 for s in machine.gpu if s.sm_clock_hz is not None]
    known = [_span(v, unit) for v, unit in ((degrees, "°C"), (clocks, "MHz")) if v]
    return f" ({', '.join(known)})" if known else ""


def _span(values: Sequence[float], unit: str) -> str:
    """Return the first and the last of some values: "41 to 58 °C"."""
    first, last = f"{values[0]:.0f}", f"{values[-1]:.0f}"
    return f"{first} {unit}" if first == last else f"{first} to {last} {unit}"
