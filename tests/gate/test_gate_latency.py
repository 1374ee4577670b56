"""The gate's rule for times: only matching timings, and a whole interval above the limit."""

import dataclasses

import pytest

from tlbench.gate import LatencyPolicy, Policy
from tlbench.records import ServerLoad

replace = dataclasses.replace

STEADY = tuple(0.010 + 0.00001 * (i * 37 % 100) for i in range(100))


@pytest.fixture
def timed(gated, images, saved_run):
    """Judge a run whose times are these many times those of the baseline."""

    def judge(factor=1.0, policy=None, *, environment=None, samples=STEADY, **changes):
        first = replace(saved_run.latency[0], samples_s=samples, verdict="VALID")
        slower = tuple(factor * sample for sample in samples)
        second = replace(first, samples_s=slower, **changes)
        run = {"latency": (second,)}
        if environment:
            run["environment"] = replace(saved_run.environment, **environment)
        rules = Policy(latency=policy or LatencyPolicy())
        return gated(images.first, rules, base={"latency": (first,)}, **run)

    return judge


@pytest.mark.parametrize(("factor", "passed"), [(0.5, True), (1.4, True), (1.6, False)])
def test_a_slow_run_fails(timed, factor, passed):
    """The default allows a ratio of 1.5; the interval of these samples is narrow."""
    verdict = timed(factor)
    assert verdict.passed is passed
    assert verdict.timings[0].ratio == pytest.approx(factor)
    low, high = verdict.timings[0].interval.low, verdict.timings[0].interval.high
    assert low < factor < high
    assert verdict.timings[0].interval.confidence_fraction == pytest.approx(0.95)


def test_only_a_whole_interval_above_the_limit_fails(timed):
    """A ratio above the limit whose interval reaches below it is not certain."""
    interval = timed(1.2).timings[0].interval
    just_inside = LatencyPolicy(max_ratio=interval.low * 1.0001)
    just_outside = LatencyPolicy(max_ratio=interval.low * 0.9999)
    assert just_inside.max_ratio < 1.2
    assert timed(1.2, just_inside).passed
    assert timed(1.2, LatencyPolicy(max_ratio=interval.low)).passed  # above it is above
    assert not timed(1.2, just_outside).passed


LOAD = ServerLoad(
    qps=50.0, latency_bound_s=0.1, over_fraction=0.0, over_high=0.01, allowed_fraction=0.01
)
MISMATCHES = {
    "cpu": ({"environment": {"cpu": "Other CPU"}}, "another machine (cpu Example CPU @ 2.00GHz"),
    "cpus": ({"environment": {"cpus_usable": 99}}, "cpus_usable"),
    "governor": ({"environment": {"governor": "powersave"}}, "governor"),
    "gpu": ({"environment": {"gpus": ()}}, "gpus"),
    "machine": ({"environment": {"machine": "riscv64"}}, "machine x86_64 against riscv64"),
    "mains power": ({"environment": {"on_ac_power": False}}, "on_ac_power True against False"),
    "threads": ({"threads": 7}, "threads 2 against 7"),
    "pause": ({"pause_s": 0.5}, "pause_s None against 0.5"),
    "load": ({"server": LOAD}, "load None against 50/s within 0.1 s"),
    "provider": ({"provider": "CUDAExecutionProvider"}, "provider"),
    "shape": ({"input_shape": (9, 9, 3)}, "input_shape"),
    "invalid": ({"verdict": "INVALID"}, "the timing of the run is INVALID"),
    "interrupted": ({"complete": False}, "the timing of the run is INVALID"),
    "few": ({"samples": STEADY[:5]}, "too few independent samples"),
}


@pytest.mark.parametrize(("changes", "said"), MISMATCHES.values(), ids=MISMATCHES)
def test_what_cannot_be_compared_is_not_judged_and_said(timed, changes, said, outcomes, text_of):
    """Three times as slow, but nobody can know: skipped, or failed where the policy says so."""
    verdict = timed(3, **changes)
    assert verdict.passed
    assert outcomes(verdict, "latency") == {"single batch 1": "skip"}
    assert said in text_of(verdict, "latency")
    strict = timed(3, LatencyPolicy(not_judged="fail"), **changes)
    assert not strict.passed
    assert said in text_of(strict, "latency")


def test_a_check_has_the_times_the_ratio_and_the_limit(timed):
    """Word for word: reports and JUnit files show it as it is."""
    verdict = timed(1.4, LatencyPolicy(max_ratio=1.25))
    (check,) = [check for check in verdict.checks if check.rule == "latency"]
    interval = verdict.timings[0].interval
    low, high = f"{interval.low:.2f}", f"{interval.high:.2f}"
    assert (check.subject, check.outcome) == ("single batch 1", "fail")
    assert check.text == (
        f"14.7 ms against 10.5 ms: 1.40 times [{low}, {high}]; fails if the whole interval is "
        "above 1.25"
    )


def test_the_boundary_of_the_device_is_in_the_name(timed, outcomes):
    """The usual boundary is not named."""
    assert outcomes(timed(samples=STEADY), "latency") == {"single batch 1": "pass"}
    missing = timed(boundary="device->device")
    assert outcomes(missing, "present") == {"single batch 1": "fail"}
    (check,) = [check for check in missing.checks if check.rule == "present"]
    assert check.text == (
        "in the baseline but not in the run, which has: single batch 1 device->device"
    )


def test_the_precision_may_differ(timed):
    """Whether the conversion is slower is the question."""
    assert not timed(2, precision="int8").passed


def test_a_missing_timing_fails(gated, images, saved_run, outcomes):
    verdict = gated(images.first, base={"latency": saved_run.latency})
    assert not verdict.passed
    assert outcomes(verdict, "present") == {"single batch 1": "fail", "batch batch 32": "fail"}
    policy = Policy(latency=LatencyPolicy(judge=False))
    assert gated(images.first, policy, base={"latency": saved_run.latency}).passed
