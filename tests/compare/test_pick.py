"""The pick: budgets by whole intervals, ties by the paired test, and the nearest miss."""

import numpy as np
import pytest
from swept_cells import cell, predictions, replace, rounds, swept

from tlbench.compare import find_cell, judge_cells, rounds_interval
from tlbench.compare.pick import check_budgets
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.records import Budgets, Check

# Accuracies on 2,000 images: a network, a faster one that is worse, and a faster one that is not.
PLANTED = {"good": (0.85, 0.010), "worse": (0.78, 0.004), "equal": (0.85, 0.006)}


@pytest.fixture(scope="module")
def planted():
    """Three cells, of which one is clearly worse and one is tied."""
    accuracies = [accuracy for accuracy, _ in PLANTED.values()]
    labels, found = predictions(accuracies, n_images=2000, agreement=0.9, seed=1)
    return {
        name: cell(name, labels, one, rounds(median, seed=i), size_bytes=(3 - i) * 10**6)
        for i, ((name, (_, median)), one) in enumerate(zip(PLANTED.items(), found, strict=True))
    }


def pick(cells, objective="accuracy", **budgets):
    return judge_cells(swept(cells), cells, Budgets(**budgets), objective, folder="swept")


def test_of_tied_cells_the_fastest_is_picked(planted):
    found = pick(planted)
    assert found.picked == "equal"
    assert {found.best, *(one.cell for one in found.ties)} == {"good", "equal"}
    assert all(one.paired.p_value > 0.05 for one in found.ties)


def test_a_worse_cell_is_no_tie(planted):
    found = pick(planted)
    assert "worse" not in {one.cell for one in found.ties}
    assert all(one.passes for one in found.cells)


def test_the_fastest_cell_is_picked_if_it_is_asked_for(planted):
    found = pick(planted, "latency")
    assert (found.picked, found.best, found.ties) == ("worse", "worse", ())
    assert pick(planted, "latency", min_accuracy_fraction=0.8).picked == "equal"


def test_the_smallest_file_is_picked_if_it_is_asked_for(planted):
    assert pick(planted, "size").picked == "equal"


def test_times_that_cannot_be_told_apart_are_a_tie():
    """Of two cells that are as fast as one another, the more accurate one."""
    labels, (one, two) = predictions([0.7, 0.9], n_images=500)
    cells = {
        "a": cell("a", labels, one, rounds(0.01, seed=1)),
        "b": cell("b", labels, two, rounds(0.01, seed=2)),
    }
    found = pick(cells, "latency")
    assert found.picked == "b"
    assert len(found.ties) == 1


def test_the_whole_interval_must_be_under_the_budget(planted):
    """A budget between the median and the upper end is not kept."""
    interval = pick(planted, max_latency_s=1).cells[0].image_interval
    median = planted["good"].timing.median_s
    assert median < interval.high
    between = (median + interval.high) / 2
    judged = {one.cell.id: one for one in pick(planted, max_latency_s=between).cells}
    assert not judged["good"].passes
    assert "not certainly under" in judged["good"].misses[0].text
    judged = {one.cell.id: one for one in pick(planted, max_latency_s=1.001 * interval.high).cells}
    assert judged["good"].passes


def test_the_whole_interval_must_be_above_the_floor(planted):
    floor = planted["good"].accuracy.accuracy_fraction - 0.002
    found = pick(planted, min_accuracy_fraction=floor)
    text = {one.cell.id: one.misses[0].text for one in found.cells if one.misses}
    assert "not certainly above" in text["good"]
    assert "points under the limit" in text["worse"]
    assert pick(planted, min_accuracy_fraction=0.8).picked == "equal"


def test_intervals_hold_for_all_cells_at_once(planted):
    """More cells, wider intervals: the luckiest of many looks better than it is."""
    alone = pick({"good": planted["good"]}, max_latency_s=1).cells[0].image_interval
    together = pick(planted, max_latency_s=1).cells[0].image_interval
    assert alone.confidence_fraction == pytest.approx(0.95)
    assert together.confidence_fraction == pytest.approx(1 - 0.05 / 3)
    assert together.low <= alone.low <= alone.high <= together.high
    both = pick(planted, max_latency_s=1, min_accuracy_fraction=0.1).cells[0]
    assert both.accuracy_interval.confidence_fraction == pytest.approx(1 - 0.05 / 6)


