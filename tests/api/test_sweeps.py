"""Sweeps from Python: arguments, what comes back, and how it shows."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

import tlbench
from tlbench.core.errors import ConfigError, ResultError, UnknownNameError

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")  # few images, a busy machine


@pytest.fixture(scope="module")
def swept(tiny_path, dataset, tmp_path_factory):
    """Two heads, one of them an object, on images in memory."""
    folder = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLBENCH_CACHE", str(folder / "cache"))
        return tlbench.sweep(
            tiny_path,
            folder / "swept",
            heads=["centroid", LogisticRegression(max_iter=50)],
            dataset=dataset,
            baselines=(),
            rounds=8,
            costs=False,
        )


def test_cells_have_names_and_figures(swept):
    assert [cell.name for cell in swept.cells.values()] == ["centroid", "LogisticRegression"]
    one = next(iter(swept.cells.values()))
    assert swept.cells[one.id] is one
    low, high = one.figures.accuracy_interval
    assert low <= one.figures.accuracy_fraction <= high
    assert swept.front
    assert swept.failed == ()


def test_a_cell_is_a_run(swept):
    one, *_ = swept.cells
    run = swept.run(one)
    assert isinstance(run, tlbench.Run)
    assert run.accuracy["centroid"].n_test == 20
    assert run.record.config.requested["given"]


def test_a_saved_sweep_is_the_same(swept):
    again = tlbench.load_sweep(swept.folder)
    assert again.record == swept.record
    assert tlbench.load_sweep(swept.folder / "sweep.json").record == swept.record
    with pytest.raises(ResultError, match="No sweep in"):
        tlbench.load_sweep(swept.folder / "cells")


def test_a_pick_is_true_or_false(swept):
    assert swept.pick(min_accuracy=0.01)
    found = swept.pick(min_accuracy=0.999)
    assert not found
    assert (found.cell, found.ties) == (None, ())
    assert repr(found) == "Pick(no cell passes)"
    assert "NO CELL PASSES" in str(found)


def test_it_shows_itself(swept, tmp_path):
    assert repr(swept).endswith("swept: 2 cells, 2 measured)")
    assert "<table>" in swept._repr_html_()
    assert "<table>" in swept.pick()._repr_html_()
    assert str(swept).startswith("2 cells")
    assert "%" in repr(next(iter(swept.cells.values())))
    for result, name in ((swept, "sweep.txt"), (swept.pick(), "pick.json")):
        assert tlbench.write_report(result, tmp_path / name).stat().st_size > 100
    with pytest.raises(UnknownNameError, match="format"):
        swept.report("junit")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"backbones": 3}, ConfigError, "takes names and paths, got int"),
        ({"backbones": [NearestCentroid()]}, ConfigError, "backbones takes names and paths"),
        ({"backbones": []}, ConfigError, "backbones is empty"),
        ({"precisions": "int7"}, UnknownNameError, "Did you mean 'int8'"),
        ({"heads": []}, ConfigError, "No heads are given"),
        ({"against": "x"}, UnknownNameError, "Unknown cell"),
    ],
)
def test_wrong_arguments_are_refused(tiny_path, tmp_path, arguments, error, message):
    given = {"backbones": tiny_path, "folder": tmp_path / "swept"} | arguments
    with pytest.raises(error, match=message):
        tlbench.sweep(**given)
    assert not (tmp_path / "swept").exists()


def test_an_unknown_objective_or_budget_is_refused(swept):
    with pytest.raises(UnknownNameError, match="Unknown objective 'speed'"):
        swept.pick(objective="speed")
    with pytest.raises(ConfigError, match="max_latency_s must be greater than 0"):
        swept.pick(max_latency_s=-1)
