"""Each check fails for its own reason, with its figure and what to do; unknown is never passed."""

import random
from dataclasses import replace

import pytest

from tlbench.latency import Evidence, GpuState, judge, reasons_of
from tlbench.stats import samples_needed, trend

# A quiet machine, everything known, nothing wrong.
QUIET = Evidence(
    tick_s=1e-7,
    cpus=4,
    other_cpus=0.04,
    slowdown=1.01,
    repeated_ratio=0.99,
    macs_per_s=0.5e9,
    peak_macs_per_s=1e9,
)
ALL = [
    "finished",
    "samples",
    "other load",
    "clock speed",
    "drift",
    "autocorrelation",
    "timer",
    "batch",
    "placement",
    "caching",
    "arithmetic",
]


def quiet_samples(n=200, seed=0):
    """Return latencies as a quiet machine gives them: 4 ms, some noise, a tail to the right."""
    generator = random.Random(seed)
    return [0.004 * (1 + generator.gammavariate(2, 0.01)) for _ in range(n)]


def outcomes(samples, evidence=QUIET):
    return {check.name: check.outcome for check in judge(samples, evidence)}


def check_of(name, samples, evidence=QUIET):
    (check,) = [check for check in judge(samples, evidence) if check.name == name]
    return check


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [12, 64, 1000])
def test_a_quiet_timing_passes_every_check(n, seed):
    """In this order: what decides most comes first. The seeds are fixed, so is the outcome."""
    assert outcomes(quiet_samples(n, seed)) == dict.fromkeys(ALL, "pass")
    assert list(outcomes(quiet_samples(n, seed))) == ALL


BROKEN = {
    "finished": ({"complete": False}, ["interrupted", "measure again"]),
    "other load": ({"other_cpus": 1.5}, ["1.50 of 4", "stop them"]),
    "timer": ({"tick_s": 1e-4}, [" 41 ticks", "100 µs", "larger batch"]),
    "batch": ({"batch_size": 8, "n_answers": 1}, ["8 images", "1 rows", "would be wrong"]),
    "caching": ({"repeated_ratio": 0.31}, ["0.31", "turn the cache off"]),
    "arithmetic": ({"macs_per_s": 7e9}, ["7.0 times", "cannot have run"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_fault_fails_one_check(name):
    """Nothing else is blamed, and the text has the figure and what to do."""
    changes, words = BROKEN[name]
    evidence = replace(QUIET, **changes)
    expected = dict.fromkeys(ALL, "pass") | {name: "fail"}
    if name == "other load":  # a neighbour on the same core slows the arithmetic as heat does
        expected["clock speed"] = "unknown"
    assert outcomes(quiet_samples(), evidence) == expected
    text = check_of(name, quiet_samples(), evidence).text
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("name", "fine", "broken"),
    [
        ("other load", {"other_cpus": 0.20}, {"other_cpus": 0.21}),
        ("caching", {"repeated_ratio": 0.80}, {"repeated_ratio": 0.79}),
        ("arithmetic", {"macs_per_s": 2.49e9}, {"macs_per_s": 2.51e9}),
        ("timer", {"tick_s": 3.9e-5}, {"tick_s": 4.2e-5}),
        ("batch", {"batch_size": 7, "n_answers": 7}, {"batch_size": 7, "n_answers": 8}),
    ],
)
def test_the_bound_of_a_check(name, fine, broken):
    """Just inside passes, just outside fails."""
    assert check_of(name, quiet_samples(), replace(QUIET, **fine)).outcome == "pass"
    assert check_of(name, quiet_samples(), replace(QUIET, **broken)).outcome == "fail"


@pytest.mark.parametrize(
    ("name", "changes", "value", "limit"),
    [
        ("other load", {"other_cpus": 1.0}, 0.25, 0.05),
        ("clock speed", {"slowdown": 1.30}, 0.30, 0.25),
        ("caching", {"repeated_ratio": 0.31}, 0.31, 0.80),
        ("arithmetic", {"macs_per_s": 7e9}, 7.0, 2.5),
        ("batch", {"n_answers": 3}, 3, 1),
    ],
)
def test_a_check_keeps_its_figure_and_its_bound(name, changes, value, limit):
    check = check_of(name, quiet_samples(), replace(QUIET, **changes))
    assert (check.value, check.limit) == (pytest.approx(value), limit)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("other load", {"other_cpus": None}),
        ("caching", {"repeated_ratio": None}),
        ("arithmetic", {"macs_per_s": None}),
        ("arithmetic", {"peak_macs_per_s": None}),
        ("arithmetic", {"peak_macs_per_s": 0.0}),
    ],
)
def test_what_is_not_known_is_said_to_be_unknown(name, changes):
    """It neither passes nor fails, and the other checks are as before."""
    found = outcomes(quiet_samples(), replace(QUIET, **changes))
    assert found == dict.fromkeys(ALL, "pass") | {name: "unknown"}


