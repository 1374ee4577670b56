"""What a timing on a GPU records; the session is real, and only says that it is on one."""

import sys

import numpy as np
import pytest

from tlbench.core.errors import ConfigError
from tlbench.engine import open_session
from tlbench.latency import StoppingRule, watch
from tlbench.latency import measure as sample
from tlbench.reports.timing import timing_notes
from tlbench.workflows.steps.timed_model import TimedModel, TimingCase, latency_inputs
from tlbench.workflows.steps.timing import measure_fresh

FIRST, SECOND = "0000:3b:00.0", "0000:af:00.0"
ON_HOST = TimingCase(scenario="single", batch_size=1, boundary="numpy->numpy")
ON_DEVICE = TimingCase(scenario="single", batch_size=1, boundary="device->device")


@pytest.fixture
def timed_model(tiny_model, monkeypatch):
    """Return a function that gives the timed model of a session that claims a provider."""
    with open_session(tiny_model) as session:

        def claim(provider="cuda", **options):
            monkeypatch.setattr(session, "provider", provider)
            monkeypatch.setattr(session, "provider_options", {"device_id": "0", **options})
            found = TimedModel(session, latency_inputs(tiny_model, None))
            found.__dict__["_peak"] = None  # the engine would look for a real GPU
            return found

        yield claim


def result_of(timed_model, case=ON_HOST):
    calls = timed_model.calls(case)
    with watch(timed_model.machine) as machine_samples:
        timing = sample(
            calls[0],
            StoppingRule(min_duration_s=0.0, warmup_s=0.0),
            energy=timed_model.energy,
        )
    return timed_model.result(case, timing, machine_samples, calls)


def check_of(result, name):
    (found,) = [check for check in result.checks if check.name == name]
    return found


def test_a_timing_names_the_gpu_that_cuda_gave_it(timed_model, fake_nvml):
    """Clock, energy and place are those of one and the same GPU, NVML's second."""
    nvml = fake_nvml(
        bus_ids=(FIRST, SECOND),
        visible=(SECOND, FIRST),
        energy_mj=[0, 0, 64_000],
        violations_ns={0: 0, 1: 0},
    )
    result = result_of(timed_model())
    assert result.gpu == SECOND
    assert set(nvml.asked) == {SECOND}
    assert result.energy_j_per_image == pytest.approx(64 / len(result.samples_s))
    assert result.energy_note == f"the board of GPU {SECOND}"
    assert check_of(result, "gpu clock").outcome == "pass"


def test_a_throttled_gpu_makes_a_timing_invalid(timed_model, fake_nvml):
    fake_nvml(mask=0x40)
    result = result_of(timed_model())
    assert result.verdict == "INVALID"
    assert any("heat, by hardware" in reason for reason in result.reasons)


def test_a_gpu_that_cannot_be_told_from_others_is_not_guessed(timed_model, fake_nvml):
    """No place, no energy and no judgement of its clock, each with the reason."""
    fake_nvml(bus_ids=(FIRST, SECOND), visible=None)
    result = result_of(timed_model())
    assert result.gpu is None
    assert result.energy_j_per_image is None
    assert "does not say which GPU device 0 is" in result.energy_note
    assert check_of(result, "gpu clock").outcome == "unknown"


@pytest.mark.parametrize(("provider", "judged"), [("cuda", ["unknown"]), ("cpu", [])])
def test_without_nvml_a_gpus_clock_is_not_judged(timed_model, monkeypatch, provider, judged):
    """The record says so, and the report; on the processor there is nothing to say."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    result = result_of(timed_model(provider))
    assert [c.outcome for c in result.checks if c.name == "gpu clock"] == judged
    told = [note for note in timing_notes([result]) if "gpu clock: not checked" in note]
    assert len(told) == len(judged)
    assert result.gpu is None


def test_a_cuda_graph_is_not_timed_from_the_hosts_arrays(timed_model):
    """They bypass the graph: the time would be that of a run without one."""
    with pytest.raises(ConfigError, match="boundaries='device->device'"):
        timed_model(enable_cuda_graph="1").calls(ON_HOST)


@pytest.mark.parametrize("graph", ["0", "1"])
def test_a_captured_graph_cannot_show_a_cache(timed_model, fake_nvml, monkeypatch, graph):
    """It reads one buffer: what did not change cannot be compared with what did."""
    fake_nvml()
    # the binding is the processor's, where there is neither device memory nor a graph
    monkeypatch.setattr("tlbench.engine.session.BoundBatch", HostBatch)
    check = check_of(result_of(timed_model(enable_cuda_graph=graph), ON_DEVICE), "caching")
    assert (check.outcome == "unknown") is (graph == "1")
    assert ("a single input" in check.text) is (graph == "1")


class HostBatch:
    """A batch that is run as arrays of the host's."""

    def __init__(self, session, provider, input_name, output_name, batch, **_):
        self._run = lambda: session.run([output_name], {input_name: batch})[0]

    def run(self):
        return len(self._run())


@pytest.fixture
def requests(monkeypatch):
    """Return the list of what fresh processes were asked, each of which answers with a little."""
    asked = []

    def answer(module, request, **_):
        asked.append(request)
        seconds = dict.fromkeys(("import_s", "create_s", "first_s", "second_s"), 0.1)
        sizes = dict.fromkeys(("before_rss_bytes", "peak_rss_bytes"), 1)
        device = {"device_bytes": 7, "device_note": None}
        if request["gpu"] is None:
            device = {"device_bytes": None, "device_note": None}
        return {**seconds, **sizes, **device}

    monkeypatch.setattr("tlbench.workflows.steps.timing.run_isolated", answer)
    return asked


def test_a_fresh_process_looks_at_the_gpu_of_the_session(timed_model, fake_nvml, requests):
    """By its place: the process must not ask CUDA before the clock runs."""
    fake_nvml(bus_ids=(FIRST, SECOND), visible=(SECOND,))
    ours = timed_model()
    found = measure_fresh(ours.session, ours.inputs, 1, 2)
    assert [request["gpu"] for request in requests] == [SECOND, SECOND]
    assert (found.device_bytes, found.device_note) == ((7, 7), None)


def test_memory_of_a_gpu_that_cannot_be_told_has_its_reason(timed_model, fake_nvml, requests):
    fake_nvml(bus_ids=(FIRST, SECOND), visible=None)
    ours = timed_model()
    found = measure_fresh(ours.session, ours.inputs, 1, 1)
    assert requests[0]["gpu"] is None
    assert found.device_bytes == ()
    assert "does not say which GPU" in found.device_note


@pytest.mark.parametrize(("provider", "is_known"), [("cuda", False), ("cpu", True)])
def test_a_foreign_file_is_held_against_no_peak_of_a_gpu(
    timed_model, monkeypatch, provider, is_known
):
    """Without a card its precision is unknown, and a GPU's peaks differ by it many times over."""
    monkeypatch.setattr(
        "tlbench.workflows.steps.timed_model.arithmetic_ceiling", lambda *_, **__: 1e12
    )
    ours = timed_model(provider)
    del ours.__dict__["_peak"]
    monkeypatch.setattr(TimedModel, "_has_card", property(lambda _: False))
    assert (ours._peak is not None) is is_known


def test_rows_are_counted_of_either_boundary(timed_model):
    """An array's length, or the number that a bound run gives."""
    changing, repeated = timed_model("cpu").calls(ON_DEVICE)
    assert (changing(0), repeated(0)) == (1, 1)
    assert isinstance(timed_model("cpu").calls(ON_HOST)[0](0), np.ndarray)
