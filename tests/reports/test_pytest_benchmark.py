"""The report for pytest-benchmark: its statistics are pytest-benchmark's, its own tool reads it."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_benchmark.stats import Stats

from tlbench.core.errors import ResultError
from tlbench.reports import RENDERERS
from tlbench.reports.pytest_benchmark import render, sample_statistics

GOLDEN = Path(__file__).parents[1] / "golden" / "report-pytest-benchmark.json"
SAMPLES = st.lists(st.floats(1e-9, 1e6), min_size=1, max_size=40)


def theirs(samples):
    """Return what pytest-benchmark computes of the samples."""
    stats = Stats()
    for sample in samples:
        stats.update(sample)
    return stats.as_dict()


@given(samples=SAMPLES)
def test_statistics_are_those_of_pytest_benchmark(samples):
    """Every field has the same name and, to the last bit, the same value."""
    assert sample_statistics(samples) == theirs(samples)


@pytest.mark.parametrize("n", range(1, 14), ids="n={}".format)
def test_quartiles_of_few_samples(n):
    """Each remainder of n by four has a rule of its own; one sample is far out."""
    samples = [*(0.01 * i**1.5 for i in range(1, n)), 9.0]
    assert sample_statistics(samples) == theirs(samples)


def test_report_is_the_golden_file(golden_run):
    """The format does not change unnoticed."""
    assert render(golden_run) == GOLDEN.read_text(encoding="utf-8")


def test_every_latency_is_one_benchmark(golden_run):
    """Nothing is left out and no two have one name; the samples are there, in their order."""
    benchmarks = json.loads(render(golden_run))["benchmarks"]
    assert [tuple(bench["stats"]["data"]) for bench in benchmarks] == [
        result.samples_s for result in golden_run.latency
    ]
    assert len({bench["fullname"] for bench in benchmarks}) == len(golden_run.latency)


def test_conditions_travel_with_the_times(golden_run):
    """Who reads the file alone knows the model, where it ran, and how accurate it was."""
    extra = json.loads(render(golden_run))["benchmarks"][0]["extra_info"]
    result = golden_run.latency[0]
    assert extra["provider"] == result.provider
    assert extra["precision"] == result.precision
    assert extra["batch_size"] == result.batch_size
    assert extra["boundary"] == result.boundary
    assert extra["model_sha256"] == golden_run.model.sha256
    assert [found["accuracy_fraction"] for found in extra["accuracy"]] == [
        found.accuracy_fraction for found in golden_run.accuracy
    ]


def test_a_foreign_model_goes_by_its_file(golden_run):
    """Without a card the name of the file stands in; without a commit none is claimed."""
    model = dataclasses.replace(golden_run.model, card=None)
    run = dataclasses.replace(golden_run, model=model, accuracy=())
    document = json.loads(render(run))
    bench = document["benchmarks"][0]
    assert bench["name"].startswith(f"{model.path_name}[")
    assert bench["extra_info"]["accuracy"] == []


@pytest.mark.parametrize(
    ("commit", "expected"),
    [
        (None, {"id": "unversioned", "dirty": False}),
        ("5eed", {"id": "5eed", "dirty": False}),
        ("5eed-dirty", {"id": "5eed", "dirty": True}),
    ],
)
def test_commit_is_split_as_pytest_benchmark_does(golden_run, commit, expected):
    """Changes in the working folder are a flag beside the commit, not a part of its name."""
    environment = dataclasses.replace(golden_run.environment, git_commit=commit)
    document = json.loads(render(dataclasses.replace(golden_run, environment=environment)))
    assert document["commit_info"] == expected


def test_run_without_latency_is_refused(golden_run):
    """An empty file would look like a comparison in which nothing changed."""
    with pytest.raises(ResultError, match="no latency"):
        render(dataclasses.replace(golden_run, latency=()))


def compare(folder, *arguments):
    """Run the real tool in an empty folder."""
    return subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_real_tool_compares_two_reports(golden_run, tmp_path):
    """Both runs stand in one table for each scenario, with the ratio of their times."""
    slower = dataclasses.replace(
        golden_run,
        latency=tuple(
            dataclasses.replace(result, samples_s=tuple(4 * s for s in result.samples_s))
            for result in golden_run.latency
        ),
    )
    files = {"before.json": golden_run, "after.json": slower}
    for name, run in files.items():
        text = RENDERERS.load("pytest-benchmark")(run)
        (tmp_path / name).write_text(text, encoding="utf-8")
    out = compare(tmp_path, *files, "--columns=median,rounds", "--sort=name")
    for result in golden_run.latency:
        title = f"benchmark '{result.scenario}, batch {result.batch_size}': 2 tests"
        assert title in out
    rows = [line for line in out.splitlines() if "(before)" in line or "(after)" in line]
    assert len(rows) == 2 * len(golden_run.latency)
    assert sum("(4.0" in row for row in rows if "(after)" in row) == len(golden_run.latency)
