"""What each check says, word for word: reports show these sentences as they are."""

import math

import pytest

from tlbench.latency import GpuState

TEXTS = {
    "finished": ("finished", "pass", {}, "the measurement ran to its end"),
    "interrupted": (
        "finished",
        "fail",
        {"complete": False},
        "interrupted before its end: measure again",
    ),
    "samples": ("samples", "pass", {}, "200 samples"),
    "few samples": (
        "samples",
        "fail",
        {"samples": [0.004] * 9},
        "9 samples are too few for a median, which needs 11: raise max_duration_s",
    ),
    "trend of few": (
        "trend",
        "unknown",
        {"samples": [0.004] * 11},
        "needs at least 12 samples, got 11",
    ),
    "trend of nothing": (
        "trend",
        "unknown",
        {"samples": [0.0] * 20},
        "some calls took no time that the clock shows",
    ),
    "dependence of few": (
        "autocorrelation",
        "unknown",
        {"samples": [0.004] * 11},
        "needs at least 12 samples, got 11",
    ),
    "no dependence": (
        "autocorrelation",
        "pass",
        {"samples": [0.004, 0.005] * 50},
        "neighbouring samples are independent (rank correlation -0.99)",
    ),
    "timer": (
        "timer",
        "pass",
        {"tick_s": 1e-6, "samples": [0.004] * 20},
        "a call lasts 4,000 clock ticks",
    ),
    "coarse timer": (
        "timer",
        "fail",
        {"tick_s": 1e-3, "samples": [0.004] * 20},
        "timer too coarse: a call lasts 4 clock ticks (1.00 ms); use a larger batch",
    ),
    "no timer": (
        "timer",
        "fail",
        {"tick_s": math.inf},
        (
            "timer too coarse: a call lasts 0 clock ticks (which was never seen to move); use a "
            "larger batch"
        ),
    ),
    "timer without a step": (
        "timer",
        "fail",
        {"tick_s": 0.0},
        "timer too coarse: a call lasts 0 clock ticks (0 s); use a larger batch",
    ),
    "speed": (
        "clock speed",
        "pass",
        {"slowdown": 1.25, "temperatures_c": (45.0, 71.2)},
        (
            "the same arithmetic took 25.0 % more time after the measurement than before "
            "(processor at 45 to 71 °C)"
        ),
    ),
    "speed of one end": (
        "clock speed",
        "note",
        {"slowdown": 0.7, "samples": [0.004] * 20},
        (
            "the same arithmetic took 30.0 % less time after the measurement than before, which "
            "the calls do not show"
        ),
    ),
    "speed of both": (
        "clock speed",
        "fail",
        {"slowdown": 1.3, "samples": [0.004] * 10 + [0.005] * 10},
        (
            "the same arithmetic took 30.0 % more time after the measurement than before, and the "
            "second half of the calls 25.0 % more (heat, power or clock): let the machine cool "
            "down and measure again"
        ),
    ),
    "speed beside other load": (
        "clock speed",
        "unknown",
        {"other_cpus": 1.0},
        "cannot be determined while other load is on the machine",
    ),
    "batch": ("batch", "pass", {"batch_size": 7, "n_outputs": 7}, "7 rows for 7 images"),
    "wrong batch": (
        "batch",
        "fail",
        {"batch_size": 8},
        (
            "8 images went in and 1 rows came out: the effective batch size is not the requested "
            "one, so images/s would be wrong"
        ),
    ),
    "placement": ("placement", "pass", {}, "all operators ran on the requested provider"),
    "elsewhere": (
        "placement",
        "note",
        {"elsewhere": ("Gather", "Shape")},
        "Gather, Shape ran on another provider: data may cross the bus",
    ),
    "caching": (
        "caching",
        "pass",
        {"repeated_ratio": 0.99},
        "a repeated input takes 0.99 of the time of changing inputs",
    ),
    "cached": (
        "caching",
        "fail",
        {"repeated_ratio": 0.31},
        (
            "result caching: a repeated input takes 0.31 of the time of changing inputs; turn the "
            "cache off"
        ),
    ),
    "caching of changing inputs": (
        "caching",
        "unknown",
        {"repeated_ratio": None},
        "not checked: the input changed with every call",
    ),
    "caching of one input": (
        "caching",
        "unknown",
        {"repeated_ratio": None, "inputs_change": False},
        "not checked: a captured graph was given a single input",
    ),
    "arithmetic": (
        "arithmetic",
        "pass",
        {"macs_per_s": 0.5e9},
        "50.0 % of the arithmetic ceiling measured on this machine",
    ),
    "impossible": (
        "arithmetic",
        "fail",
        {"macs_per_s": 7e9},
        (
            "impossible: 7.0 times the arithmetic ceiling measured on this machine; the model "
            "cannot have run as the file describes it"
        ),
    ),
    "unknown arithmetic": (
        "arithmetic",
        "unknown",
        {"macs_per_s": None},
        "the graph's arithmetic or the machine's arithmetic ceiling is not known",
    ),
    "unknown load": (
        "other load",
        "unknown",
        {"other_cpus": None},
        "this machine does not report what else runs on it",
    ),
    "other load": (
        "other load",
        "fail",
        {"other_cpus": 1.5},
        (
            "other load on the machine: others kept 1.50 of 4 processors busy; stop it and measure "
            "again"
        ),
    ),
}


@pytest.mark.parametrize("case", TEXTS.values(), ids=TEXTS)
def test_what_a_check_says(case, check_of):
    name, outcome, changes, text = case
    check = check_of(name, **changes)
    assert (check.outcome, check.text) == (outcome, text)


FREE = GpuState(temperature_c=41.0, sm_clock_hz=1.98e9)
COUNTED = GpuState(at_s=100.0, clocked_down_s={"power cap": 0.0, "heat": 0.0})
GPU_TEXTS = {
    "free": (
        "pass",
        (FREE, FREE),
        (
            "the GPU was not throttled at either end; its driver does not count what lies between "
            "(41 °C, 1980 MHz)"
        ),
    ),
    "throttled at an end": (
        "fail",
        (GpuState(reasons=("power cap", "heat")), FREE),
        "the GPU was throttled (power cap, heat): cool it or lock its clocks (41 °C, 1980 MHz)",
    ),
    "throttled in between": (
        "fail",
        (COUNTED, GpuState(at_s=110.0, clocked_down_s={"power cap": 5.0, "heat": 0.05})),
        "the GPU was throttled for 50.0 % of the time (power cap): cool it or lock its clocks",
    ),
    "hardly throttled": (
        "pass",
        (COUNTED, GpuState(at_s=110.0, clocked_down_s={"power cap": 0.0, "heat": 0.05})),
        "the GPU was throttled for 0.5 % of the time at most (heat)",
    ),
    "silent": (
        "unknown",
        (GpuState(unknown="no driver"), FREE),
        "not checked: no driver; the GPU may have been throttled",
    ),
}


@pytest.mark.parametrize(("outcome", "states", "text"), GPU_TEXTS.values(), ids=GPU_TEXTS)
def test_what_the_check_of_a_gpu_says(outcome, states, text, check_of):
    check = check_of("gpu clock", gpu=states)
    assert (check.outcome, check.text) == (outcome, text)