QUIET_GPU = GpuState(temperature_c=41.0, sm_clock_hz=1.98e9)
SILENT_GPU = GpuState(unknown="nvidia-ml-py is not installed (extra 'cuda')")


def gpu_check(*states):
    return check_of("gpu clock", quiet_samples(), replace(QUIET, gpu=states))


def test_a_gpu_that_was_clocked_down_at_either_end_says_why():
    """Each reason once, although both ends have it."""
    hot = replace(QUIET_GPU, reasons=("power cap",), temperature_c=83.0)
    check = gpu_check(hot, replace(hot, reasons=("power cap", "heat, by hardware")))
    assert check.outcome == "fail"
    assert "power cap, heat, by hardware)" in check.text
    assert "lock its clocks" in check.text
    assert "83 °C" in check.text


@pytest.mark.parametrize("order", [1, -1])
def test_one_throttled_end_fails_whatever_the_other_says(order):
    throttled = GpuState(reasons=("power cap",))
    assert gpu_check(*[throttled, SILENT_GPU][::order]).outcome == "fail"


@pytest.mark.parametrize("states", [(SILENT_GPU, SILENT_GPU), (QUIET_GPU, SILENT_GPU)])
def test_a_gpu_that_does_not_tell_is_not_judged(states):
    """Neither passed nor failed, with the reason; the timing is not INVALID for it."""
    check = gpu_check(*states)
    assert check.outcome == "unknown"
    assert check.text.startswith("not judged: nvidia-ml-py is not installed")
    assert reasons_of([check]) == ()


def test_a_gpu_that_ran_free_passes_with_its_conditions():
    check = gpu_check(QUIET_GPU, replace(QUIET_GPU, temperature_c=58.0, sm_clock_hz=1.965e9))
    assert check.outcome == "pass"
    assert "41 to 58 °C, 1980 to 1965 MHz" in check.text
    assert "does not count what lies between" in check.text


def counted(at_s, **seconds):
    """Return a state of a GPU that is free at the moment, with its driver's counters."""
    return replace(QUIET_GPU, at_s=at_s, clocked_down_s={"power cap": 0.0, "heat": 0.0} | seconds)


@pytest.mark.parametrize(("heat_s", "outcome"), [(0.0, "pass"), (0.09, "pass"), (0.11, "fail")])
def test_a_throttle_between_the_ends_is_seen_by_its_counter(heat_s, outcome):
    """Ten seconds, of which one in a hundred is the bound; both ends are free."""
    check = gpu_check(counted(100.0), counted(110.0, heat=heat_s))
    assert check.outcome == outcome
    assert check.value == pytest.approx(heat_s / 10)


def test_a_throttle_between_the_ends_names_its_causes():
    check = gpu_check(counted(100.0), counted(110.0, **{"heat": 3.0, "power cap": 5.0}))
    assert "50.0 % of the time (power cap, heat)" in check.text
    assert "lock its clocks" in check.text


def test_counters_judge_where_the_present_reasons_are_not_told():
    """They say more: what happened all the time, and not at two moments."""
    silent = [replace(counted(at_s), unknown="NVML says no") for at_s in (100.0, 110.0)]
    assert gpu_check(*silent).outcome == "pass"


def test_a_throttled_end_fails_whatever_the_counters_say():
    check = gpu_check(counted(100.0), replace(counted(110.0), reasons=("power cap",)))
    assert check.outcome == "fail"


def test_on_the_processor_no_gpu_is_judged():
    assert "gpu clock" not in outcomes(quiet_samples())


def test_the_processors_temperature_is_told_beside_its_speed():
    check = check_of("clock speed", quiet_samples(), replace(QUIET, temperatures_c=(45.0, 71.2)))
    assert "processor at 45 to 71 °C" in check.text


@pytest.mark.parametrize(("n", "outcome"), [(1, "fail"), (10, "fail"), (11, "pass")])
def test_a_median_needs_its_samples(n, outcome):
    check = check_of("samples", quiet_samples(n))
    assert check.outcome == outcome
    assert (check.value, check.limit) == (n, samples_needed(0.5))
    if outcome == "fail":
        assert f"{n} samples are too few" in check.text
        assert "--max-duration" in check.text


