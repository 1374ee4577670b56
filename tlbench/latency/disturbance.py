"""Whether something besides the network changed a timing: other load, the processor's speed, heat.

The bounds are choices; each says here what it rests on.
"""

from collections.abc import Sequence
from statistics import median

from tlbench.core.units import format_percent
from tlbench.latency.check_inputs import CheckInputs
from tlbench.latency.checks import decide, more_or_less, unknown
from tlbench.latency.throttle import clocked_down
from tlbench.records import Check

# Processors kept busy by others, as a share of those this process may use. An idle machine's own
# housekeeping was seen at 0.5 to 2 %; one other busy process on two processors is 50 %.
OTHER_LOAD = 0.05
# A fixed piece of arithmetic, fastest of several laps, before and after. Turbo steps are
# 3 to 5 %; on a shared virtual machine the figure itself was seen to move by 20 %.
SLOWDOWN = 0.25
# The samples show a change of speed when their halves differ by so much, in the same direction.
SHOWN = 0.05
# Share of the time that a GPU was held below its application clocks. Half the clock for so long
# costs as much of the throughput again, and the median nothing.
CLOCKED_DOWN = 0.01


def other_load(check_inputs: CheckInputs) -> Check:
    """Judge what others did on the processors that this process may use."""
    if check_inputs.other_cpus is None:
        return unknown("other load", "this machine does not tell what else runs on it")
    share, limit = check_inputs.other_cpus / check_inputs.cpus, OTHER_LOAD
    return decide(
        "other load",
        share > limit,
        share,
        limit,
        f"other load on the machine: others kept {check_inputs.other_cpus:.2f} of "
        f"{check_inputs.cpus} processors busy; stop them and measure again",
        f"others kept {check_inputs.other_cpus:.2f} of {check_inputs.cpus} processors busy",
    )


def clock_speed(samples_s: Sequence[float], check_inputs: CheckInputs) -> Check:
    """Judge the machine's speed at the two ends by what the samples between them show of it.

    A neighbour on the host can slow either end alone, and then the samples know nothing of it.
    """
    if (
        check_inputs.other_cpus is not None
        and check_inputs.other_cpus / check_inputs.cpus > OTHER_LOAD
    ):
        return unknown("clock speed", "cannot be told beside other load on the machine")
    change = check_inputs.slowdown - 1
    text = (
        f"the same arithmetic took {more_or_less(change)} time after the measurement than before it"
    )
    if check_inputs.temperatures_c:
        text += f" (processor at {_span(check_inputs.temperatures_c, '°C')})"
    outcome = "pass"
    if abs(change) > SLOWDOWN:
        half = len(samples_s) // 2
        shown = median(samples_s[half:]) / median(samples_s[:half] or samples_s) - 1
        if shown * change > 0 and abs(shown) >= SHOWN:
            outcome = "fail"
            text += (
                f", and the second half of the calls {more_or_less(shown)} (heat, power or clock): "
                "let the machine settle and measure again"
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


def gpu_clock(check_inputs: CheckInputs) -> Check:
    """Judge whether the GPU was clocked down; unknown where its driver is silent.

    The driver's counters see a throttle between the two ends. Where it has none, the two ends are
    what remains, and the words say so.
    """
    name = "gpu clock"
    if reasons := tuple(
        dict.fromkeys(text for state in check_inputs.gpu for text in state.reasons)
    ):
        text = f"the GPU was clocked down ({', '.join(reasons)}): cool it or lock its clocks"
        return Check(name=name, outcome="fail", text=text + _conditions(check_inputs))
    if shares := clocked_down(check_inputs.gpu[0], check_inputs.gpu[-1]):
        cause, most = next(iter(shares.items()))
        causes = ", ".join(each for each, share in shares.items() if share > CLOCKED_DOWN)
        return decide(
            name,
            most > CLOCKED_DOWN,
            most,
            CLOCKED_DOWN,
            f"the GPU was clocked down for {format_percent(most)} of the time ({causes}): cool it "
            f"or lock its clocks{_conditions(check_inputs)}",
            f"the GPU was clocked down for {format_percent(most)} of the time at most "
            f"({cause}){_conditions(check_inputs)}",
        )
    silent = [state.unknown for state in check_inputs.gpu if state.unknown is not None]
    if silent:
        return unknown(name, f"not judged: {silent[0]}; the GPU may have been clocked down")
    text = "the GPU was not clocked down at either end; its driver does not count what lies between"
    return Check(name=name, outcome="pass", text=text + _conditions(check_inputs))


def _conditions(check_inputs: CheckInputs) -> str:
    """Return temperature and clock of the GPU at the two ends, those that are known."""
    degrees = [s.temperature_c for s in check_inputs.gpu if s.temperature_c is not None]
    clocks = [s.sm_clock_hz / 1e6 for s in check_inputs.gpu if s.sm_clock_hz is not None]
    known = [_span(v, unit) for v, unit in ((degrees, "°C"), (clocks, "MHz")) if v]
    return f" ({', '.join(known)})" if known else ""


def _span(values: Sequence[float], unit: str) -> str:
    """Return the first and the last of some figures: "41 to 58 °C"."""
    first, last = f"{values[0]:.0f}", f"{values[-1]:.0f}"
    return f"{first} {unit}" if first == last else f"{first} to {last} {unit}"
