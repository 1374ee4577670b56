"""Runs are compared image by image only if their predictions are for the same images."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tlbench.compare import compare_runs, differing_images, open_compared_run, paired_difference
from tlbench.core.errors import ComparisonError, ResultError
from tlbench.stats import mcnemar_p, paired_interval


@pytest.fixture
def opened(tmp_path):
    """Open saved runs as a comparison takes them."""
    output = tmp_path / "work" / "runs"
    return lambda *names: [open_compared_run(name, output) for name in names]


@pytest.fixture
def two_runs(save, images):
    """Runs a and b: b loses 40 images, gains 10, and is wrong otherwise for 7 more."""
    save("a", images, {"backbone.softmax": images.first})
    second = images.second(lost=40, gained=10, other_mistakes=7)
    save("b", images, {"backbone.softmax": second})
    return images


def test_counts_of_a_paired_difference(images):
    """Lost and gained images are counted, the difference is theirs over all."""
    found = paired_difference(images.labels, images.first, images.second(lost=40, gained=10))
    assert (found.n_images, found.only_first_correct, found.only_second_correct) == (1017, 40, 10)
    assert found.difference_fraction == pytest.approx(-30 / 1017)
    assert (found.interval.low, found.interval.high) == paired_interval(40, 10, 1017)
    assert found.p_value == mcnemar_p(40, 10)


@pytest.mark.usefixtures("two_runs")
def test_two_runs_on_the_same_images_are_paired(opened):
    """Images that both have wrong, but differently, differ and are no disagreement."""
    (pair,) = compare_runs(opened("a", "b")).accuracy
    assert pair.paired.difference_fraction == pytest.approx(pair.difference_fraction)
    assert (pair.paired.only_first_correct, pair.paired.only_second_correct) == (40, 10)
    assert pair.n_differing == 57
    assert pair.not_paired is None


def test_heads_fitted_on_other_features_are_told_apart(save, images, opened):
    """An int8 run has softmax twice; each meets its own."""
    second = images.second(lost=5)
    entries = {"backbone.softmax": images.first, "backbone-fp32.softmax": second}
    save("a", images, entries)
    save("b", images, entries)
    pairs = compare_runs(opened("a", "b")).accuracy
    assert [pair.reference.title for pair in pairs] == ["backbone", "backbone-fp32"]
    assert [pair.n_differing for pair in pairs] == [0, 0]


def _other_rows(images):
    images.index = images.index[::-1]
    return {}


def _other_labels(images):
    images.labels = np.roll(images.labels, 1)
    return {}


def _other_data(images):
    return {"fingerprint": "f" * 64}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_rows, "different rows"),
        (_other_labels, "different labels"),
        (_other_data, "different fingerprints"),
    ],
)
def test_other_images_are_never_paired(save, images, few_images, opened, change, said):
    """Whatever says that the images are the same is looked at, and nothing is assumed."""
    save("a", images, {"backbone.softmax": images.first})
    others = few_images()
    dataset = change(others)
    save("b", others, {"backbone.softmax": others.first}, dataset=dataset)
    found = compare_runs(opened("a", "b"), allow_unlike=True)
    (pair,) = found.accuracy
    assert pair.paired is None
    assert said in pair.not_paired
    assert any(said in note for note in found.notes)
    with pytest.raises(ComparisonError, match=said):
        differing_images(opened("a", "b"))


def test_fewer_images_are_never_paired(save, images, few_images, opened):
    save("a", images, {"backbone.softmax": images.first})
    fewer = few_images(500, 400)
    save("b", fewer, {"backbone.softmax": fewer.first})
    (pair,) = compare_runs(opened("a", "b"), allow_unlike=True).accuracy
    assert "1017 test images against 500" in pair.not_paired


def test_a_run_without_its_predictions_is_compared_as_before(two_runs, tmp_path, opened):
    """Its run.json alone was copied."""
    (tmp_path / "work" / "runs" / "b" / "predictions.npz").unlink()
    (pair,) = compare_runs(opened("a", "b")).accuracy
    assert pair.paired is None
    assert "no predictions.npz beside the run.json of B" in pair.not_paired


def test_predictions_of_another_run_are_refused(two_runs, tmp_path, opened):
    """They do not give the accuracy in run.json."""
    runs = tmp_path / "work" / "runs"
    (runs / "b" / "predictions.npz").write_bytes((runs / "a" / "predictions.npz").read_bytes())
    with pytest.raises(ResultError, match=r"887 of 1017 predictions.* run.json says 857"):
        compare_runs(opened("a", "b"))


@pytest.mark.parametrize(
    "content",
    [b"", b"not a zip", {"labels": np.zeros((3, 2), int)}, {"labels": np.array(["a"])}, {}],
)
def test_damaged_predictions_are_an_error(two_runs, tmp_path, opened, content):
    path = tmp_path / "work" / "runs" / "b" / "predictions.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content)
    with pytest.raises(ResultError, match=r"predictions.npz holds no predictions"):
        compare_runs(opened("a", "b"))


def test_arrays_of_unequal_length_are_an_error(two_runs, tmp_path, opened):
    path = tmp_path / "work" / "runs" / "b" / "predictions.npz"
    np.savez(path, labels=np.arange(3), index=np.arange(3), **{"backbone.softmax": np.arange(2)})
    with pytest.raises(
        ResultError, match=r"3 labels, but not as many predictions under backbone.softmax"
    ):
        compare_runs(opened("a", "b"))


def test_a_missing_entry_is_an_error(two_runs, tmp_path, opened):
    path = tmp_path / "work" / "runs" / "b" / "predictions.npz"
    np.savez(path, labels=two_runs.labels, index=two_runs.index)
    with pytest.raises(ResultError, match=r"lacks backbone.softmax"):
        compare_runs(opened("a", "b"))


@pytest.mark.usefixtures("two_runs")
def test_the_report_shows_the_paired_difference(tlbench):
    done = tlbench("compare", "a", "b")
    assert done.code == 0, done.err
    assert "on the same images" in done.out
    row = next(line for line in done.out.splitlines() if "40 / 10" in line)
    assert "-2.9" in row
    assert "57" in row
    assert row.split()[-2:] == ["<", "0.001"]
    assert "no clear difference" not in done.out.split("on the same images")[0]
    assert max(map(len, done.out.splitlines())) <= 80
    document = json.loads(tlbench("compare", "a", "b", "--format", "json").out)
    assert document["accuracy"][0]["paired"]["only_first_correct"] == 40


@pytest.mark.usefixtures("two_runs")
def test_differing_images_are_listed(tlbench, images):
    """Row, true label and both predictions, by the names of the classes."""
    done = tlbench("compare", "a", "b", "--differing", "differing.csv")
    assert done.code == 0, done.err
    with Path("differing.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 57
    second = images.second(lost=40, gained=10, other_mistakes=7)
    for row in rows:
        at = int(row["index"])
        assert row["run"] == "B"
        assert row["entry"] == "backbone.softmax"
        numbers = (images.labels[at], images.first[at], second[at])
        assert [row["label"], row["first"], row["second"]] == [f"class {i}" for i in numbers]
        assert row["first"] != row["second"]


def test_differing_images_need_predictions(tlbench, two_runs, tmp_path):
    (tmp_path / "work" / "runs" / "a" / "predictions.npz").unlink()
    done = tlbench("compare", "a", "b", "--differing", "differing.csv")
    assert done.code == 2
    assert "no predictions.npz beside the run.json of A" in done.err
    assert not Path("differing.csv").exists()


def test_the_error_names_both_runs(two_runs, tmp_path, opened):
    (tmp_path / "work" / "runs" / "b" / "predictions.npz").unlink()
    with pytest.raises(ComparisonError) as refused:
        differing_images(opened("a", "b"))
    assert str(refused.value) == (
        "The images on which b and a differ cannot be listed: there is no predictions.npz beside "
        "the run.json of B. Evaluate both on the same data, and copy the whole folders."
    )


def test_a_candidate_keeps_its_folder(tmp_path):
    """RUN#LABEL knows where its predictions would be."""
    golden = Path(__file__).parents[1] / "golden" / "run-candidates.json"
    assert open_compared_run(f"{golden}#a", tmp_path).folder == golden.parent


def test_an_array_in_place_of_an_archive_is_an_error(two_runs, tmp_path, opened):
    """numpy reads the two formats under either name."""
    with (tmp_path / "work" / "runs" / "b" / "predictions.npz").open("wb") as file:
        np.save(file, two_runs.labels)
    with pytest.raises(ResultError, match=r"predictions.npz holds no predictions"):
        compare_runs(opened("a", "b"))
