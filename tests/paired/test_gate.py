"""The gate's rules, each by itself, and how it fails closed."""

import dataclasses
import itertools

import numpy as np
import pytest

from tlbench.compare import open_side
from tlbench.errors import GateError
from tlbench.gate import Policy, judge_run, make_baseline
from tlbench.gate.policy import AccuracyPolicy, DriftPolicy, LatencyPolicy
from tlbench.lowering import Drift, ImageSample, Lowering
from tlbench.results.accuracy import FeatureDrift, PairedDifference
from tlbench.results.common import Interval

replace = dataclasses.replace


@pytest.fixture
def gated(save, images, tmp_path):
    """Judge a run of these predictions against a baseline of the first predictions."""
    numbers = itertools.count()

    def judge(second=None, policy=None, *, entries=None, before=None, base=None, data=None, **run):
        output, number = tmp_path / "work" / "runs", next(numbers)
        save(f"base{number}", images, before or {"backbone.softmax": images.first}, **(base or {}))
        baseline = make_baseline(open_side(f"base{number}", output))
        found = entries if entries is not None else {"backbone.softmax": second}
        save(f"run{number}", data or images, found, **run)
        return judge_run(open_side(f"run{number}", output), baseline, policy)

    return judge


def _outcomes(verdict, rule):
    return {check.subject: check.outcome for check in verdict.checks if check.rule == rule}


def _text(verdict, rule):
    (text,) = [check.text for check in verdict.checks if check.rule == rule]
    return text


# Accuracy: significance, points, floors, fineness


def test_the_same_predictions_pass(gated, images):
    verdict = gated(images.first)
    assert verdict.passed
    assert _outcomes(verdict, "same data") == {"cifar10": "pass"}
    assert _outcomes(verdict, "no significant drop") == {"backbone.softmax": "pass"}
    assert verdict.accuracy[0].n_differing == 0


def test_a_drop_of_three_points_fails(gated, images):
    """41 lost, 10 gained: at 5 % disagreement."""
    verdict = gated(images.second(lost=41, gained=10))
    assert not verdict.passed
    assert _outcomes(verdict, "no significant drop") == {"backbone.softmax": "fail"}
    assert verdict.accuracy[0].p_value < 0.001


@pytest.mark.parametrize(("lost", "gained"), [(13, 13), (17, 13), (30, 20), (10, 41)])
def test_a_good_int8_within_noise_passes(gated, images, lost, gained):
    """The first two are what int8 Lite0 did in docs/results; one point within noise; better."""
    assert gated(images.second(lost=lost, gained=gained)).passed


ONE_POINT = {"lost": 30, "gained": 20}  # 10 of 1,017 images: p is 0.10 one-sided


def test_one_point_within_noise_fails_an_absolute_floor(gated, images):
    """877 of 1,017 are 86.23 %: not a significant drop from 87.22 %, and below a floor of 86.5."""
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"backbone.softmax": 86.5}))
    verdict = gated(images.second(**ONE_POINT), policy)
    assert not verdict.passed
    assert _outcomes(verdict, "no significant drop") == {"backbone.softmax": "pass"}
    assert _outcomes(verdict, "floor") == {"backbone.softmax": "fail"}
    assert "86.23 % (877 of 1,017); at least 86.5 %" in _text(verdict, "floor")


def test_a_floor_is_met_by_equality(gated, images):
    """The accuracy of the baseline itself, to the last image."""
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"backbone.softmax": 100 * 887 / 1017}))
    assert gated(images.first, policy).passed
    assert not gated(images.second(lost=1), policy).passed


def test_a_floor_of_an_entry_that_is_not_there_fails(gated, images):
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"backbone.svm": 10}))
    verdict = gated(images.first, policy)
    assert not verdict.passed
    assert "no such entry, but: backbone.softmax" in _text(verdict, "floor")


def test_floors_may_name_what_the_baseline_lacks(gated, images):
    """Pixels, too, must be as good as they were."""
    entries = {"backbone.softmax": images.first, "pixels.softmax": images.second(lost=600)}
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"pixels.softmax": 20}))
    assert gated(entries=entries, policy=policy).passed
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"pixels.softmax": 40}))
    assert not gated(entries=entries, policy=policy).passed


