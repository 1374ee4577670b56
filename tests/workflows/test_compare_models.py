"""Models that take turns: who they are, their ratio, and what is refused."""

from dataclasses import replace

import onnx
import pytest
from onnx import TensorProto, helper

from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.engine import Session
from tlbench.latency import EnergyCounter, GpuState, SystemSensors
from tlbench.workflows import RunConfig, TimingConfig, run_benchmark
from tlbench.workflows.compare_models import candidate_config
from tlbench.workflows.steps.timed_model import TimedModel

TIMING = TimingConfig(
    scenarios=("single",), min_duration_s=0, max_duration_s=20, rounds=8, costs=False
)


@pytest.fixture
def config(tiny_path, tmp_path):
    return RunConfig(
        model=str(tiny_path), accuracy=False, timing=TIMING, cache_dir=tmp_path / "cache"
    )


def interleaved(config, *candidates, **timing):
    changed = replace(config, timing=replace(config.timing, candidates=candidates, **timing))
    return run_benchmark(changed).result


def test_a_comparison_has_a_timing_for_each_and_a_ratio(config, tiny_path):
    candidate = f"{tiny_path}@threads=1"
    run = interleaved(config, candidate)
    assert [r.label for r in run.latency] == [str(tiny_path), candidate]
    assert [len(r.block_sizes) for r in run.latency] == [8, 8]
    assert all(sum(r.block_sizes) == len(r.samples_s) for r in run.latency)
    (ratio,) = run.ratios
    assert (ratio.reference, ratio.label) == (str(tiny_path), candidate)
    assert ratio.interval.low <= ratio.ratio <= ratio.interval.high
    assert ratio.n_blocks == 8


def test_what_differs_is_named(config, tiny_path, tiny_random_path):
    run = interleaved(config, f"{tiny_path}@threads=1", str(tiny_random_path))
    threads, model = run.ratios
    assert "threads" in threads.unlike or run.models_under_test[0].threads == 1
    assert "model" not in threads.unlike
    assert model.unlike == ("model",)


def test_a_candidate_that_waits_is_slower(config, tiny_path, tmp_path, monkeypatch):
    """The ratio has its right way round: above 1 is slower than the reference."""
    original = Session.run

    def run(self, images):
        for _ in range(20 if not self.spin else 1):
            answer = original(self, images)
        return answer

    monkeypatch.setattr(Session, "run", run)
    (ratio,) = interleaved(config, f"{tiny_path}@spin=no").ratios
    assert ratio.ratio > 2
    assert ratio.interval.low > 1


def test_few_rounds_have_no_interval(config, tiny_path):
    """Five pairs of blocks cannot exclude anything at 95 %."""
    (ratio,) = interleaved(config, f"{tiny_path}@threads=1", rounds=2, min_samples=1).ratios
    assert ratio.n_blocks < 6
    assert ratio.interval is None


@pytest.mark.parametrize(
    ("spec", "model", "threads"),
    [
        ("net.onnx", "net.onnx", None),
        ("net.onnx@threads=2", "net.onnx", 2),
        ("user@host/net.onnx", "user@host/net.onnx", None),
        ("user@host/net.onnx@threads=1", "user@host/net.onnx", 1),
        ("resnet50@threads=3,spin=no", "resnet50", 3),
    ],
)
def test_a_candidate_is_a_model_with_settings(config, spec, model, threads):
    """An @ in a path is no setting."""
    found = candidate_config(spec, config)
    assert (found.model, found.threads) == (model, threads)


@pytest.mark.parametrize(
    ("provider", "name", "options"),
    [
        ("cpu", "cpu", {}),
        ("CPUExecutionProvider", "cpu", {}),
        ("cuda", "cuda", {"use_tf32": "0"}),
        ("CUDAExecutionProvider", "cuda", {"use_tf32": "0"}),
    ],
)
def test_another_provider_has_other_options(config, provider, name, options):
    """Options of one provider mean nothing to another; the same one keeps them."""
    with_options = replace(config, provider="cuda", provider_options={"use_tf32": "0"})
    found = candidate_config(f"a.onnx@provider={provider}", with_options)
    assert (found.provider, dict(found.provider_options)) == (name, options)


def test_models_may_be_asked_now_and_then(config, tiny_path):
    """The scenario paced: each rests before its calls, and the record says how long."""
    candidate = f"{tiny_path}@threads=1"
    run = interleaved(
        config, candidate, scenarios=("paced",), pause_s=0.001, min_samples=11, max_duration_s=20.0
    )
    assert {(r.scenario, r.pause_s) for r in run.latency} == {("paced", 0.001)}
    # calls of microseconds: nearly all of the time is rest
    assert all(len(r.samples_s) * r.pause_s < 8 * 0.2 for r in run.latency)
    assert run.ratios[0].scenario == "paced"


def test_each_model_is_judged_by_the_gpu_that_it_is_on(config, tiny_path, monkeypatch):
    """One on the processor against one on a GPU that is at its power cap: that one is INVALID."""
    hot = GpuState(reasons=("power cap",))
    monkeypatch.setattr(
        TimedModel,
        "machine",
        property(
            lambda self: SystemSensors(None if self.session.spin else (lambda: hot), laps_s=0)
        ),
    )
    run = interleaved(config, f"{tiny_path}@spin=no")
    told = [[c.outcome for c in r.checks if c.name == "gpu clock"] for r in run.latency]
    assert told == [[], ["fail"]]


def test_energy_that_a_comparison_cannot_count_has_its_reason(config, tiny_path, monkeypatch):
    """A block is shorter than the counters' steps; no figure, and no word that there were one."""
    counter = EnergyCounter(lambda: 0.0, "GPU 0000:3b:00.0, its board")
    monkeypatch.setattr(TimedModel, "energy", counter)
    for result in interleaved(config, f"{tiny_path}@threads=1").latency:
        assert result.energy_j_per_image is None
        assert result.energy_note.startswith("not counted: a block")


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("a@thread=1", UnknownNameError, "Did you mean 'threads'"),
        ("a@threads=many", ConfigError, "whole number"),
        ("a@threads=0", ConfigError, "threads must be at least 1"),
        ("a@spin=maybe", ConfigError, "yes or no"),
    ],
)
def test_wrong_settings_are_refused(config, spec, error, text):
    with pytest.raises(error, match=text):
        candidate_config(spec, config)


def test_a_candidate_twice_is_refused(config, tiny_path):
    with pytest.raises(ConfigError, match="named twice"):
        interleaved(config, str(tiny_path))


def test_other_fixed_batches_are_refused(config, tmp_path):
    """Eight images in a call cannot be compared with one."""
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [8, 4]) for n in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "fixed", value[:1], value[1:])
    path = tmp_path / "fixed.onnx"
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    with pytest.raises(ConfigError, match="at none, .* at 8: their times"):
        interleaved(config, str(path))
