"""Whole runs at a lower precision: both heads, from one store."""

from dataclasses import replace

import numpy as np
import pytest

from tlbench.cli.repeat import repeat_command
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.records import Interval, LatencyRatio, decode_run, encode_run
from tlbench.reports.console import render
from tlbench.workflows import TimingConfig, extract_dataset_split, run, run_benchmark
from tlbench.workflows.steps import context

QUICK = TimingConfig(
    scenarios=("single",), min_samples=3, min_duration_s=0.0, costs=False, extend_until_steady=False
)


@pytest.fixture
def config(backbone, int8_config, tmp_path):
    """The same with a cache of its own, for tests that run it."""
    return replace(int8_config, cache_dir=tmp_path / "cache")


def _kinds(result):
    return [(one.features, one.fitted_on) for one in result.accuracy]


def test_both_heads_are_reported(int8_outcome):
    """Refitted on int8 features, and fitted on fp32 features; each with its predictions."""
    outcome = int8_outcome
    assert _kinds(outcome.result) == [("backbone", None), ("backbone", "fp32"), ("pixels", None)]
    for one, name in zip(
        outcome.result.accuracy, ["backbone", "backbone-fp32", "pixels"], strict=True
    ):
        predicted = outcome.predictions[f"{name}.centroid"]
        assert (predicted == outcome.predictions["labels"]).sum() == one.n_correct
    assert outcome.result.model.card.precision == "int8"
    assert any("backbone*: the head was fitted on fp32" in c for c in outcome.result.warnings)


@pytest.mark.usefixtures("backbone")
def test_the_fp32_head_is_fitted_on_fp32_features_and_tested_on_int8(int8_config, int8_outcome):
    """The same head, fitted by hand on an fp32 run's features, predicts the same."""
    from tlbench.heads import HEADS

    train = extract_dataset_split(replace(int8_config, precision="fp32"), "train", Silent())
    test = extract_dataset_split(int8_config, "test", Silent())
    head = HEADS.load("centroid")
    estimator = head.build(dict(head.defaults), int8_config.seed)
    estimator.fit(train.features, train.labels)
    np.testing.assert_array_equal(
        int8_outcome.predictions["backbone-fp32.centroid"], estimator.predict(test.features)
    )


def test_an_fp32_run_before_has_filled_the_store(config, backbone):
    """The fp32 features and the fp32 file are those of the fp32 run."""
    run_benchmark(replace(config, precision="fp32"))
    n_entries = len(list(config.cache_dir.glob("store/**/features.npy")))
    run_benchmark(config)
    # train and test in int8 are new, and nothing else
    assert len(list(config.cache_dir.glob("store/**/features.npy"))) == n_entries + 2
    assert backbone.n_exports == 1


@pytest.mark.usefixtures("backbone")
def test_a_second_run_takes_both_heads_from_the_store(int8_config, int8_outcome):
    second = run_benchmark(int8_config)
    assert all(one.from_store for one in second.result.accuracy)
    assert _kinds(second.result) == _kinds(int8_outcome.result)


def test_an_fp32_run_has_one_head(config):
    result = run_benchmark(replace(config, precision="fp32")).result
    assert _kinds(result) == [("backbone", None), ("pixels", None)]
    assert not any("backbone*" in warning for warning in result.warnings)


def test_calibration_is_on_the_datasets_train_rows(int8_config, int8_outcome):
    """Those that the limits leave."""
    card = int8_outcome.result.model.card
    images = card.conversion.images
    assert (images.dataset, images.split) == ("digits", "train")
    assert images.n_calibration + images.n_held_out <= int8_config.limit_train


def test_a_processor_that_saturates_gets_seven_bits(config, monkeypatch):
    for saturates in (True, False):
        monkeypatch.setattr(context, "int8_saturates", lambda answer=saturates: answer)
        card = run_benchmark(config).result.model.card
        assert card.conversion.reduce_range is saturates