@pytest.mark.parametrize(("lost", "passed"), [(10, True), (11, False)])
def test_largest_drop_judges_without_significance(gated, images, lost, passed):
    """10 of 1,017 images are 0.98 points, 11 are 1.08."""
    rules = AccuracyPolicy(test="none", max_drop_points=1)
    verdict = gated(images.second(lost=lost + 50, gained=50), Policy(accuracy=rules))
    assert verdict.passed is passed
    assert verdict.accuracy[0].p_value is None
    assert verdict.accuracy[0].sensitivity is None


def test_a_significant_drop_that_is_negligible_passes(gated, images):
    """Five images and none gained: p is 1/32, below a lax alpha, and half a point."""
    rules = AccuracyPolicy(alpha=0.05)
    assert gated(images.second(lost=5), Policy(accuracy=rules)).passed
    strict = replace(rules, negligible_points=0)
    assert not gated(images.second(lost=5), Policy(accuracy=strict)).passed


def test_two_sided_spends_half_of_alpha_on_improvements(gated, images):
    """7 of 7 lost: 1/128 one-sided, 1/64 two-sided."""
    rules = AccuracyPolicy(negligible_points=0)
    assert not gated(images.second(lost=7), Policy(accuracy=rules)).passed
    two_sided = replace(rules, test="two-sided")
    assert gated(images.second(lost=7), Policy(accuracy=two_sided)).passed
    assert gated(images.second(gained=40), Policy(accuracy=two_sided)).passed


def test_entries_share_alpha(gated, images):
    """7 of 7 lost fail alone at 1 %, and not as one of two entries at 0.5 %."""
    second = images.second(lost=7)
    before = {"backbone.softmax": images.first, "backbone.svm": images.first}
    assert not gated(second).passed
    verdict = gated(before=before, entries={"backbone.softmax": second, "backbone.svm": second})
    assert verdict.passed
    assert [one.alpha for one in verdict.accuracy] == [0.005, 0.005]


@pytest.mark.parametrize(("points", "passed"), [(3, True), (1.5, False)])
def test_a_gate_that_could_not_have_found_enough_fails_if_asked(gated, images, points, passed):
    """26 disagreements: about two points could be found."""
    rules = AccuracyPolicy(must_find_points=points)
    verdict = gated(images.second(lost=13, gained=13), Policy(accuracy=rules))
    assert verdict.passed is passed
    assert _outcomes(verdict, "fine enough")["backbone.softmax"] == ("pass" if passed else "fail")


def test_the_verdict_says_what_it_could_have_found(gated, images):
    """At 2.6 % disagreement: 1.9 points, and one point with several thousand images."""
    found = gated(images.second(lost=13, gained=13)).accuracy[0].sensitivity
    assert found.disagreement_fraction == pytest.approx(26 / 1017)
    assert found.smallest_drop_fraction == pytest.approx(0.0193, abs=0.0005)
    assert found.finer_drop_fraction == 0.01
    assert 3500 < found.finer_n_images < 4500


def test_ten_percent_disagreement_needs_seventeen_hundred_images(gated, images):
    """The example of the request: three points at 10 % disagreement."""
    found = gated(images.second(lost=52, gained=50)).accuracy[0].sensitivity
    assert found.smallest_drop_fraction > 0.03
    assert found.finer_drop_fraction == 0.03
    assert 1700 < found.finer_n_images < 1850


# Failing closed


def test_a_missing_entry_fails(gated, images):
    before = {"backbone.softmax": images.first, "backbone.knn": images.first}
    verdict = gated(images.first, before=before)
    assert not verdict.passed
    assert _outcomes(verdict, "present") == {"backbone.knn": "fail"}
    assert "which has: backbone.softmax" in _text(verdict, "present")


def test_an_entry_more_is_said_and_passes(gated, images):
    verdict = gated(entries={"backbone.softmax": images.first, "backbone.knn": images.first})
    assert verdict.passed
    assert any("not in the baseline, so not judged: backbone.knn" in c for c in verdict.cautions)


def test_other_data_fail(gated, images):
    verdict = gated(images.first, dataset={"fingerprint": "f" * 64})
    assert not verdict.passed
    assert "other data: cifar10 ffffffffffff" in _text(verdict, "same data")
    assert verdict.accuracy == ()


