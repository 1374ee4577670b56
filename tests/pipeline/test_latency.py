"""Every scenario on a tiny model: what is measured, judged, kept and refused."""

import sys
from dataclasses import replace

import pytest

from tlbench.config import RunConfig, TimingConfig
from tlbench.engine import Session, open_session
from tlbench.errors import ConfigError, MeasurementError, UnknownNameError
from tlbench.latency import Plan, watch
from tlbench.latency import measure as sample
from tlbench.pipeline import run_benchmark
from tlbench.pipeline.inputs import latency_inputs
from tlbench.pipeline.subject import Job, Subject
from tlbench.reports.timing import timing_notes

QUICK = TimingConfig(min_samples=64, min_duration_s=0.02, max_duration_s=5.0, costs=False)


@pytest.fixture
def config(tiny_path, tmp_path):
    """Latency only, each timing some hundredths of a second."""
    return RunConfig(
        model=str(tiny_path), accuracy=False, timing=QUICK, cache_dir=tmp_path / "cache"
    )


def measure(config, **timing):
    changed = replace(config, timing=replace(config.timing, **timing))
    return run_benchmark(changed).result


def test_batch_sizes_are_swept_in_the_order_asked_for(config):
    run = measure(config, scenarios=("offline",), batch_sizes=(1, 8, 4))
    assert [r.batch_size for r in run.latency] == [1, 8, 4]
    assert {r.scenario for r in run.latency} == {"offline"}


def test_every_timing_is_judged(config):
    """A verdict, with every check that led to it; failed ones are the reasons."""
    for result in measure(config).latency:
        assert result.verdict in {"VALID", "INVALID"}
        assert {check.name for check in result.checks} >= {"drift", "other load", "batch"}
        failed = tuple(check.text for check in result.checks if check.outcome == "fail")
        assert result.reasons == failed
        assert (result.verdict == "INVALID") == bool(failed)


def test_both_boundaries_are_measured_and_named(config):
    run = measure(config, scenarios=("single",), boundaries=("numpy->numpy", "device->device"))
    assert [r.boundary for r in run.latency] == ["numpy->numpy", "device->device"]


def test_paced_calls_rest_in_between(config):
    """The rest is in the record, and in no sample."""
    (result,) = measure(
        config, scenarios=("paced",), pause_s=0.005, min_samples=11, min_duration_s=0
    ).latency
    assert result.pause_s == 0.005
    assert len(result.samples_s) == 11
    # a call of the tiny model takes microseconds
    assert result.median_s < 0.005


def test_cold_is_the_first_answer_of_fresh_processes(config):
    (result,) = measure(config, scenarios=("cold",), processes=2).latency
    fresh = result.fresh
    assert len(result.samples_s) == 2
    expected = [c + f for c, f in zip(fresh.create_s, fresh.first_s, strict=True)]
    assert list(result.samples_s) == pytest.approx(expected)
    assert result.peak_rss_bytes >= max(fresh.before_rss_bytes) > 1_000_000
    # two processes are no sample for a median, and the verdict says so
    assert result.verdict == "INVALID"
    assert any("too few" in reason for reason in result.reasons)


def test_a_server_waits_for_its_requests(config):
    """Samples count from the arrival; the schedule's rate is the one asked for."""
    (result,) = measure(config, scenarios=("server",), qps=2000.0, latency_bound_s=1.0).latency
    assert result.server.qps == 2000.0
    assert result.server.over_fraction == 0
    assert len(result.samples_s) >= 662


def test_a_bound_below_one_call_has_no_peak(config):
    with pytest.raises(MeasurementError, match="Raise --latency-bound"):
        measure(config, scenarios=("server",), find_peak=True, latency_bound_s=1e-9)


def test_costs_are_those_of_a_fresh_process(config):
    """Memory for each batch size, processor time after the last call once."""
    single, batch = measure(config, costs=True).latency
    assert single.peak_rss_bytes > 1_000_000
    assert batch.peak_rss_bytes > 1_000_000
    assert single.idle_cpu_s >= 0
    assert batch.idle_cpu_s is None


def test_an_impatient_timing_leaves_the_second_afterwards_out(config, monkeypatch):
    """A run that measures accuracy as well neither waits nor asks whether the machine is steady."""
    monkeypatch.setattr("tlbench.pipeline.latency.looks_steady", lambda _: pytest.fail("asked"))
    (result,) = measure(config, scenarios=("single",), costs=True, patient=False).latency
    assert result.idle_cpu_s is None
    assert result.peak_rss_bytes > 1_000_000


def test_energy_is_given_or_the_reason_why_not(config):
    for result in measure(config).latency:
        assert (result.energy_j_per_image is None) == result.energy_note.startswith("no energy")


@pytest.mark.parametrize(("spin", "entry"), [(True, "1"), (False, "0")])
def test_spinning_is_recorded_as_it_is_in_force(config, spin, entry):
    (result,) = measure(config, scenarios=("single",), spin=spin).latency
    assert result.settings["session.intra_op.allow_spinning"] == entry