def test_cells_that_share_a_timing_count_once(planted):
    """Two heads on one network are not two chances of a lucky time."""
    labels = planted["good"].predictions.labels
    other = cell("head", labels, planted["worse"].predicted, rounds(0.010, seed=0))
    cells = {"good": planted["good"], "head": other}
    found = pick(cells, max_latency_s=1)
    assert found.cells[0].image_interval.confidence_fraction == pytest.approx(0.95)


def test_a_batch_is_judged_by_the_time_of_an_image():
    labels, (one,) = predictions([0.8])
    cells = {"a": cell("a", labels, one, rounds(0.08), batch_size=8)}
    assert pick(cells, max_latency_s=0.012).picked == "a"
    assert pick(cells, max_latency_s=0.009).picked is None


@pytest.mark.parametrize(
    ("budgets", "budget", "text"),
    [
        ({"max_size_bytes": 10}, "size", "1.00 MB, 1.00 MB over the limit"),
        ({"max_memory_bytes": 10}, "memory", "over the limit"),
        ({"licences": ("GPL-3.0",)}, "licence", "not in GPL-3.0"),
        ({"max_latency_s": 0.003}, "latency", "over the limit"),
    ],
)
def test_nothing_passes_and_the_nearest_is_named(planted, budgets, budget, text):
    cells = {
        name: replace_timing(one, peak_rss_bytes=(i + 2) * 10**7)
        for i, (name, one) in enumerate(planted.items())
    }
    found = pick(cells, **budgets)
    assert (found.picked, found.best, found.ties, found.commands) == (None, None, (), {})
    nearest = next(one for one in found.cells if one.cell.id == found.nearest)
    assert nearest.misses[0].budget == budget
    assert text in nearest.misses[0].text
    expected = {"size": "equal", "memory": "good", "latency": "worse", "licence": "worse"}
    assert found.nearest == expected[budget]


def replace_timing(one, **changes):
    timing = replace(one.timing, **changes)
    return replace(one, run=replace(one.run, latency=(timing,)))


def test_memory_that_was_not_measured_is_a_miss(planted):
    found = pick({"a": replace_timing(planted["good"], peak_rss_bytes=None)}, max_memory_bytes=1e9)
    assert "memory was not measured" in found.cells[0].misses[0].text


def test_the_memory_of_a_gpu_counts(planted):
    one = replace_timing(planted["good"], peak_rss_bytes=1000, device_bytes=10**9)
    assert pick({"a": one}, max_memory_bytes=1e6).picked is None


@pytest.mark.parametrize("allowed", ["apache-2.0", "Apache-2.0 (Google)", " Apache-2.0"])
def test_a_licence_is_compared_without_its_owner(planted, allowed):
    card = planted["good"].run.model.card
    weights = replace(card.weights, licence="Apache-2.0 (Google)")
    model = replace(planted["good"].run.model, card=replace(card, weights=weights))
    one = replace(planted["good"], run=replace(planted["good"].run, model=model))
    assert pick({"a": one}, licences=(allowed,)).picked == "a"


def test_times_that_may_be_too_short_do_not_pass(planted):
    """A cached result is fast; a busy machine is slow, which lets no cell pass."""
    cached = Check(name="caching", outcome="fail", text="result caching")
    busy = Check(name="other load", outcome="fail", text="other load on the machine")
    for check, expected in ((cached, None), (busy, "good")):
        one = replace_timing(
            planted["good"], checks=(check,), verdict="INVALID", reasons=(check.text,)
        )
        found = pick({"good": one}, max_latency_s=1)
        assert found.picked == expected
    assert any("other load" in note for note in found.notes)


def test_too_few_rounds_do_not_pass():
    labels, (one,) = predictions([0.8])
    cells = {"a": cell("a", labels, one, rounds(0.01, n_rounds=4))}
    assert rounds_interval(cells["a"].timing) is None
    (miss,) = pick(cells, max_latency_s=1).cells[0].misses
    assert "no interval: 4 rounds are too few" in miss.text


def test_the_commands_lead_on(planted):
    found = pick(planted)
    assert found.commands["fuse"] == (
        "tlbench fuse swept/cells/equal --head softmax -o classifier.onnx"
    )
    assert found.commands["gate"].startswith("tlbench baseline save swept/cells/equal -o ")


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ({"max_latency_s": 0}, "max_latency_s must be greater than 0, got 0"),
        ({"max_latency_s": float("nan")}, "max_latency_s must be greater than 0"),
        ({"max_size_bytes": -1}, "max_size_bytes must be greater than 0"),
        ({"min_accuracy_fraction": 1.0}, "min_accuracy must be at least 0 and below 1"),
        ({"min_accuracy_fraction": 85}, "min_accuracy must be at least 0 and below 1"),
        ({"licences": ()}, "licences is empty"),
    ],
)
def test_impossible_budgets_are_refused(budgets, message):
    with pytest.raises(ConfigError, match=message):
        check_budgets(Budgets(**budgets))


