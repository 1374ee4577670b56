"""The gate's rules for accuracy: significance, points, floors, fineness."""

import pytest
from msgspec.structs import replace

from tlbench.compare import open_compared_run
from tlbench.gate import AccuracyPolicy, Policy, judge_run, make_baseline


def test_the_same_predictions_pass(gated, images, outcomes):
    verdict = gated(images.first)
    assert verdict.passed
    assert outcomes(verdict, "same data") == {"cifar10": "pass"}
    assert outcomes(verdict, "no significant drop") == {"backbone.softmax": "pass"}
    assert verdict.accuracy[0].n_differing == 0


def test_a_drop_of_three_points_fails(gated, images, outcomes):
    """41 lost, 10 gained: at 5 % disagreement."""
    verdict = gated(images.second(lost=41, gained=10))
    assert not verdict.passed
    assert outcomes(verdict, "no significant drop") == {"backbone.softmax": "fail"}
    assert verdict.accuracy[0].p_value < 0.001


@pytest.mark.parametrize(("lost", "gained"), [(13, 13), (17, 13), (30, 20), (10, 41)])
def test_a_good_int8_within_noise_passes(gated, images, lost, gained):
    """The first two are what int8 Lite0 did in docs/results; one point within noise; better."""
    assert gated(images.second(lost=lost, gained=gained)).passed


ONE_POINT = {"lost": 30, "gained": 20}  # 10 of 1,017 images: p is 0.10 one-sided


def test_one_point_within_noise_fails_an_absolute_floor(gated, images, outcomes, text_of):
    """877 of 1,017 are 86.23 %: not a significant drop from 87.22 %, and below a floor of 86.5."""
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"backbone.softmax": 86.5}))
    verdict = gated(images.second(**ONE_POINT), policy)
    assert not verdict.passed
    assert outcomes(verdict, "no significant drop") == {"backbone.softmax": "pass"}
    assert outcomes(verdict, "floor") == {"backbone.softmax": "fail"}
    assert "86.23 % (877 of 1,017); at least 86.5 %" in text_of(verdict, "floor")


def test_a_floor_is_met_by_equality(gated, images):
    """The accuracy of the baseline itself, to the last image."""
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"backbone.softmax": 100 * 887 / 1017}))
    assert gated(images.first, policy).passed
    assert not gated(images.second(lost=1), policy).passed


def test_a_floor_of_an_entry_that_is_not_there_fails(gated, images, text_of):
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"backbone.svm": 10}))
    verdict = gated(images.first, policy)
    assert not verdict.passed
    assert "no such entry, only: backbone.softmax" in text_of(verdict, "floor")


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
def test_a_gate_that_could_not_have_found_enough_fails_if_asked(
    gated, images, points, passed, outcomes
):
    """26 disagreements: about two points could be found."""
    rules = AccuracyPolicy(must_find_points=points)
    verdict = gated(images.second(lost=13, gained=13), Policy(accuracy=rules))
    assert verdict.passed is passed
    assert outcomes(verdict, "fine enough")["backbone.softmax"] == ("pass" if passed else "fail")
    (check,) = [check for check in verdict.checks if check.rule == "fine enough"]
    assert check.text == (
        f"finds drops from 1.9 points with 95 % power; must find {points:g} points"
    )


def test_six_images_can_find_no_drop(save, few_images, tmp_path, text_of):
    """All six lost has a probability of 1/64 by chance: more than 1 %."""
    few, output = few_images(6, 5), tmp_path / "work" / "runs"
    save("few", few, {"backbone.softmax": few.first})
    compared = open_compared_run("few", output)
    rules = Policy(accuracy=AccuracyPolicy(must_find_points=99))
    verdict = judge_run(compared, make_baseline(compared), rules)
    assert not verdict.passed
    assert text_of(verdict, "fine enough") == ("finds no drop with 95 % power; must find 99 points")
    assert text_of(verdict, "no significant drop") == (
        "+0.0 points, p 1.000 (one-sided); fails if p is at most 0.01 and more than 0.5 points are "
        "lost"
    )


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