def test_latency_alone_calibrates_on_the_default_dataset(config):
    result = run_benchmark(replace(config, accuracy=False, latency=True, timing=QUICK)).result
    assert {one.precision for one in result.latency} == {"int8"}
    assert result.dataset is None
    assert result.model.card.conversion.images.dataset == "digits"


def test_the_run_survives_its_json_and_shows_both_heads(int8_config, int8_outcome):
    result = int8_outcome.result
    assert decode_run(encode_run(result), "run.json") == result
    text = render(result)
    assert "int8" in text.splitlines()[0]
    assert "centroid fitted on fp32 " in text
    accuracy_table = text.partition("Accuracy")[2].partition("Metrics")[0]
    assert sum(line.split()[:1] == ["backbone*"] for line in accuracy_table.splitlines()) == 1
    assert max(map(len, text.splitlines())) <= 80
    assert "--precision int8" in repeat_command(int8_config)


def test_the_headline_is_about_the_refitted_head(int8_outcome):
    """However good the other one is: it is an answer to another question."""
    result = int8_outcome.result
    refitted, other, *rest = result.accuracy
    better = replace(other, n_correct=100, accuracy_fraction=1.0)
    text = render(replace(result, accuracy=(refitted, better, *rest)))
    (line,) = (line for line in text.splitlines() if "centroid on backbone" in line)
    assert f"{100 * refitted.accuracy_fraction:.1f} %" in line


def test_an_unknown_precision_is_found_before_any_work(config, backbone):
    with pytest.raises(UnknownNameError, match="Did you mean 'int8'.*Known: fp32, fp16, int8"):
        run_benchmark(replace(config, precision="int4"))
    assert backbone.n_exports == 0


def test_a_file_that_cannot_be_converted_is_refused_before_data_are_loaded(config, foreign_path):
    with pytest.raises(ConfigError, match="has no model card"):
        run_benchmark(replace(config, model=str(foreign_path), dataset="cifar10"))


def test_without_a_cache_both_heads_are_there(config):
    result = run_benchmark(replace(config, cache=False)).result
    assert _kinds(result)[:2] == [("backbone", None), ("backbone", "fp32")]
    assert not (config.cache_dir / "models").exists()


def test_a_timing_is_held_against_fp32_in_turns(config):
    """Whether a conversion is faster at all is measured, not taken for granted."""
    result = run_benchmark(replace(config, latency=True, timing=QUICK)).result
    (ratio,) = result.ratios
    assert (ratio.label, ratio.reference, ratio.scenario) == ("int8", "fp32", "single")
    assert ratio.n_blocks >= 10
    assert "precision" in ratio.unlike
    assert not result.models_under_test
    # of the run itself; the turns have a record of their own
    assert [one.scenario for one in result.latency] == ["single"]


def test_a_slower_conversion_is_said_to_be(config, monkeypatch):
    """The warning names the ratio and its interval; a faster one needs no warning."""

    def warnings_at(ratio):
        interval = Interval(low=ratio - 0.1, high=ratio + 0.1, method="by hand")
        found = LatencyRatio(
            label="int8",
            reference="fp32",
            scenario="single",
            batch_size=1,
            boundary="numpy->numpy",
            ratio=ratio,
            interval=interval,
            n_blocks=10,
        )
        monkeypatch.setattr(run, "compare_with_full_precision", lambda *_: (found,))
        return run_benchmark(replace(config, latency=True, timing=QUICK)).result.warnings

    slower = "int8 is slower than fp32 on this machine: it takes 1.50 times as long [1.40, 1.60]"
    assert any(warning.startswith(slower) for warning in warnings_at(1.5))
    assert not any("slower" in warning for warning in warnings_at(1.05))
    assert not any("slower" in warning for warning in warnings_at(0.6))


def test_an_fp32_run_is_held_against_nothing(config):
    result = run_benchmark(replace(config, precision="fp32", latency=True, timing=QUICK)).result
    assert result.ratios == ()