def test_rows_that_went_missing_are_found(config, monkeypatch):
    """A model that answers for one image of a batch would look 32 times as fast."""
    original = Session.run
    monkeypatch.setattr(Session, "run", lambda self, images: original(self, images[:1]))
    (result,) = measure(config, scenarios=("offline",)).latency
    assert result.verdict == "INVALID"
    assert any("32 images went in and 1 rows came out" in reason for reason in result.reasons)


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C at the n-th call of the network."""

    def at(n):
        original, calls = Session.run, []

        def run(self, images):
            calls.append(1)
            if len(calls) == n:
                raise KeyboardInterrupt
            return original(self, images)

        monkeypatch.setattr(Session, "run", run)

    return at


def test_ctrl_c_keeps_what_was_measured(config, interrupt):
    """The samples until then, marked as incomplete and INVALID; nothing follows."""
    plan = {"min_samples": 10_000, "min_duration_s": 60.0, "max_duration_s": 60.0}
    # beyond the warm-up: in its 0.3 s not even an empty call (4 µs) comes so often
    interrupt(100_000)
    run = measure(config, **plan)
    assert not run.complete
    (result,) = run.latency
    assert not result.complete
    assert len(result.samples_s) > 100
    assert result.verdict == "INVALID"
    assert any("interrupted" in reason for reason in result.reasons)


def test_ctrl_c_before_the_first_sample_is_an_interruption(config, interrupt):
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        measure(config)


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"scenarios": ("singel",)}, UnknownNameError, "Did you mean 'single'"),
        ({"scenarios": ()}, ConfigError, "--scenario"),
        ({"scenarios": ("single", "single")}, ConfigError, "--scenario"),
        ({"boundaries": ("gpu",)}, UnknownNameError, "Unknown boundary"),
        ({"batch_sizes": (8, 0)}, ConfigError, "--batch-size must be at least 1, not 0"),
        ({"min_samples": 0}, ConfigError, "--min-samples"),
        ({"min_duration_s": 9.0, "max_duration_s": 1.0}, ConfigError, "--min-duration 9.0"),
        ({"max_duration_s": 0.0, "min_duration_s": 0.0}, ConfigError, "--max-duration"),
        ({"scenarios": ("server",)}, ConfigError, "give --qps"),
        ({"qps": 0.0}, ConfigError, "--qps must be above 0"),
        ({"pause_s": 0.0}, ConfigError, "--pause"),
        ({"latency_bound_s": -1.0}, ConfigError, "--latency-bound"),
        ({"rivals": ("b",), "scenarios": ("cold",)}, ConfigError, "not in cold"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_before_any_work(values, error, text):
    with pytest.raises(error, match=text):
        TimingConfig(**values)


@pytest.mark.parametrize(("provider", "judged"), [("cuda", ["unknown"]), ("cpu", [])])
def test_without_nvml_a_gpus_clock_is_not_judged(tiny_model, monkeypatch, provider, judged):
    """The record says so, and the report; on the processor there is nothing to say."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with open_session(tiny_model) as session:
        monkeypatch.setattr(session, "provider", provider)
        subject = Subject(session, latency_inputs(tiny_model, None))
        subject.__dict__["_peak"] = None  # the rest of the engine would look for a real GPU
        job = Job(scenario="single", batch_size=1, boundary="numpy->numpy")
        with watch(subject.machine) as observed:
            timing = sample(subject.calls(job)[0], Plan(min_duration_s=0.0))
        result = subject.result(job, timing, observed)
    assert [c.outcome for c in result.checks if c.name == "gpu clock"] == judged
    told = [note for note in timing_notes([result]) if "gpu clock: not judged" in note]
    assert len(told) == len(judged)


def test_the_gpu_of_the_session_is_the_one_looked_at(tiny_model, monkeypatch):
    asked = []
    monkeypatch.setattr("tlbench.pipeline.subject.gpu_state", asked.append)
    monkeypatch.setattr("tlbench.pipeline.subject.nvml_counter", asked.append)
    with open_session(tiny_model) as session:
        monkeypatch.setattr(session, "provider", "cuda")
        monkeypatch.setattr(session, "provider_options", {"device_id": "3"})
        subject = Subject(session, latency_inputs(tiny_model, None))
        subject.machine.gpu()
        assert subject.energy is None
    assert asked == [3, 3]


def test_a_cuda_graph_is_not_timed_from_the_hosts_arrays(tiny_model, monkeypatch):
    """They bypass the graph: the time would be that of a run without one."""
    with open_session(tiny_model) as session:
        monkeypatch.setattr(session, "provider_options", {"enable_cuda_graph": "1"})
        subject = Subject(session, latency_inputs(tiny_model, None))
        with pytest.raises(ConfigError, match="--boundary device"):
            subject.calls(Job(scenario="single", batch_size=1, boundary="numpy->numpy"))
