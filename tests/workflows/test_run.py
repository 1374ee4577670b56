"""Whole runs on a tiny backbone: what is measured, kept, reused and refused."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlbench.cli.repeat import repeat_command
from tlbench.core.errors import ConfigError, DataError, ModelError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.engine import Session
from tlbench.records import decode_run, encode_run
from tlbench.workflows import extract_dataset_split, run_benchmark


def test_a_run_has_the_backbone_and_the_baseline_for_each_head(config):
    result = run_benchmark(replace(config, heads=("centroid", "knn"))).result
    assert [(r.features, r.head, r.baseline) for r in result.accuracy] == [
        ("backbone", "centroid", False),
        ("backbone", "knn", False),
        ("pixels", "centroid", True),
        ("pixels", "knn", True),
    ]


def test_counts_intervals_and_predictions_agree(config):
    """The accuracy is that of the stored predictions, and lies inside its interval."""
    outcome = run_benchmark(config)
    for result in outcome.result.accuracy:
        predicted = outcome.predictions[f"{result.features}.{result.head}"]
        n_correct = int((predicted == outcome.predictions["labels"]).sum())
        assert n_correct == result.n_correct
        assert result.accuracy_fraction == n_correct / 100
        assert result.interval.low <= result.accuracy_fraction <= result.interval.high


@pytest.mark.parametrize("again", [False, True], ids=["first run", "heads from the store"])
def test_each_baseline_is_compared_with_the_backbone_image_by_image(config, again):
    """The same head on both, counted from the stored predictions; none for the backbone itself."""
    config = replace(config, heads=("centroid", "knn"), baselines=("pixels", "hog"))
    outcome = run_benchmark(config)
    if again:
        outcome = run_benchmark(config)
        assert all(one.from_store for one in outcome.result.accuracy)
    labels = outcome.predictions["labels"]
    right = {entry: outcome.predictions[entry] == labels for entry in outcome.predictions}
    for one in outcome.result.accuracy:
        if not one.baseline:
            assert one.to_backbone is None
            continue
        pair = right[f"{one.features}.{one.head}"], right[f"backbone.{one.head}"]
        found = one.to_backbone
        assert found.only_first_correct == int((pair[0] & ~pair[1]).sum())
        assert found.only_second_correct == int((pair[1] & ~pair[0]).sum())
        assert found.difference_fraction == pytest.approx(pair[1].mean() - pair[0].mean())
        assert found.n_images == 100
        assert found.interval.low <= found.difference_fraction <= found.interval.high


def test_limits_are_effective_and_said(config):
    result = run_benchmark(config).result
    assert (result.dataset.n_train, result.dataset.n_test) == (200, 100)
    assert any("limited to 200 train and 100 test" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("limits", "is_said"),
    [((898, 899), False), ((5000, 5000), False), ((897, 899), True), ((898, 898), True)],
    ids=["as many", "more", "one train image less", "one test image less"],
)
def test_a_limit_that_leaves_nothing_out_is_no_caution(config, limits, is_said):
    """The whole of a dataset is the whole, whatever the command line says."""
    limit_train, limit_test = limits
    limited = replace(config, limit_train=limit_train, limit_test=limit_test)
    warnings = run_benchmark(limited).result.warnings
    assert any("limited to" in warning for warning in warnings) == is_said


@pytest.mark.parametrize("name", ["CPU", "CPUExecutionProvider", "cpuexecutionprovider"])
def test_another_name_of_the_provider_finds_the_same_features(config, network_calls, name):
    """ONNX Runtime's name of it, or capitals."""
    first = run_benchmark(config).result
    network_calls.clear()
    second = run_benchmark(replace(config, provider=name)).result
    assert network_calls == []
    assert second.extraction == tuple(replace(one, from_store=True) for one in first.extraction)


def test_a_second_run_takes_features_from_the_store(config, network_calls):
    """Nothing goes through the network again, and the answer is the same."""
    first = run_benchmark(config)
    assert network_calls
    network_calls.clear()
    second = run_benchmark(config)
    assert network_calls == []
    assert [r.from_store for r in first.result.extraction] == [False, False]
    assert [r.from_store for r in second.result.extraction] == [True, True]
    assert all(result.from_store for result in second.result.accuracy)
    for name, array in first.predictions.items():
        np.testing.assert_array_equal(second.predictions[name], array)