def test_predictions_of_other_images_are_never_a_tie(planted):
    """Without pairs, nothing says that two cells are as accurate as one another."""
    good, other = planted["good"], planted["equal"]
    shuffled = replace(other.predictions, index=other.predictions.index[::-1])
    cells = {"good": good, "equal": replace(other, predictions=shuffled)}
    found = pick(cells)
    assert found.ties == ()


def test_the_front_has_no_beaten_cell(planted):
    sweep = swept(planted)
    marks = {one.id: one.figures.on_front for one in sweep.cells}
    figures = {one.id: one.figures for one in sweep.cells}
    best = max(figures, key=lambda name: figures[name].accuracy_fraction)
    assert marks == {"good": best == "good", "worse": True, "equal": True}


def test_the_recommended_cell_is_the_fastest_that_is_not_worse(planted):
    sweep = swept(planted, against="network-good")
    assert (sweep.against, sweep.recommended) == ("good", "equal")
    found = next(one for one in sweep.differences if one.cell == "equal")
    assert found.ratio == pytest.approx(0.6, rel=0.05)
    assert found.ratio_interval.low < 0.6 < found.ratio_interval.high


def test_nothing_is_recommended_if_all_others_are_slower(planted):
    sweep = swept(planted, against="network-worse")
    assert sweep.recommended is None


SIZES = {
    name: {"backbone": backbone, "input_size": size, "precision": precision}
    for name, backbone, size, precision in (
        ("1111aaaa", "net", 96, "fp32"),
        ("2222bbbb", "net", 224, "fp32"),
        ("3333cccc", "net", 224, "int8"),
        ("4444dddd", "other", None, "fp32"),
    )
}


@pytest.fixture(scope="module")
def grid():
    labels, (one,) = predictions([0.8], n_images=50)
    times = rounds(0.01, n_rounds=8)
    return swept({name: cell(name, labels, one, times) for name in SIZES}, settings=SIZES).cells


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("3333cccc", "3333cccc"),
        ("3333", "3333cccc"),
        ("net", "2222bbbb"),
        ("net@input_size=96", "1111aaaa"),
        ("net@input_size=224,precision=int8", "3333cccc"),
        ("net@precision=int8", "3333cccc"),
        ("other", "4444dddd"),
    ],
)
def test_a_cell_has_an_id_or_settings(grid, text, name):
    cells = [replace(one, figures=replace(one.figures, input_size=None)) for one in grid]
    assert find_cell(cells, text).id == name


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("nett", UnknownNameError, "Did you mean 'net'"),
        ("999", UnknownNameError, "Unknown cell or backbone"),
        ("net@size=96", UnknownNameError, "Unknown setting of a cell 'size'"),
        ("net@input_size=97", ConfigError, "Values of input_size: 96, 224"),
    ],
)
def test_a_cell_that_does_not_exist(grid, text, error, message):
    with pytest.raises(error, match=message):
        find_cell(grid, text)


def test_a_failed_cell_is_no_reference(grid):
    failed = [replace(grid[0], state="failed", reason="no CUDA"), *grid[1:]]
    with pytest.raises(ConfigError, match=r"1111aaaa .* failed: no CUDA"):
        find_cell(failed, "1111aaaa")
    assert find_cell(failed, "net").id == "2222bbbb"


@pytest.mark.parametrize("per_round", [1, 2, 5, 6])
def test_the_interval_of_the_rounds_covers_the_median(per_round):
    """Half of the rounds are above the true median, whatever their number of calls."""
    covered = 0
    for seed in range(300):
        times = rounds(0.01, n_rounds=20, per_round=per_round, noise=0.3, phase=0, seed=seed)
        labels = np.zeros(1, dtype=int)
        found = rounds_interval(cell("a", labels, labels, times).timing)
        covered += found is None or found.low <= 0.01 <= found.high
    assert covered / 300 >= 0.93  # 95 % and two standard errors below


def test_the_interval_contains_the_figure_that_the_table_shows():
    times = np.array([[1.0, 9.0, 9.0]] * 9 + [[9.0, 9.0, 9.0]] * 3)
    labels = np.zeros(1, dtype=int)
    timing = cell("a", labels, labels, times).timing
    interval = rounds_interval(timing)
    assert interval.low <= timing.median_s <= interval.high
