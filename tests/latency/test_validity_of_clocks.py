"""Checks of the processor's and the GPU's speed: throttled, hot, or not reported."""

from dataclasses import replace

import pytest

from tlbench.latency import GpuState, reasons_of

QUIET_GPU = GpuState(temperature_c=41.0, sm_clock_hz=1.98e9)
SILENT_GPU = GpuState(unknown="nvidia-ml-py is not installed (extra 'cuda')")


@pytest.fixture
def gpu_check(check_of):
    """Check the states of a GPU before and after a timing."""

    def check(*states):
        return check_of("gpu clock", gpu=states)

    return check


def test_a_gpu_that_was_clocked_down_at_either_end_says_why(gpu_check):
    """Each reason once, although both ends have it."""
    hot = replace(QUIET_GPU, reasons=("power cap",), temperature_c=83.0)
    check = gpu_check(hot, replace(hot, reasons=("power cap", "heat, by hardware")))
    assert check.outcome == "fail"
    assert "power cap, heat, by hardware)" in check.text
    assert "lock its clocks" in check.text
    assert "83 °C" in check.text


@pytest.mark.parametrize("order", [1, -1])
def test_one_throttled_end_fails_whatever_the_other_says(order, gpu_check):
    throttled = GpuState(reasons=("power cap",))
    assert gpu_check(*[throttled, SILENT_GPU][::order]).outcome == "fail"


@pytest.mark.parametrize("states", [(SILENT_GPU, SILENT_GPU), (QUIET_GPU, SILENT_GPU)])
def test_a_gpu_that_does_not_tell_is_not_checked(states, gpu_check):
    """Neither passed nor failed, with the reason; the timing is not INVALID for it."""
    check = gpu_check(*states)
    assert check.outcome == "unknown"
    assert check.text.startswith("not checked: nvidia-ml-py is not installed")
    assert reasons_of([check]) == ()


def test_a_gpu_that_ran_free_passes_with_its_conditions(gpu_check):
    check = gpu_check(QUIET_GPU, replace(QUIET_GPU, temperature_c=58.0, sm_clock_hz=1.965e9))
    assert check.outcome == "pass"
    assert "41 to 58 °C, 1980 to 1965 MHz" in check.text
    assert "does not count what lies between" in check.text


def counted(at_s, **seconds):
    """Return a state of a GPU that is free at the moment, with its driver's counters."""
    return replace(QUIET_GPU, at_s=at_s, clocked_down_s={"power cap": 0.0, "heat": 0.0} | seconds)


@pytest.mark.parametrize(("heat_s", "outcome"), [(0.0, "pass"), (0.1, "pass"), (0.11, "fail")])
def test_a_throttle_between_the_ends_is_seen_by_its_counter(heat_s, outcome, gpu_check):
    """Ten seconds, of which one in a hundred is the bound; both ends are free."""
    check = gpu_check(counted(100.0), counted(110.0, heat=heat_s))
    assert check.outcome == outcome
    assert check.value == pytest.approx(heat_s / 10)


def test_a_throttle_between_the_ends_names_its_causes(gpu_check):
    check = gpu_check(counted(100.0), counted(110.0, **{"heat": 3.0, "power cap": 5.0}))
    assert "50.0 % of the time (power cap, heat)" in check.text
    assert "lock its clocks" in check.text


def test_counters_judge_where_the_present_reasons_are_not_told(gpu_check):
    """They say more: what happened all the time, and not at two moments."""
    silent = [replace(counted(at_s), unknown="NVML says no") for at_s in (100.0, 110.0)]
    assert gpu_check(*silent).outcome == "pass"


def test_a_throttled_end_fails_whatever_the_counters_say(gpu_check):
    check = gpu_check(counted(100.0), replace(counted(110.0), reasons=("power cap",)))
    assert check.outcome == "fail"


def test_on_the_processor_no_gpu_is_judged(outcomes):
    assert "gpu clock" not in outcomes()


def test_the_processors_temperature_is_told_beside_its_speed(check_of):
    check = check_of("clock speed", temperatures_c=(45.0, 71.2))
    assert "processor at 45 to 71 °C" in check.text


@pytest.mark.parametrize(
    ("slowdown", "second_half", "outcome"),
    [
        (1.24, 1.06, "pass"),
        (1.26, 1.06, "fail"),
        (1.26, 1.0, "note"),
        (1.26, 0.94, "note"),
        (0.74, 0.94, "fail"),
        (0.74, 1.06, "note"),
        (0.76, 0.94, "pass"),
    ],
)
def test_a_change_of_speed_fails_where_the_calls_show_it(
    slowdown, second_half, outcome, check_of, quiet_samples
):
    """At one end alone it may be a neighbour's; both figures are in the text."""
    samples = quiet_samples()
    samples = samples[:100] + [x * second_half for x in samples[:100]]
    check = check_of("clock speed", samples, slowdown=slowdown)
    assert check.outcome == outcome
    assert f"{100 * abs(slowdown - 1):.1f} % {'more' if slowdown > 1 else 'less'}" in check.text
    assert ("cool down and measure again" in check.text) == (outcome == "fail")
