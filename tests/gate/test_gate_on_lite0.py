"""The gate on a real network and real images: fp32, its int8, and a disturbed last layer."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tlbench.compare import open_compared_run
from tlbench.core.progress import Silent
from tlbench.gate import AccuracyPolicy, Policy, judge_run, make_baseline
from tlbench.heads import HEADS, evaluate_head
from tlbench.model import ExportOptions, resolve_model
from tlbench.records import save_run
from tlbench.workflows import RunConfig, extract_dataset_split, run_benchmark

pytestmark = pytest.mark.slow

LAST_LAYER = ("_conv_head.kernel", "_conv_head.bias")


@pytest.fixture(scope="module")
def config(real_data, shared_cache):
    """1,000 train images and all 1,017 test images of the copy, small to save time."""
    return RunConfig(
        model="efficientnet-lite0",
        export=ExportOptions(input_size=112),
        dataset="cifar10",
        data_dir=real_data,
        heads=("softmax",),
        baselines=(),
        limit_train=1000,
        latency=False,
        cache_dir=shared_cache,
    )


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Run a configuration, save it, and open it as the gate does."""
    output = tmp_path_factory.mktemp("runs")

    def evaluate(config):
        outcome = run_benchmark(config)
        save_run(outcome.result, outcome.predictions, output)
        return open_compared_run(outcome.result.id, output)

    return evaluate


@pytest.fixture(scope="module")
def baseline(config, evaluated):
    return make_baseline(evaluated(config))


def _channels_for_a_drop(config, points):
    """Return the least number of silenced channels that costs so many points, and their order.

    A channel whose kernel is 0 has a feature of 0, so the search needs no network.
    """
    train, test = (extract_dataset_split(config, name, Silent()) for name in ("train", "test"))
    order = np.random.default_rng(0).permutation(train.features.shape[1])
    head = HEADS.load("softmax")

    def accuracy(n_silent):
        features = [np.array(split.features) for split in (train, test)]
        for array in features:
            array[:, order[:n_silent]] = 0
        found = evaluate_head(
            head,
            dict(head.defaults),
            features[0],
            train.labels,
            features[1],
            test.labels,
            features="backbone",
            baseline=False,
            seed=0,
        )
        return found.result.accuracy_fraction

    whole = accuracy(0)
    n_silent = next(n for n in range(700, 1280, 20) if accuracy(n) <= whole - points / 100)
    return order[:n_silent]


@pytest.fixture(scope="module")
def disturbed(config, shared_cache, tmp_path_factory):
    """Lite0 with channels of its last convolution silenced until accuracy fell by three points."""
    silent = _channels_for_a_drop(config, 3)
    lite0 = resolve_model(
        config.model, cache_dir=shared_cache, options=config.export, listener=Silent()
    )
    model = onnx.load(lite0.path)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in LAST_LAYER:
        values = numpy_helper.to_array(tensors[name]).copy()
        values[silent] = 0
        tensors[name].CopyFrom(numpy_helper.from_array(values, name))
    path = Path(tmp_path_factory.mktemp("disturbed")) / "disturbed.onnx"
    onnx.save(model, path)
    return dataclasses.replace(config, model=str(path), export=ExportOptions())


def test_fp32_passes_fp32(config, evaluated, baseline):
    verdict = judge_run(evaluated(config), baseline)
    assert verdict.passed
    assert verdict.accuracy[0].n_differing == 0


def test_a_good_int8_passes(config, evaluated, baseline):
    """Converted by tlbench itself, calibrated on train images."""
    int8 = dataclasses.replace(config, precision="int8")
    verdict = judge_run(evaluated(int8), baseline)
    assert verdict.passed
    assert verdict.accuracy[0].n_differing > 0
    assert {check.rule for check in verdict.checks} >= {"no significant drop", "smallest cosine"}


def test_a_disturbed_last_layer_fails(disturbed, evaluated, baseline):
    verdict = judge_run(evaluated(disturbed), baseline)
    (found,) = verdict.accuracy
    print(f"\n{found.paired}\n{found.p_value} {found.sensitivity}")
    # silenced until three points were gone, in steps of 20 channels
    assert -0.06 < found.paired.difference_fraction < -0.025
    assert not verdict.passed
    assert [check.rule for check in verdict.checks if check.outcome == "fail"] == [
        "no significant drop"
    ]


def test_a_floor_alone_judges_too(config, evaluated, baseline):
    """A floor above what 1,000 train images reach fails what the test passes."""
    floors = {"backbone.softmax": 95.0}
    policy = Policy(accuracy=AccuracyPolicy(floors_percent=floors))
    verdict = judge_run(evaluated(config), baseline, policy)
    assert [check.rule for check in verdict.checks if check.outcome == "fail"] == ["floor"]
