"""From the drift of features to that of accuracy."""

import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tlbench.cli.repeat import repeat_command
from tlbench.core.errors import ConfigError, DataError, ModelError
from tlbench.engine import Session
from tlbench.records import Placement
from tlbench.workflows import RunConfig, run_benchmark
from tlbench.workflows import drift as drift_module


def disturbed(path, destination, deviation):
    """Write the network with noise on its kernel, and the same card."""
    model = onnx.load(path)
    kernel = next(i for i in model.graph.initializer if i.name == "kernel")
    values = numpy_helper.to_array(kernel)
    noise = np.random.default_rng(3).normal(0, deviation, values.shape)
    kernel.CopyFrom(numpy_helper.from_array((values + noise).astype(np.float32), "kernel"))
    onnx.save(model, destination)
    return destination


@pytest.fixture
def config(tiny_path, tmp_path):
    return RunConfig(
        model=str(tiny_path),
        candidates=(str(disturbed(tiny_path, tmp_path / "other.onnx", 0.5)),),
        heads=("centroid",),
        baselines=(),
        limit_train=200,
        limit_test=100,
        latency=False,
        cache_dir=tmp_path / "cache",
    )


def test_the_same_network_under_another_name_drifts_nowhere(config, tiny_path, tmp_path):
    copy = shutil.copy(tiny_path, tmp_path / "copy.onnx")
    (drift,) = run_benchmark(_against(config, copy)).result.drifts
    assert (drift.relative_error, drift.fraction) == (0, drift.reference_fraction)
    assert (drift.paired.only_first_correct, drift.paired.only_second_correct) == (0, 0)
    assert drift.paired.p_value == 1


def test_counts_are_those_of_the_predictions(config):
    """Lost and won images, the accuracies and the difference all follow from what is stored."""
    outcome = run_benchmark(config)
    (drift,) = outcome.result.drifts
    right = outcome.predictions["backbone.centroid"] == outcome.predictions["labels"]
    found = outcome.predictions["candidate1.centroid"] == outcome.predictions["labels"]
    assert (drift.reference_fraction, drift.fraction) == (right.mean(), found.mean())
    assert drift.paired.only_first_correct == int((right & ~found).sum()) > 0
    assert drift.paired.only_second_correct == int((~right & found).sum())
    assert drift.paired.difference_fraction == pytest.approx(found.mean() - right.mean())
    assert drift.paired.interval.low <= drift.paired.difference_fraction
    assert drift.relative_error > 0.1


def test_every_head_meets_every_model(config, tiny_path, tmp_path):
    second = disturbed(tiny_path, tmp_path / "second.onnx", 0.01)
    found = run_benchmark(_against(config, *config.candidates, second, heads=("centroid", "knn")))
    assert [(d.head, d.label) for d in found.result.drifts] == [
        (head, label) for head in ("centroid", "knn") for label in (*config.candidates, str(second))
    ]


def test_only_the_reference_runs_over_train(config, monkeypatch):
    """200 + 100 images through the reference, 100 through the other; none the second time."""
    n_images = []
    original = Session.run
    monkeypatch.setattr(
        Session, "run", lambda self, images: n_images.append(len(images)) or original(self, images)
    )
    run_benchmark(config)
    assert sum(n_images) == 400
    run_benchmark(config)
    assert sum(n_images) == 400


def test_the_command_repeats_the_comparison(config):
    command = run_benchmark(config, command=repeat_command(config)).result.config.command
    assert command.startswith(
        f"tlbench drift {config.model} {config.candidates[0]} --heads centroid"
    )
    assert "baselines" not in command
    assert "latency" not in command


def test_limits_and_doubts_about_the_data_are_cautions(config, monkeypatch):
    """As in a run: what makes an accuracy doubtful makes its difference doubtful too."""
    monkeypatch.setattr(
        drift_module, "data_warnings", lambda *_: ("3 test images are training images",)
    )
    warnings = run_benchmark(config).result.warnings
    assert warnings[0] == "3 test images are training images"
    assert any("limited to 200 train and 100 test" in warning for warning in warnings)


def test_a_solver_that_did_not_converge_is_a_caution(config):
    """What a head notes while it is fitted is not lost."""
    changed = replace(config, heads=("softmax",), head_params=("max_iter=1",))
    warnings = run_benchmark(changed).result.warnings
    assert any(c.startswith("softmax on ") and "did not converge" in c for c in warnings)


def test_nodes_on_another_provider_are_a_caution(config, monkeypatch):
    """As in a run, with the model and the provider that it was asked to run on."""
    original = drift_module.extract_split

    def extract(context, split, title):
        found = original(context, split, title)
        if context.config.model == config.model:
            return found
        placement = Placement(
            nodes={"CUDAExecutionProvider": 3, "CPUExecutionProvider": 1},
            operators={"CPUExecutionProvider": ("Resize",)},
        )
        result = replace(found.result, provider="CUDAExecutionProvider", placement=placement)
        return replace(found, result=result)

    monkeypatch.setattr(drift_module, "extract_split", extract)
    warnings = run_benchmark(config).result.warnings
    found = [warning for warning in warnings if "ExecutionProvider" in warning]
    assert found == [
        f"{config.candidates[0]}: Resize ran on CPUExecutionProvider, not on CUDAExecutionProvider"
    ]


def test_features_that_are_not_finite_are_refused(config, tiny_path, tmp_path):
    """An overflow in the other network is an error with a reason, and no traceback."""
    broken = disturbed(tiny_path, tmp_path / "broken.onnx", np.inf)
    with pytest.raises(DataError, match="NaN or infinity"):
        run_benchmark(_against(config, broken))


def test_a_model_named_twice_is_refused(config):
    with pytest.raises(ConfigError, match="named twice"):
        run_benchmark(_against(config, config.model))


@pytest.mark.parametrize("setting", ["threads=1", "spin=no"])
def test_settings_that_the_store_does_not_tell_apart_are_refused(config, setting):
    with pytest.raises(ConfigError, match="compared with itself"):
        run_benchmark(_against(config, f"{config.model}@{setting}"))


def test_random_weights_are_refused(config, tiny_random_path):
    with pytest.raises(ModelError, match="random weights"):
        run_benchmark(_against(config, tiny_random_path))


def test_features_of_another_layer_are_refused(config, lite0):
    with pytest.raises(DataError, match="same layer"):
        run_benchmark(_against(config, lite0.path, limit_train=20, limit_test=10))


def _against(config, *others, **values):
    return replace(config, candidates=tuple(map(str, others)), **values)
