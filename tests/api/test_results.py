"""Runs, comparisons and verdicts in Python: easy to reach, and shown as tables in a notebook."""

import dataclasses
import html.parser
import json

import numpy as np
import pytest

import tlbench
from tlbench.core.errors import (
    ComparisonError,
    ConfigError,
    GateError,
    ResultError,
    UnknownNameError,
)
from tlbench.gate import AccuracyPolicy, Policy
from tlbench.heads import HEADS
from tlbench.records import encode_run


class Text(html.parser.HTMLParser):
    """Collects the text of a fragment, and checks that its tags are balanced."""

    def __init__(self, fragment):
        super().__init__()
        self.open, self.words = [], []
        self.feed(fragment)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def run(evaluate):
    return evaluate(heads=["softmax", "knn"], baselines="pixels")


@pytest.fixture
def timed(tiny_path):
    return tlbench.measure_latency(
        tiny_path,
        batch_sizes=[2, 4],
        min_samples=5,
        min_duration_s=0,
        max_duration_s=0.2,
        costs=False,
    )


def test_accuracies_are_found_by_head(run):
    """The head alone means the backbone's features."""
    assert run.accuracy["softmax"] is run.accuracy["backbone.softmax"]
    assert run.accuracy["pixels.knn"].features == "pixels"
    assert len(run.accuracy) == 4


def test_an_interval_unpacks(run):
    """Both ends, in order."""
    low, high = run.accuracy["softmax"].interval
    assert low <= run.accuracy["softmax"].accuracy_fraction <= high


def test_an_unknown_result_is_a_key_error_with_the_known_names(run):
    """A mapping raises KeyError, and its message is not quoted."""
    with pytest.raises(KeyError) as caught:
        run.accuracy["svm"]
    assert str(caught.value).startswith("There is no accuracy 'svm'. Known: backbone.softmax, ")
    assert isinstance(caught.value, UnknownNameError)
    assert "svm" not in run.accuracy
    assert run.accuracy.get("svm") is None


def test_nothing_measured_is_said(run):
    """An empty mapping explains itself."""
    with pytest.raises(KeyError, match="nothing of this kind was measured"):
        run.latency["single"]


def test_timings_are_named_as_shortly_as_they_can_be(timed):
    """The batch size is in the name where it is needed."""
    assert list(timed.latency) == ["single", "offline batch 2", "offline batch 4"]
    assert timed.latency["offline batch 4"].batch_size == 4
    with pytest.raises(KeyError, match="offline batch 2"):
        timed.latency["offline"]


def test_interleaved_timings_bear_their_models(tiny_path):
    """Each model has a timing of its own."""
    run = tlbench.measure_latency(
        tiny_path,
        candidates=[f"{tiny_path}@threads=1"],
        scenarios="single",
        rounds=3,
        min_samples=6,
        min_duration_s=0,
        max_duration_s=0.5,
        costs=False,
    )
    assert [name.endswith(": single") for name in run.latency] == [True, True]
    assert len({one.label for one in run.latency.values()}) == 2


def test_cross_validations_are_found_by_head(evaluate):
    """As the accuracies are."""
    run = evaluate(heads="knn", folds=3)
    assert run.cross_validation["knn"].folds[0].n_test == 20


def test_reprs_are_short_and_say_the_figures(run, timed):
    """Nobody reads 130 samples at a prompt."""
    accuracy = run.accuracy["softmax"]
    assert repr(accuracy).startswith("AccuracyResult(softmax on backbone: ")
    assert repr(accuracy).endswith(", n = 20)")
    assert repr(timed.latency["single"]).startswith("LatencyResult(single, batch 1, cpu: median ")
    assert repr(run).startswith(f"Run({run.id}, tiny on shades, backbone.softmax ")
    assert repr(run.accuracy).splitlines()[1].startswith("  'backbone.softmax': AccuracyResult(")
    assert all(len(repr(one)) < 300 for one in (run, timed))