@pytest.mark.parametrize("n", [1, 2, 11])
def test_too_few_samples_to_see_a_drift_do_not_pass_as_none(n):
    """Not even sorted ones, which are nothing but drift, could be told from chance."""
    found = outcomes(sorted(quiet_samples(n)))
    assert found["drift"] == "unknown"
    assert found["autocorrelation"] == "unknown"


@pytest.mark.parametrize(("n", "detected"), [(11, False), (12, True)])
def test_the_fewest_samples_for_a_drift_are_those_of_the_trend(n, detected):
    assert trend([0.004 * (1 + 0.1 * i) for i in range(n)]).detected is detected


def test_a_steady_drift_fails():
    """10 % slower in the end: the halves differ by half of it."""
    samples = [s * (1 + 0.1 * i / 200) for i, s in enumerate(quiet_samples())]
    check = check_of("drift", samples)
    assert check.outcome == "fail"
    assert check.value == pytest.approx(0.05, abs=0.01)
    assert "warm up or measure longer" in check.text


def test_a_jump_fails_as_drift():
    samples = [s * (1.2 if i >= 100 else 1) for i, s in enumerate(quiet_samples())]
    check = check_of("drift", samples)
    assert check.outcome == "fail"
    assert "20." in check.text or "19." in check.text


def test_calls_that_take_no_time_are_no_drift_but_a_coarse_timer():
    """A clock of 16 ms under calls of 4 ms: most samples are zero."""
    samples = [0.016 if i % 4 == 0 else 0.0 for i in range(64)]
    found = outcomes(samples, replace(QUIET, tick_s=0.016))
    assert found["drift"] == "unknown"
    assert found["timer"] == "fail"


def test_a_clock_that_never_moved_is_a_coarse_timer():
    """Its tick is infinite, and no number of seconds."""
    check = check_of("timer", quiet_samples(), replace(QUIET, tick_s=float("inf")))
    assert check.outcome == "fail"
    assert "never seen to move" in check.text


def phases(n, length):
    """Return latencies in slow and fast phases of random order: no drift, but alike neighbours."""
    generator = random.Random(2)
    kinds = [0, 1] * (n // length // 2)
    generator.shuffle(kinds)
    return [
        quiet * (1 + 0.2 * kind)
        for kind, quiet in zip(
            (kind for kind in kinds for _ in range(length)), quiet_samples(n), strict=True
        )
    ]


def test_slow_phases_are_worth_a_note():
    """Enough of them: the interval is widened, the timing stands."""
    check = check_of("autocorrelation", phases(1000, 5))
    assert check.outcome == "note"
    assert check.value > check.limit
    assert "1000 samples are worth" in check.text


def test_a_few_slow_phases_are_too_few_samples():
    """Eight phases of ten are worth less than the eleven samples of a median."""
    check = check_of("autocorrelation", phases(80, 10))
    assert check.outcome == "fail"
    assert "80 samples are worth only" in check.text
    assert "--min-duration" in check.text


def test_the_order_of_a_servers_samples_is_not_judged():
    """Requests wait for one another, so neighbours are alike; the rest is judged as ever."""
    found = outcomes(sorted(quiet_samples()), replace(QUIET, independent=False))
    assert found == {name: "pass" for name in ALL if name not in {"drift", "autocorrelation"}}


def test_operators_elsewhere_are_a_note():
    """Convolutions were refused before; shape arithmetic on the CPU is normal, and said."""
    check = check_of("placement", quiet_samples(), replace(QUIET, elsewhere=("Gather", "Shape")))
    assert check.outcome == "note"
    assert "Gather, Shape" in check.text


def test_the_reasons_are_the_texts_of_what_failed():
    """Notes and unknowns make no timing INVALID."""
    evidence = replace(
        QUIET, complete=False, repeated_ratio=0.3, other_cpus=None, elsewhere=("Shape",)
    )
    checks = judge(quiet_samples(), evidence)
    reasons = reasons_of(checks)
    assert len(reasons) == 2
    assert reasons[0].startswith("interrupted")
    assert reasons[1].startswith("result caching")


def test_a_valid_timing_has_no_reasons():
    assert reasons_of(judge(quiet_samples(), QUIET)) == ()


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
def test_a_change_of_speed_fails_where_the_calls_show_it(slowdown, second_half, outcome):
    """At one end alone it may be a neighbour's; both figures are in the text."""
    samples = quiet_samples()
    samples = samples[:100] + [x * second_half for x in samples[:100]]
    check = check_of("clock speed", samples, replace(QUIET, slowdown=slowdown))
    assert check.outcome == outcome
    assert f"{100 * abs(slowdown - 1):.1f} % {'more' if slowdown > 1 else 'less'}" in check.text
    assert ("settle and measure again" in check.text) == (outcome == "fail")
