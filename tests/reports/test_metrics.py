"""Files for services that draw figures over time."""

import dataclasses
import json

import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tlbench.core.errors import ResultError
from tlbench.reports import RENDERERS
from tlbench.reports.metrics import run_metrics

# As Bencher publishes it.
BENCHER = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {
            "type": "object",
            "required": ["value"],
            "additionalProperties": False,
            "properties": {
                name: {"type": "number"} for name in ("value", "lower_value", "upper_value")
            },
        },
    },
}


def rendered(name, run):
    return RENDERERS.load(name)(run)


def with_name(run, name):
    return dataclasses.replace(
        run,
        latency=tuple(dataclasses.replace(one, label=name) for one in run.latency),
        dataset=dataclasses.replace(run.dataset, name=name),
    )


def test_bencher_has_latency_in_ns_and_accuracy_in_percent(golden_run):
    found = json.loads(rendered("bencher", golden_run))
    jsonschema.validate(found, BENCHER)
    first = golden_run.accuracy[0]
    accuracy = next(one["accuracy"] for one in found.values() if "accuracy" in one)
    assert accuracy["value"] == pytest.approx(100 * first.accuracy_fraction)
    assert accuracy["lower_value"] == pytest.approx(100 * first.interval.low)
    timing = next(one for one in golden_run.latency if one.samples_s)
    latency = next(one["latency"] for one in found.values() if "latency" in one)
    assert latency["value"] == pytest.approx(1e9 * timing.median_s)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("github-benchmark", {"latency", "memory", "energy", "size"}),
        ("github-benchmark-bigger", {"accuracy", "throughput"}),
    ],
)
def test_github_has_one_file_per_direction(golden_run, name, kinds):
    found = json.loads(rendered(name, golden_run))
    assert {entry["name"].partition(":")[0] for entry in found} <= kinds
    for entry in found:
        assert set(entry) <= {"name", "unit", "value", "range", "extra"}
        assert isinstance(entry["value"], int | float)
    assert len({entry["name"] for entry in found}) == len(found)


def test_github_says_which_timing_is_invalid(golden_run):
    run = dataclasses.replace(
        golden_run,
        latency=tuple(dataclasses.replace(o, verdict="INVALID") for o in golden_run.latency),
    )
    found = json.loads(rendered("github-benchmark", run))
    assert all("INVALID" in e["extra"] for e in found if e["name"].startswith("latency"))


def test_accuracies_of_a_run_without_any_are_refused(golden_run):
    run = dataclasses.replace(golden_run, accuracy=(), latency=())
    with pytest.raises(ResultError, match="no accuracy"):
        rendered("github-benchmark-bigger", run)


def test_openmetrics_is_read_by_prometheus(golden_run):
    text = rendered("openmetrics", golden_run)
    families = {f.name: f for f in text_string_to_metric_families(text)}
    samples = families["tlbench_accuracy_ratio"].samples
    first = golden_run.accuracy[0]
    values = {
        s.labels["statistic"]: s.value for s in samples if s.labels["entry"].endswith(first.head)
    }
    assert set(values) == {"estimate", "low", "high"}
    assert families["tlbench_latency_seconds"].unit == "seconds"
    assert {s.value for s in families["tlbench_latency_valid"].samples} <= {0, 1}


def test_the_names_do_not_depend_on_the_run(golden_run):
    later = dataclasses.replace(golden_run, id="20270101-000000-ffff")
    assert json.loads(rendered("bencher", later)).keys() == (
        json.loads(rendered("bencher", golden_run)).keys()
    )


def test_two_figures_of_one_name_stay_two(golden_run):
    twice = dataclasses.replace(golden_run, latency=golden_run.latency * 2)
    found = [(m.name, *m.labels.items()) for m in run_metrics(twice)]
    assert len(set(found)) == len(found)
    n_latencies = sum("latency" in one for one in json.loads(rendered("bencher", twice)).values())
    assert n_latencies == 2 * sum(bool(one.samples_s) for one in golden_run.latency)
    list(text_string_to_metric_families(rendered("openmetrics", twice)))