def test_the_same_data_under_another_path_pass(gated, images):
    """folder:photos here, folder:/srv/photos there."""
    assert gated(images.first, dataset={"name": "folder:/srv/photos"}).passed


def test_fewer_images_fail(gated, few_images):
    fewer = few_images(500, 450)
    verdict = gated(fewer.first, data=fewer)
    assert not verdict.passed
    assert "fewer images: 500 of the baseline's 1,017" in _text(verdict, "same data")


def test_more_images_fail(gated, few_images):
    more = few_images(1018, 900)
    assert "other images" in _text(gated(more.first, data=more), "same data")


@pytest.mark.parametrize("what", ["index", "labels"])
def test_other_rows_and_other_labels_fail(gated, few_images, what):
    """Whatever the fingerprint of the data says."""
    others = few_images()
    setattr(others, what, np.roll(getattr(others, what), 1))
    verdict = gated(others.first, data=others)
    assert not verdict.passed
    assert "other" in _text(verdict, "same data")


def test_a_run_without_predictions_fails(save, images, tmp_path):
    output = tmp_path / "work" / "runs"
    folder = save("a", images, {"backbone.softmax": images.first})
    baseline = make_baseline(open_side("a", output))
    (folder / "predictions.npz").unlink()
    verdict = judge_run(open_side("a", output), baseline)
    assert not verdict.passed
    assert "no predictions.npz" in _text(verdict, "same data")


def test_a_run_without_accuracy_fails(save, images, tmp_path):
    output = tmp_path / "work" / "runs"
    save("a", images, {"backbone.softmax": images.first})
    side = open_side("a", output)
    bare = replace(side.run, accuracy=(), dataset=None)
    verdict = judge_run(replace(side, run=bare), make_baseline(side))
    assert "the run has no accuracy" in _text(verdict, "same data")


def test_a_damaged_baseline_is_an_error(save, images, tmp_path):
    output = tmp_path / "work" / "runs"
    save("a", images, {"backbone.softmax": images.first})
    side = open_side("a", output)
    baseline = make_baseline(side)
    entry = baseline.accuracy[0]
    packed = replace(entry.predictions, data="AAAA")
    damaged = replace(baseline, accuracy=(replace(entry, predictions=packed),))
    with pytest.raises(GateError, match=r"predictions backbone.softmax cannot be unpacked"):
        judge_run(side, damaged)


def test_a_policy_that_judges_nothing_is_an_error(gated, images):
    """An empty gate would pass everything."""
    policy = Policy(accuracy=AccuracyPolicy(test="none"))
    with pytest.raises(GateError, match="Nothing was judged"):
        gated(images.first, policy)


def test_changed_parameters_are_said(save, images, tmp_path):
    """They may explain a drop, and are no drop."""
    output = tmp_path / "work" / "runs"
    save("a", images, {"backbone.softmax": images.first})
    side = open_side("a", output)
    result = replace(side.run.accuracy[0], params={"C": 0.5})
    environment = replace(side.run.environment, libraries={"numpy": "9.9"})
    run = replace(side.run, accuracy=(result,), environment=environment)
    verdict = judge_run(replace(side, run=run), make_baseline(side))
    assert any("C 1.0 -> 0.5" in caution for caution in verdict.cautions)
    assert any("-> 9.9" in caution for caution in verdict.cautions)


# Latency

STEADY = tuple(0.010 + 0.00001 * (i * 37 % 100) for i in range(100))


@pytest.fixture
def timed(gated, images, old_run):
    """Judge a run whose times are these many times those of the baseline."""

    def judge(factor=1.0, policy=None, *, environment=None, samples=STEADY, **changes):
        first = replace(old_run.latency[0], samples_s=samples, verdict="VALID")
        slower = tuple(factor * sample for sample in samples)
        second = replace(first, samples_s=slower, **changes)
        run = {"latency": (second,)}
        if environment:
            run["environment"] = replace(old_run.environment, **environment)
        rules = Policy(latency=policy or LatencyPolicy())
        return gated(images.first, rules, base={"latency": (first,)}, **run)

    return judge


@pytest.mark.parametrize(("factor", "passed"), [(0.5, True), (1.4, True), (1.6, False)])
def test_a_slow_run_fails(timed, factor, passed):
    """The default bears 1.5 times; the interval of these samples is narrow."""
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
    assert not timed(1.2, just_outside).passed


