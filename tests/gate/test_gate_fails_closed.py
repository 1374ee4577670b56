"""The gate fails closed: what is missing, damaged or different never passes."""

import dataclasses

import numpy as np
import pytest

from tlbench.compare import open_compared_run
from tlbench.core.errors import GateError
from tlbench.gate import AccuracyPolicy, Policy, judge_run, make_baseline

replace = dataclasses.replace


def test_a_missing_entry_fails(gated, images, outcomes, text_of):
    before = {"backbone.softmax": images.first, "backbone.knn": images.first}
    verdict = gated(images.first, before=before)
    assert not verdict.passed
    assert outcomes(verdict, "present") == {"backbone.knn": "fail"}
    assert "which has: backbone.softmax" in text_of(verdict, "present")


def test_an_entry_more_is_said_and_passes(gated, images):
    entries = dict.fromkeys(("backbone.softmax", "backbone.knn", "backbone.mlp"), images.first)
    verdict = gated(entries=entries)
    assert verdict.passed
    expected = "not in the baseline, so not judged: backbone.knn, backbone.mlp"
    assert verdict.warnings == (expected,)


def test_other_data_fail(gated, images, text_of):
    verdict = gated(images.first, dataset={"fingerprint": "f" * 64})
    assert not verdict.passed
    assert "other data: cifar10 ffffffffffff" in text_of(verdict, "same data")
    assert verdict.accuracy == ()


def test_the_same_data_under_another_path_pass(gated, images):
    """folder:photos here, folder:/srv/photos there."""
    assert gated(images.first, dataset={"name": "folder:/srv/photos"}).passed


def test_fewer_images_fail(gated, few_images, text_of):
    fewer = few_images(500, 450)
    verdict = gated(fewer.first, data=fewer)
    assert not verdict.passed
    assert "fewer images: 500 of the baseline's 1,017" in text_of(verdict, "same data")


def test_more_images_fail(gated, few_images, text_of):
    more = few_images(1018, 900)
    assert "other images" in text_of(gated(more.first, data=more), "same data")


@pytest.mark.parametrize("what", ["index", "labels"])
def test_other_rows_and_other_labels_fail(gated, few_images, what, text_of):
    """Whatever the fingerprint of the data says."""
    others = few_images()
    setattr(others, what, np.roll(getattr(others, what), 1))
    verdict = gated(others.first, data=others)
    assert not verdict.passed
    assert "other" in text_of(verdict, "same data")


def test_a_run_without_predictions_fails(save, images, tmp_path, text_of):
    output = tmp_path / "work" / "runs"
    folder = save("a", images, {"backbone.softmax": images.first})
    baseline = make_baseline(open_compared_run("a", output))
    (folder / "predictions.npz").unlink()
    verdict = judge_run(open_compared_run("a", output), baseline)
    assert not verdict.passed
    expected = "there is no predictions.npz beside the run's run.json"
    assert text_of(verdict, "same data") == expected


def test_a_floor_fails_without_predictions(save, images, tmp_path, text_of):
    """Nothing says how many images were right."""
    output = tmp_path / "work" / "runs"
    folder = save("a", images, {"backbone.softmax": images.first})
    baseline = make_baseline(open_compared_run("a", output))
    (folder / "predictions.npz").unlink()
    policy = Policy(accuracy=AccuracyPolicy(floors_percent={"backbone.softmax": 10.0}))
    verdict = judge_run(open_compared_run("a", output), baseline, policy)
    assert text_of(verdict, "floor") == (
        "must be at least 10 %, but the run has no such entry, only: none"
    )


def test_a_run_without_accuracy_fails(save, images, tmp_path, text_of):
    output = tmp_path / "work" / "runs"
    save("a", images, {"backbone.softmax": images.first})
    compared = open_compared_run("a", output)
    bare = replace(compared.run, accuracy=(), dataset=None)
    verdict = judge_run(replace(compared, run=bare), make_baseline(compared))
    assert text_of(verdict, "same data") == (
        "the run has no accuracy: make it with `tlbench evaluate` or `tlbench run`"
    )


def test_a_baseline_that_does_not_name_its_data_fails(save, images, tmp_path, outcomes, text_of):
    """Its predictions cannot be compared with any."""
    output = tmp_path / "work" / "runs"
    save("a", images, {"backbone.softmax": images.first})
    compared = open_compared_run("a", output)
    verdict = judge_run(compared, replace(make_baseline(compared), data=None))
    assert outcomes(verdict, "same data") == {"predictions": "fail"}
    assert text_of(verdict, "same data") == (
        "the baseline has predictions but does not say for what data"
    )


def test_the_same_data_are_named(gated, images, outcomes, text_of):
    verdict = gated(images.first)
    assert outcomes(verdict, "same data") == {"cifar10": "pass"}
    expected = "1,017 test images, the same in the same order"
    assert text_of(verdict, "same data") == expected


def test_a_damaged_baseline_is_an_error(save, images, tmp_path):
    output = tmp_path / "work" / "runs"
    save("a", images, {"backbone.softmax": images.first})
    compared = open_compared_run("a", output)
    baseline = make_baseline(compared)
    entry = baseline.accuracy[0]
    packed = replace(entry.predictions, data="AAAA")
    damaged = replace(baseline, accuracy=(replace(entry, predictions=packed),))
    with pytest.raises(GateError, match=r"predictions backbone.softmax cannot be unpacked"):
        judge_run(compared, damaged)


def test_a_policy_that_judges_nothing_is_an_error(gated, images):
    """An empty gate would pass everything."""
    policy = Policy(accuracy=AccuracyPolicy(test="none"))
    with pytest.raises(GateError) as refused:
        gated(images.first, policy)
    assert str(refused.value) == (
        "Nothing was judged, so there is no verdict: no rule applies. Save a baseline with "
        "predictions, measure on the baseline's machine, or enable a rule."
    )


def test_a_verdict_names_its_run_its_baseline_and_its_policy(save, images, tmp_path):
    output = tmp_path / "work" / "runs"
    save("a", images, {"backbone.softmax": images.first})
    compared = open_compared_run("a", output)
    baseline = make_baseline(compared)
    verdict = judge_run(compared, baseline)
    assert (verdict.run, verdict.baseline_run) == ("a", "a")
    assert (verdict.baseline_file, verdict.policy_source) == ("", "default")
    assert verdict.model == verdict.baseline_model == baseline.model
    named = judge_run(compared, baseline, baseline_file="b.json", policy_source="gate.toml")
    assert (named.baseline_file, named.policy_source) == ("b.json", "gate.toml")


def test_changed_parameters_are_said(save, images, tmp_path):
    """They may explain a drop, but are not a drop."""
    output = tmp_path / "work" / "runs"
    save("a", images, {"backbone.softmax": images.first})
    compared = open_compared_run("a", output)
    result = replace(compared.run.accuracy[0], params={"C": 0.5})
    environment = replace(compared.run.environment, libraries={"numpy": "9.9"})
    run = replace(compared.run, accuracy=(result,), environment=environment)
    verdict = judge_run(replace(compared, run=run), make_baseline(compared))
    assert verdict.warnings == (
        (
            "backbone.softmax: parameters changed: C 1.0 -> 0.5, max_iter 1000 -> none, "
            "standardise True -> none"
        ),
        (
            "libraries changed since the baseline: numpy 2.4.6 -> 9.9, onnx 1.23.2 -> none, "
            "onnxruntime-gpu 1.31.1 -> none, scikit-learn 1.9.0 -> none"
        ),
    )
