"""Whole runs at a lower precision: both heads, from one store."""

from dataclasses import replace

import numpy as np
import pytest

from tlbench.cli.repeat import repeat_command
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.records import Interval, LatencyRatio, decode_run, encode_run
from tlbench.reports.console import render
from tlbench.workflows import RunConfig, TimingConfig, extract_dataset_split, run, run_benchmark
from tlbench.workflows.steps import context


@pytest.fixture
def config(backbone, tmp_path):
    """200 + 100 digits, the block backbone in int8, one head."""
    return RunConfig(
        model="block",
        heads=("centroid",),
        precision="int8",
        limit_train=200,
        limit_test=100,
        latency=False,
        cache_dir=tmp_path / "cache",
    )


def _kinds(result):
    return [(one.features, one.fitted_on) for one in result.accuracy]


def test_both_heads_are_reported(config):
    """Refitted on int8 features, and fitted on fp32 features; each with its predictions."""
    outcome = run_benchmark(config)
    assert _kinds(outcome.result) == [("backbone", None), ("backbone", "fp32"), ("pixels", None)]
    for one, name in zip(
        outcome.result.accuracy, ["backbone", "backbone-fp32", "pixels"], strict=True
    ):
        predicted = outcome.predictions[f"{name}.centroid"]
        assert (predicted == outcome.predictions["labels"]).sum() == one.n_correct
    assert outcome.result.model.card.precision == "int8"
    assert any("backbone*: the head was fitted on fp32" in c for c in outcome.result.warnings)


def test_the_fp32_head_is_fitted_on_fp32_features_and_tested_on_int8(config):
    """The same head, fitted by hand on an fp32 run's features, predicts the same."""
    from tlbench.heads import HEADS

    outcome = run_benchmark(config)
    train = extract_dataset_split(replace(config, precision="fp32"), "train", Silent())
    test = extract_dataset_split(config, "test", Silent())
    head = HEADS.load("centroid")
    estimator = head.build(dict(head.defaults), config.seed)
    estimator.fit(train.features, train.labels)
    np.testing.assert_array_equal(
        outcome.predictions["backbone-fp32.centroid"], estimator.predict(test.features)
    )


def test_an_fp32_run_before_has_filled_the_store(config, backbone):
    """The fp32 features and the fp32 file are those of the fp32 run."""
    run_benchmark(replace(config, precision="fp32"))
    n_entries = len(list(config.cache_dir.glob("store/**/features.npy")))
    run_benchmark(config)
    # train and test in int8 are new, and nothing else
    assert len(list(config.cache_dir.glob("store/**/features.npy"))) == n_entries + 2
    assert backbone.n_exports == 1


def test_a_second_run_takes_both_heads_from_the_store(config):
    first, second = run_benchmark(config), run_benchmark(config)
    assert all(one.from_store for one in second.result.accuracy)
    assert _kinds(second.result) == _kinds(first.result)


def test_an_fp32_run_has_one_head(config):
    result = run_benchmark(replace(config, precision="fp32")).result
    assert _kinds(result) == [("backbone", None), ("pixels", None)]
    assert not any("backbone*" in warning for warning in result.warnings)


def test_calibration_is_on_the_datasets_train_rows(config):
    """Those that the limits leave."""
    card = run_benchmark(config).result.model.card
    images = card.conversion.images
    assert (images.dataset, images.split) == ("digits", "train")
    assert images.n_calibration + images.n_held_out <= config.limit_train


def test_a_processor_that_saturates_gets_seven_bits(config, monkeypatch):
    for saturates in (True, False):
        monkeypatch.setattr(context, "int8_saturates", lambda answer=saturates: answer)
        card = run_benchmark(config).result.model.card
        assert card.conversion.reduce_range is saturates


def test_latency_alone_calibrates_on_the_default_dataset(config):
    result = run_benchmark(replace(config, accuracy=False, latency=True)).result
    assert {one.precision for one in result.latency} == {"int8"}
    assert result.dataset is None
    assert result.model.card.conversion.images.dataset == "digits"


def test_the_run_survives_its_json_and_shows_both_heads(config):
    result = run_benchmark(config).result
    assert decode_run(encode_run(result), "run.json") == result
    text = render(result)
    assert "int8" in text.splitlines()[0]
    assert "centroid fitted on fp32 " in text
    accuracy_table = text.partition("Accuracy")[2].partition("Metrics")[0]
    assert sum(line.split()[:1] == ["backbone*"] for line in accuracy_table.splitlines()) == 1
    assert max(map(len, text.splitlines())) <= 80
    assert "--precision int8" in repeat_command(config)


def test_the_headline_is_about_the_refitted_head(config):
    """However good the other one is: it is an answer to another question."""
    result = run_benchmark(config).result
    refitted, other, *rest = result.accuracy
    better = replace(other, n_correct=100, accuracy_fraction=1.0)
    text = render(replace(result, accuracy=(refitted, better, *rest)))
    (line,) = (line for line in text.splitlines() if "centroid on backbone" in line)
    assert f"{100 * refitted.accuracy_fraction:.1f} %" in line


def test_an_unknown_precision_is_found_before_any_work(config, backbone):
    with pytest.raises(UnknownNameError, match="Did you mean 'int8'.*Known: fp32, fp16, int8"):
        run_benchmark(replace(config, precision="int4"))
    assert backbone.n_exports == 0


def test_a_file_at_a_precision_is_refused_before_its_data_are_loaded(config, block_path):
    with pytest.raises(ConfigError, match="is a file"):
        run_benchmark(replace(config, model=str(block_path), dataset="cifar10"))


def test_without_a_cache_both_heads_are_there(config):
    result = run_benchmark(replace(config, cache=False)).result
    assert _kinds(result)[:2] == [("backbone", None), ("backbone", "fp32")]
    assert not (config.cache_dir / "models").exists()


QUICK = TimingConfig(
    scenarios=("single",), min_samples=3, min_duration_s=0.0, costs=False, extend_until_steady=False
)


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

    def contested(ratio):
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
        monkeypatch.setattr(run, "against_full_precision", lambda *_: (found,))
        return run_benchmark(replace(config, latency=True, timing=QUICK)).result.warnings

    slower = "int8 is slower than fp32 on this machine: 1.50 times the time [1.40, 1.60]"
    assert any(warning.startswith(slower) for warning in contested(1.5))
    assert not any("slower" in warning for warning in contested(1.05))
    assert not any("slower" in warning for warning in contested(0.6))


def test_an_fp32_run_is_held_against_nothing(config):
    result = run_benchmark(replace(config, precision="fp32", latency=True, timing=QUICK)).result
    assert result.ratios == ()