@pytest.mark.parametrize(
    "change",
    [{"limit_train": 150}, {"seed": 1}, {"provider_options": {"arena_extend_strategy": "x"}}],
    ids=lambda change: next(iter(change)),
)
def test_what_determines_features_is_in_their_key(config, network_calls, change):
    """Another limit, seed or provider option means other features."""
    run_benchmark(config)
    network_calls.clear()
    run_benchmark(replace(config, **change))
    assert network_calls


def test_other_head_parameters_fit_again_on_stored_features(config, network_calls):
    run_benchmark(replace(config, heads=("knn",)))
    network_calls.clear()
    result = run_benchmark(replace(config, heads=("knn",), head_params=("k=3",))).result
    assert network_calls == []
    assert not result.accuracy[0].from_store
    assert result.accuracy[0].params["k"] == 3


def test_without_cache_nothing_is_kept(config, network_calls):
    run_benchmark(replace(config, cache=False))
    assert not (config.cache_dir / "store").exists()
    network_calls.clear()
    run_benchmark(replace(config, cache=False))
    assert network_calls


def test_a_damaged_entry_is_said_and_computed_again(config, network_calls, recorder):
    first = run_benchmark(config)
    for path in config.cache_dir.rglob("features.npy"):
        path.write_bytes(path.read_bytes()[:-1])
    for path in config.cache_dir.rglob("predictions.npy"):
        path.unlink()
    network_calls.clear()
    second = run_benchmark(config, recorder)
    assert network_calls
    assert sum("damaged" in message for message in recorder.warnings) == 4
    assert second.result.accuracy[0].n_correct == first.result.accuracy[0].n_correct


def test_random_weights_have_no_accuracy(config, tiny_random_path):
    with pytest.raises(ModelError, match="random weights: its accuracy would mean nothing"):
        run_benchmark(replace(config, model=str(tiny_random_path)))


def test_random_weights_have_a_latency(config, tiny_random_path):
    result = run_benchmark(
        replace(config, model=str(tiny_random_path), accuracy=False, latency=True)
    ).result
    assert [r.batch_size for r in result.latency] == [1, 32]
    assert result.dataset is None
    assert result.accuracy == ()


def test_latency_keeps_raw_samples_and_warm_up_apart(config):
    result = run_benchmark(replace(config, latency=True, batch_size=4)).result
    single, batch = result.latency
    assert (single.scenario, single.batch_size) == ("single", 1)
    assert (batch.scenario, batch.batch_size) == ("offline", 4)
    for one in result.latency:
        assert len(one.samples_s) >= 11
        assert min(one.samples_s) > 0
        assert len(one.warmup_s) >= 2
        assert one.input_shape == (8, 8, 3)  # the digits themselves, not the network's input
        assert one.boundary == "numpy->numpy"
        n_images = one.batch_size * len(one.samples_s)
        assert one.images_per_s == pytest.approx(n_images / sum(one.samples_s))


def test_no_session_is_alive_while_heads_are_fitted(config, monkeypatch):
    """ONNX Runtime's idle threads would spin beside the fit."""
    import tlbench.workflows.steps.accuracy as module

    alive = []
    monkeypatch.setattr(Session, "close", lambda self: alive.clear())
    original_init = Session.__init__

    def init(self, *args, **kwargs):
        alive.append(self)
        original_init(self, *args, **kwargs)

    monkeypatch.setattr(Session, "__init__", init)
    fitted_beside = []
    original = module.evaluate_head

    def evaluate(*args, **kwargs):
        fitted_beside.append(len(alive))
        return original(*args, **kwargs)

    monkeypatch.setattr(module, "evaluate_head", evaluate)
    run_benchmark(replace(config, latency=True))
    assert fitted_beside == [0, 0]


def test_when_a_run_began_is_known_to_the_microsecond(config):
    """Runs that follow one another within a second have an order."""
    before = datetime.now(UTC).isoformat(timespec="microseconds")
    created = run_benchmark(config).result.created_at
    assert before <= created <= datetime.now(UTC).isoformat(timespec="microseconds")
    assert len(created) == len(before)


