"""Every scenario on a tiny model: what is measured, judged, kept and refused."""

import itertools
import weakref
from dataclasses import replace

import pytest

from tlbench.core.errors import ConfigError, MeasurementError, UnknownNameError
from tlbench.engine import Session
from tlbench.latency import EnergyCounter
from tlbench.workflows import RunConfig, TimingConfig, run_benchmark
from tlbench.workflows.steps.timed_model import TimedModel

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
        assert {check.name for check in result.checks} >= {"trend", "other load", "batch"}
        failed = tuple(check.text for check in result.checks if check.outcome == "fail")
        assert result.reasons == failed
        assert (result.verdict == "INVALID") == bool(failed)


def test_both_boundaries_are_measured_and_named(config):
    run = measure(config, scenarios=("single",), boundaries=("numpy->numpy", "device->device"))
    assert [r.boundary for r in run.latency] == ["numpy->numpy", "device->device"]


@pytest.mark.parametrize("scenario", ["single", "cold", "paced", "server"])
def test_a_timing_under_a_spent_quota_is_invalid(config, monkeypatch, scenario):
    """The counter of the container grows by a second between any two readings."""
    seconds = itertools.count()
    monkeypatch.setattr("tlbench.latency.sensors.throttled_s", lambda: next(seconds))
    monkeypatch.setattr("tlbench.latency.sensors.cpu_quota", lambda: 1.5)
    settings = {"scenarios": (scenario,), "processes": 1, "qps": 2000.0, "min_samples": 11}
    (result,) = measure(config, pause_s=0.001, latency_bound_s=1.0, **settings).latency
    assert result.verdict == "INVALID"
    assert any("CPU quota of 1.5 processors" in reason for reason in result.reasons)


def test_every_model_of_a_comparison_is_judged_by_the_quota(config, monkeypatch, tiny_path):
    seconds = itertools.count()
    monkeypatch.setattr("tlbench.latency.sensors.throttled_s", lambda: next(seconds))
    candidates = (f"{tiny_path}@spin=no",)
    run = measure(config, scenarios=("single",), candidates=candidates, rounds=2)
    assert [any("throttled" in text for text in r.reasons) for r in run.latency] == [True, True]


def test_threads_of_a_run_follow_the_quota(config, monkeypatch):
    """In the session, in the record of the configuration, and in the environment."""
    monkeypatch.setattr("tlbench.machine.environment.cpu_quota", lambda: 1.2)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    run = measure(config, scenarios=("single",))
    assert {result.threads for result in run.latency} == {1}
    assert run.config.effective["threads"] == 1
    assert (run.environment.cpus_usable, run.environment.cpu_quota) == (4, 1.2)


@pytest.fixture
def most_bound(monkeypatch):
    """How many bound batches, each with buffers on the device, lived at the same time."""
    alive, most = weakref.WeakSet(), []
    bind = Session.bind

    def counted(self, batch):
        bound = bind(self, batch)
        alive.add(bound)
        most.append(len(alive))
        return bound

    monkeypatch.setattr(Session, "bind", counted)
    return lambda: max(most)


def test_the_buffers_of_one_case_live_at_a_time(config, most_bound):
    """Eight batches; bound once more, or beside the next case's, they would take twice as much."""
    device = {"scenarios": ("single", "offline"), "boundaries": ("device->device",)}
    run = measure(config, batch_sizes=(2, 4), **device)
    assert [r.batch_size for r in run.latency] == [1, 2, 4]
    assert most_bound() == 8


def test_the_buffers_of_one_comparison_live_at_a_time(config, most_bound, tiny_path):
    """Eight batches of each of two models."""
    device = {"scenarios": ("single", "offline"), "boundaries": ("device->device",)}
    candidates = (f"{tiny_path}@threads=1",)
    run = measure(config, batch_sizes=(2, 4), candidates=candidates, rounds=2, **device)
    assert [r.batch_size for r in run.latency] == [1, 1, 2, 2, 4, 4]
    assert most_bound() == 16


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
    steps = zip(fresh.import_s, fresh.create_s, fresh.first_s, strict=True)
    assert list(result.samples_s) == pytest.approx([sum(each) for each in steps])
    assert min(fresh.import_s) > 0
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
    with pytest.raises(MeasurementError, match="latency_bound_s is .* Raise it"):
        measure(config, scenarios=("server",), find_highest_rate=True, latency_bound_s=1e-9)


def test_costs_are_those_of_a_fresh_process(config):
    """Memory for each batch size, processor time after the last call once."""
    single, batch = measure(config, costs=True).latency
    assert single.peak_rss_bytes > 1_000_000
    assert batch.peak_rss_bytes > 1_000_000
    assert single.idle_cpu_s >= 0
    assert batch.idle_cpu_s is None


def test_an_impatient_timing_leaves_the_second_afterwards_out(config, monkeypatch):
    """A run that measures accuracy as well neither waits nor asks whether the machine is steady."""
    monkeypatch.setattr(
        "tlbench.workflows.steps.timing.looks_steady", lambda _: pytest.fail("asked")
    )
    (result,) = measure(
        config, scenarios=("single",), costs=True, extend_until_steady=False
    ).latency
    assert result.idle_cpu_s is None
    assert result.peak_rss_bytes > 1_000_000


def test_energy_is_given_or_the_reason_why_not(config):
    for result in measure(config).latency:
        assert (result.energy_j_per_image is None) == result.energy_note.startswith("no energy")


def test_energy_of_a_scenario_that_does_not_count_it_has_its_reason(config, monkeypatch):
    monkeypatch.setattr(TimedModel, "energy", EnergyCounter(lambda: 0.0, "1 processor package(s)"))
    (result,) = measure(config, scenarios=("server",), qps=5000.0, latency_bound_s=1.0).latency
    assert result.energy_j_per_image is None
    assert result.energy_note == "not counted in scenario server"


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
    rule = {"min_samples": 10_000, "min_duration_s": 60.0, "max_duration_s": 60.0}
    # beyond the warm-up: in its 0.3 s not even an empty call (4 µs) comes so often
    interrupt(100_000)
    run = measure(config, **rule)
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
        ({"scenarios": ()}, ConfigError, "scenarios takes one or more"),
        (
            {"scenarios": ("single", "single")},
            ConfigError,
            "scenarios takes one or more",
        ),
        ({"boundaries": ("gpu",)}, UnknownNameError, "Unknown boundary"),
        ({"batch_sizes": (8, 0)}, ConfigError, "batch_size must be at least 1, got 0"),
        ({"min_samples": 0}, ConfigError, "min_samples must be at least 1"),
        (
            {"min_duration_s": 9.0, "max_duration_s": 1.0},
            ConfigError,
            "min_duration_s .* got 9.0",
        ),
        ({"max_duration_s": 0.0, "min_duration_s": 0.0}, ConfigError, "max_duration_s"),
        ({"scenarios": ("server",)}, ConfigError, "pass qps="),
        ({"qps": 0.0}, ConfigError, "qps must be greater than 0"),
        ({"pause_s": 0.0}, ConfigError, "pause_s"),
        ({"latency_bound_s": -1.0}, ConfigError, "latency_bound_s"),
        ({"candidates": ("b",), "scenarios": ("cold",)}, ConfigError, "not in cold"),
        (
            {"candidates": ("b",), "scenarios": ("server",), "qps": 1.0},
            ConfigError,
            "not in server",
        ),
    ],
    ids=str,
)
def test_bad_settings_are_refused_before_any_work(values, error, text):
    with pytest.raises(error, match=text):
        TimingConfig(**values)
