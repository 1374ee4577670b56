"""Whole runs on a machine with CUDA, whose kernels are the processor's."""

from dataclasses import replace

import pytest

from tlbench.records import decode_run, encode_run
from tlbench.workflows import RunConfig, TimingConfig, run_benchmark

SECOND = "0000:af:00.0"
BOTH = ("numpy->numpy", "device->device")
QUICK = TimingConfig(
    scenarios=("single", "offline"),
    batch_sizes=(4,),
    boundaries=BOTH,
    min_samples=64,
    min_duration_s=0.01,
    max_duration_s=5.0,
    costs=False,
    extend_until_steady=False,
)


@pytest.fixture
def config(tiny_path, tmp_path):
    return RunConfig(
        model=str(tiny_path),
        provider="cuda",
        accuracy=False,
        timing=QUICK,
        cache_dir=tmp_path / "cache",
    )


@pytest.mark.parametrize("name", ["cuda", "CUDAExecutionProvider"])
def test_a_run_on_cuda_is_recorded_as_one(config, cuda_machine, name):
    """Features, both boundaries, the way from image to label, and which GPU it was."""
    run = run_benchmark(
        replace(
            config,
            provider=name,
            accuracy=True,
            heads=("centroid",),
            limit_train=200,
            limit_test=100,
            breakdown=True,
        )
    ).result
    assert {(one.provider, one.tail) for one in run.extraction} == {("cuda", "padded")}
    assert [(r.batch_size, r.boundary) for r in run.latency] == [
        (size, boundary) for size in (1, 4) for boundary in BOTH
    ]
    for result in run.latency:
        assert (result.provider, result.gpu) == ("cuda", SECOND)
        assert set(result.placement.nodes) == {"CUDAExecutionProvider"}
        assert result.settings["cudnn_conv_algo_search"] == "EXHAUSTIVE"
        assert result.energy_j_per_image > 0
        checks = {check.name: check.outcome for check in result.checks}
        assert checks["gpu clock"] == checks["placement"] == checks["batch"] == "pass"
    assert list(run.breakdown.parts) == ["decode", "to device", "backbone", "to host", "head"]
    assert decode_run(encode_run(run), "run.json") == run


def test_options_asked_for_are_those_in_force(config, cuda_machine):
    options = {"use_tf32": "0", "prefer_nhwc": "1", "device_id": "0"}
    run = run_benchmark(replace(config, provider_options=options)).result
    assert cuda_machine.sessions.count(options) >= 1
    for result in run.latency:
        assert options.items() <= result.settings.items()
    assert run.config.requested["provider_options"] == options


def test_a_captured_graph_is_timed_on_the_device(config, cuda_machine):
    """Each bound batch has a graph of its own; what finds the answer's shape has none."""
    timing = replace(QUICK, boundaries=("device->device",))
    options = {"enable_cuda_graph": "1"}
    run = run_benchmark(replace(config, timing=timing, provider_options=options)).result
    assert {r.boundary for r in run.latency} == {"device->device"}
    numbers = dict.fromkeys(cuda_machine.graphs)
    assert "-1" in numbers
    assert "0" not in numbers  # ONNX Runtime's own, which all calls would share
    assert len(numbers) > 2
    assert all(buffer == ("cuda", 0) for buffer in cuda_machine.buffers)


def test_a_gpu_and_the_processor_take_turns(config, cuda_machine, tiny_path):
    """Each with its own provider, place and judgement."""
    candidate = f"{tiny_path}@provider=cpu"
    timing = replace(QUICK, boundaries=BOTH[:1], rounds=6, candidates=(candidate,))
    run = run_benchmark(replace(config, timing=timing)).result
    assert {(r.provider, r.gpu) for r in run.latency} == {("cuda", SECOND), ("cpu", None)}
    judged = {
        r.provider: [c.outcome for c in r.checks if c.name == "gpu clock"] for r in run.latency
    }
    assert judged == {"cuda": ["pass"], "cpu": []}
    assert all("provider" in ratio.unlike for ratio in run.ratios)