def test_a_run_survives_its_json(config):
    result = run_benchmark(replace(config, latency=True)).result
    assert decode_run(encode_run(result), "run.json") == result


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"heads": ("sofmax",)}, "Did you mean 'softmax'"),
        ({"dataset": "cifar11"}, "Did you mean 'cifar10'"),
        ({"baselines": ("pixel",)}, "Did you mean 'pixels'"),
        ({"model": "efficientnet-lite"}, "Did you mean 'efficientnet-lite"),
        ({"provider": "gpu"}, "Known: cpu, cuda"),
        ({"head_params": ("shrink=1",)}, "Did you mean 'shrink_threshold'"),
    ],
    ids=["head", "dataset", "baseline", "backbone", "provider", "parameter"],
)
def test_unknown_names_are_found_before_any_work(config, network_calls, change, match):
    with pytest.raises(UnknownNameError, match=match):
        run_benchmark(replace(config, **change))
    assert network_calls == []


@pytest.mark.parametrize("name", ["batch_size", "threads", "limit_train", "limit_test"])
@pytest.mark.parametrize("value", [0, -5])
def test_numbers_below_one_are_refused(config, name, value):
    with pytest.raises(ConfigError, match=f"{name} must be at least 1"):
        replace(config, **{name: value})


def test_the_command_repeats_the_run(config):
    """The command line is the caller's to know; the record keeps it."""
    result = run_benchmark(config, command=repeat_command(config)).result
    assert result.config.command.startswith(f"tlbench evaluate {config.model} --heads centroid")
    assert "--limit-train 200 --limit-test 100" in result.config.command


@pytest.fixture
def photos(tmp_path):
    """A folder dataset of two easy classes with images of several sizes."""
    root = tmp_path / "photos"
    generator = np.random.default_rng(0)
    for split, n_images in (("train", 12), ("test", 6)):
        for name, color in (("dark", 40), ("light", 210)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(n_images):
                size = (20 + i % 3, 30, 3)
                pixels = generator.normal(color, 20, size).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


def break_image(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def test_a_folder_of_photos_of_several_sizes_can_be_measured(config, photos):
    result = run_benchmark(
        replace(config, dataset=f"folder:{photos}", limit_train=None, limit_test=None)
    ).result
    assert (result.dataset.n_train, result.dataset.n_test) == (24, 12)
    assert result.dataset.classes == ("dark", "light")
    assert result.accuracy[0].n_test == 12
    assert result.extraction[0].n_batches > 1  # sizes differ within a batch of 32


def test_a_broken_image_is_skipped_counted_and_named(config, photos):
    """Backbone and baseline see the same readable rows."""
    break_image(photos / "test" / "dark" / "3.png")
    break_image(photos / "train" / "light" / "0.png")
    outcome = run_benchmark(
        replace(config, dataset=f"folder:{photos}", limit_train=None, limit_test=None)
    )
    result = outcome.result
    assert (result.dataset.n_train, result.dataset.n_test) == (23, 11)
    assert {s.split for s in result.dataset.skipped} == {"train", "test"}
    assert any("3.png" in skipped.reason for skipped in result.dataset.skipped)
    assert any("2 unreadable images were left out" in warning for warning in result.warnings)
    assert {r.n_test for r in result.accuracy} == {11}
    assert len(outcome.predictions["labels"]) == 11


def test_strict_fails_at_a_broken_image_even_after_a_lenient_run(config, photos):
    break_image(photos / "test" / "dark" / "3.png")
    lenient = replace(config, dataset=f"folder:{photos}", limit_train=None, limit_test=None)
    run_benchmark(lenient)
    with pytest.raises(DataError, match=r"3\.png"):
        run_benchmark(replace(lenient, strict=True))


def test_one_class_is_refused_before_the_network_runs(config, photos, network_calls):
    for split in ("train", "test"):
        for path in (photos / split / "light").iterdir():
            path.unlink()
        (photos / split / "light").rmdir()
    with pytest.raises(DataError, match=r"two classes|one class"):
        run_benchmark(replace(config, dataset=f"folder:{photos}", limit_train=None))
    assert network_calls == []


def test_extracted_features_have_labels_and_positions(config):
    found = extract_dataset_split(config, "test", Silent())
    assert found.features.shape == (100, 16)
    assert found.labels.shape == found.index.shape == (100,)
    np.testing.assert_array_equal(found.index, np.arange(100))


def test_extraction_without_cache_outlives_its_temporary_store(config):
    found = extract_dataset_split(replace(config, cache=False), "test", Silent())
    assert np.isfinite(found.features).all()