def test_a_run_prints_its_report(run):
    """What `tlbench report` shows."""
    assert str(run) == run.report("console")
    assert "Accuracy" in str(run)


def test_a_notebook_shows_the_report_as_tables(run):
    """The same texts as on the console, in valid HTML."""
    words = Text(run._repr_html_()).words
    for text in ("Accuracy", "softmax", "calibration error", "Warnings"):
        assert text in " ".join(words)


def test_names_are_escaped_in_a_notebook(evaluate, pictures, kinds):
    """A class may be called anything."""
    bad = np.where(kinds == "dark", "<script>alert(1)</script>", "b&w")
    data = tlbench.Dataset.from_arrays(
        pictures[:40], bad[:40], pictures[40:], bad[40:], name="<i>x</i>"
    )
    fragment = evaluate(dataset=data, heads="centroid")._repr_html_()
    assert "<script>" not in fragment
    assert "<i>" not in fragment
    assert any("<i>x</i>" in word for word in Text(fragment).words)


def test_a_run_is_saved_and_loaded(run, tmp_path):
    """What is loaded is what was measured."""
    folder = run.save(tmp_path / "runs")
    again = tlbench.load_run("last", folder=tmp_path / "runs")
    assert again.record == run.record
    assert again.folder == folder == run.folder
    np.testing.assert_array_equal(again.predictions.labels, run.predictions.labels)
    assert again.predictions.entries.keys() == run.predictions.entries.keys()


@pytest.mark.parametrize("how", ["folder", "file", "id"])
def test_a_run_is_loaded_by_folder_file_or_id(run, tmp_path, how):
    """As on the command line."""
    folder = run.save(tmp_path)
    name = {"folder": folder, "file": folder / "run.json", "id": run.id}[how]
    assert tlbench.load_run(name, folder=tmp_path).id == run.id


def test_a_loaded_run_is_saved_elsewhere_with_its_predictions(run, tmp_path):
    """A copy is complete."""
    run.save(tmp_path / "one")
    loaded = tlbench.load_run("last", folder=tmp_path / "one")
    copy = loaded.save(tmp_path / "two")
    assert tlbench.load_run(copy).predictions.entries.keys() == run.predictions.entries.keys()


def test_a_run_that_is_not_there_is_an_error(tmp_path):
    """The message says where tlbench looked."""
    with pytest.raises(ResultError, match="There is no run in"):
        tlbench.load_run(folder=tmp_path)


def test_damaged_predictions_are_refused(run, tmp_path):
    """They must give the accuracies of the record."""
    folder = run.save(tmp_path)
    (folder / "predictions.npz").write_bytes(b"nothing")
    with pytest.raises(ResultError, match="holds no predictions"):
        tlbench.load_run(folder).predictions  # noqa: B018 - read on access


def test_unsaved_runs_are_compared_image_by_image(evaluate):
    """Predictions in memory are as good as saved ones."""
    first, second = evaluate(heads="knn"), evaluate(heads="knn", batch_size=5)
    comparison = tlbench.compare_runs(first, second)
    assert comparison.accuracy[0].paired.n_images == 20
    assert "no results" not in str(comparison)
    assert repr(comparison) == f"Comparison({first.id}, {second.id}: 1 results compared)"
    assert "knn" in " ".join(Text(comparison._repr_html_()).words)


def test_runs_and_names_mix(evaluate, tmp_path):
    """One may be saved, the other not."""
    first, second = evaluate(heads="knn"), evaluate(heads="knn", batch_size=5)
    first.save(tmp_path)
    comparison = tlbench.compare_runs(first.id, second, folder=tmp_path)
    assert comparison.accuracy[0].paired is not None


def test_unlike_runs_are_refused(evaluate):
    """Unless the caller says that they may differ; the library names its parameter."""
    runs = [evaluate(heads="knn", head_params={"k": k}) for k in (1, 3)]
    with pytest.raises(ComparisonError, match="allow_unlike"):
        tlbench.compare_runs(*runs)
    assert tlbench.compare_runs(*runs, allow_unlike=True).accuracy