UNLIKE = {
    "cpu": ({"environment": {"cpu": "Other CPU"}}, "another machine (cpu Example CPU @ 2.00GHz"),
    "cpus": ({"environment": {"cpus_usable": 99}}, "cpus_usable"),
    "governor": ({"environment": {"governor": "powersave"}}, "governor"),
    "gpu": ({"environment": {"gpus": ()}}, "gpus"),
    "threads": ({"threads": 7}, "threads 2 against 7"),
    "provider": ({"provider": "CUDAExecutionProvider"}, "provider"),
    "shape": ({"input_shape": (9, 9, 3)}, "input_shape"),
    "invalid": ({"verdict": "INVALID"}, "the timing of the run is INVALID"),
    "interrupted": ({"complete": False}, "the timing of the run is INVALID"),
    "few": ({"samples": STEADY[:5]}, "too few independent samples"),
}


@pytest.mark.parametrize(("changes", "said"), UNLIKE.values(), ids=UNLIKE)
def test_what_cannot_be_compared_is_not_judged_and_said(timed, changes, said):
    """Three times as slow, but nobody can know: skipped, or failed where the policy says so."""
    verdict = timed(3, **changes)
    assert verdict.passed
    assert _outcomes(verdict, "latency") == {"single batch 1": "skip"}
    assert said in _text(verdict, "latency")
    strict = timed(3, LatencyPolicy(not_judged="fail"), **changes)
    assert not strict.passed
    assert said in _text(strict, "latency")


def test_the_precision_may_differ(timed):
    """Whether the conversion is slower is the question."""
    assert not timed(2, precision="int8").passed


def test_a_missing_timing_fails(gated, images, old_run):
    verdict = gated(images.first, base={"latency": old_run.latency})
    assert not verdict.passed
    assert _outcomes(verdict, "present") == {"single batch 1": "fail", "batch batch 32": "fail"}
    policy = Policy(latency=LatencyPolicy(judge=False))
    assert gated(images.first, policy, base={"latency": old_run.latency}).passed


# Drift


def _drift(cosine):
    interval = Interval(low=0, high=0, method="test")
    paired = PairedDifference(
        n_images=9,
        only_first_correct=0,
        only_second_correct=0,
        difference_fraction=0,
        interval=interval,
        p_value=1,
    )
    return FeatureDrift(
        label="int8",
        reference="fp32",
        relative_error=0.1,
        smallest_cosine=cosine,
        median_cosine=1,
        head="softmax",
        reference_fraction=1,
        fraction=1,
        paired=paired,
    )


@pytest.mark.parametrize(("cosine", "passed"), [(0.91, True), (0.85, True), (0.79, False)])
def test_a_drift_that_is_too_large_fails(gated, images, cosine, passed):
    """At 0.79 a refitted head had lost a point and a half; see docs/precisions.md."""
    verdict = gated(images.first, drifts=(_drift(cosine),))
    assert verdict.passed is passed
    assert _outcomes(verdict, "smallest cosine") == {
        "int8 against fp32": "pass" if passed else "fail"
    }


def test_a_missing_drift_fails(gated, images):
    base = {"drifts": (_drift(0.9),)}
    verdict = gated(images.first, base=base)
    assert _outcomes(verdict, "present") == {"int8 against fp32": "fail"}
    assert gated(images.first, Policy(drift=DriftPolicy(judge=False)), base=base).passed


def test_the_drift_of_a_conversion_is_in_the_card(gated, images, old_run):
    sample = ImageSample(
        dataset="cifar10", fingerprint="f", seed=0, n_calibration=128, n_held_out=64
    )
    lowering = Lowering(
        precision="int8",
        method="test",
        software={},
        source_sha256="a" * 64,
        images=sample,
        drift=Drift(n_images=64, min_cosine=0.5, mean_cosine=0.9, median_rel=0.1),
    )
    model = replace(
        old_run.model, card=replace(old_run.model.card, precision="int8", lowering=lowering)
    )
    verdict = gated(images.first, model=model)
    assert _outcomes(verdict, "smallest cosine") == {"conversion to int8": "fail"}
    # and the other way round: fp32 has not been converted, and misses nothing
    assert gated(images.first, base={"model": model}).passed