def test_a_gate_passes_an_equal_run(run, tmp_path):
    """A test asserts the verdict itself."""
    baseline = run.save_baseline(tmp_path / "baseline.json")
    verdict = tlbench.check_gate(run, baseline)
    assert verdict
    assert repr(verdict) == "Verdict(passed)"
    assert verdict.failures == ()


def test_a_gate_fails_a_worse_run(run, tmp_path):
    """The failures say why, in the repr that a failed assertion shows."""
    baseline = run.save_baseline(tmp_path / "baseline.json")
    policy = Policy(
        accuracy=AccuracyPolicy(floors_percent={"backbone.softmax": 99.0, "backbone.knn": 99.0})
    )
    verdict = tlbench.check_gate(run, baseline, policy=policy)
    assert not verdict
    assert not verdict.passed
    assert repr(verdict).startswith("Verdict(failed: backbone.knn: ")
    assert verdict.record.policy_source == "passed from Python"
    assert "FAILED" in str(verdict)
    assert any("FAILED" in word for word in Text(verdict._repr_html_()).words)


def test_a_baseline_that_is_not_there_gives_no_verdict(run, tmp_path):
    """No verdict is not a pass."""
    with pytest.raises(GateError):
        tlbench.check_gate(run, tmp_path / "missing.json")


@pytest.mark.parametrize("suffix", [".json", ".txt", ".md", ".xml"])
def test_reports_are_written_by_suffix(run, tmp_path, suffix):
    """A verdict has a form for each; a run has those that are in the registry."""
    verdict = tlbench.check_gate(run, run.save_baseline(tmp_path / "baseline.json"))
    file = tlbench.write_report(verdict, tmp_path / f"verdict{suffix}")
    assert "PASSED" in file.read_text() or '"passed": true' in file.read_text() or suffix == ".xml"


def test_a_run_is_written_as_its_record(run, tmp_path):
    """JSON is exactly run.json."""
    file = tlbench.write_report(run, tmp_path / "run.json")
    assert file.read_bytes() == encode_run(run.record)


def test_a_comparison_is_written_as_json(evaluate, tmp_path):
    """Every figure of it."""
    comparison = tlbench.compare_runs(evaluate(heads="knn"), evaluate(heads="knn", batch_size=5))
    file = tlbench.write_report(comparison, tmp_path / "comparison.json")
    assert json.loads(file.read_text())["accuracy"]


def test_an_unknown_suffix_is_refused(run, tmp_path):
    """Nothing is guessed, and nothing written."""
    with pytest.raises(ConfigError, match=r"Known: \.html, \.json"):
        tlbench.write_report(run, tmp_path / "report.doc")
    with pytest.raises(UnknownNameError, match="junit"):
        tlbench.write_report(run, tmp_path / "report.xml")
    assert list(tmp_path.glob("report*")) == []


@pytest.mark.parametrize("progress", [False, True])
def test_warnings_reach_python(tiny_path, dataset, progress, capsys):
    """They name the line that called tlbench, and nothing is printed in their place."""

    def only_backbone(params, shape):
        if shape != (16,):
            raise ConfigError("It fits these features only.")
        return params

    picky = dataclasses.replace(HEADS.load("centroid"), name="picky", lay_out=only_backbone)
    with pytest.warns(UserWarning, match="picky is left out on pixels") as caught:
        tlbench.evaluate(tiny_path, dataset=dataset, heads=picky, progress=progress)
    assert {warning.filename for warning in caught} == {__file__}
    assert "picky" not in capsys.readouterr().out


def test_a_listener_hears_the_progress(evaluate, recorder):
    """As the command line's does."""
    evaluate(heads="knn", progress=recorder)
    assert ("extract train", 40, "images") in recorder.tasks
    assert recorder.running == 0
