"""What the tables say: the numbers of the record, and none that it does not have."""

import dataclasses

import pytest

from tlbench.reports.tables import accuracy_table, extraction_table, headline, title_parts


def _column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def _all_tables(run):
    return (
        accuracy_table(run.accuracy),
        extraction_table(run.extraction),
    )


def test_tables_are_rectangular(golden_run):
    """Each row has a cell for each column, and each column a side."""
    for table in _all_tables(golden_run):
        assert table.rows
        assert len(table.right) == len(table.columns)
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_tables_of_nothing_have_no_rows():
    """What was not measured has no row of dashes."""
    for make in (accuracy_table, extraction_table):
        assert make(()).rows == ()


def test_accuracy_has_a_row_for_each_result(golden_run):
    """Baselines are in the same table as the backbone, in the order of the run."""
    table = accuracy_table(golden_run.accuracy)
    assert _column(table, "features") == ["backbone", "backbone", "pixels", "pixels"]
    assert _column(table, "head") == ["softmax", "svm-linear", "softmax", "svm-linear"]


def test_accuracy_is_in_percent_with_its_interval(golden_run):
    """885 of 1,017 images are 87.0 %, with Wilson's interval beside it."""
    table = accuracy_table(golden_run.accuracy)
    assert _column(table, "accuracy")[0] == "87.0 %"
    interval = golden_run.accuracy[0].interval
    low, high = f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}"
    assert _column(table, "95 % interval")[0] == f"[{low}, {high}]"


def test_accuracy_shows_the_times_of_the_heads(golden_run):
    """Fit and prediction are durations in fitting units."""
    table = accuracy_table(golden_run.accuracy)
    assert _column(table, "fit")[0] == "2.41 s"
    assert _column(table, "predict")[0] == "3.10 ms"


def test_extraction_has_a_row_for_each_split(golden_run):
    """Counts have their thousands separated."""
    table = extraction_table(golden_run.extraction)
    assert _column(table, "split") == ["train", "test"]
    assert _column(table, "images") == ["5,085", "1,017"]
    assert _column(table, "features") == ["1,280", "1,280"]


def test_features_from_the_store_are_marked(golden_run):
    """A time that was measured in an earlier run is not passed off as this one's."""
    train, test = extraction_table(golden_run.extraction).rows
    assert "store" not in " ".join(train)
    assert "store" in " ".join(test)


def test_title_says_what_was_measured(golden_run):
    """Backbone, weights, precision, provider, threads and data, with their numbers of images."""
    title = " ".join(title_parts(golden_run))
    for part in (
        "efficientnet-lite0",
        "imagenet weights",
        "fp32",
        "cpu",
        "2 threads",
        "cifar10",
        "5,085",
        "1,017",
    ):
        assert part in title


def test_title_tells_random_weights(golden_run):
    """The identity of the weights is never left out."""
    weights = dataclasses.replace(golden_run.model.card.weights, kind="random")
    card = dataclasses.replace(golden_run.model.card, weights=weights)
    model = dataclasses.replace(golden_run.model, card=card)
    title = " ".join(title_parts(dataclasses.replace(golden_run, model=model)))
    assert "random weights" in title
    assert "imagenet" not in title


def test_title_of_a_foreign_model_is_its_file(golden_run):
    """A file without a card is named as it is, and no weights are claimed."""
    model = dataclasses.replace(golden_run.model, card=None, path_name="mine.onnx")
    parts = title_parts(dataclasses.replace(golden_run, model=model))
    assert parts[0] == "mine.onnx"
    assert "weights" not in " ".join(parts)


def test_headline_compares_the_best_head_with_its_baseline(golden_run):
    """The answer is the best head on the backbone; the baseline beside it has the same head."""
    rows = headline(golden_run)
    assert len(rows) == 2
    assert "softmax" in rows[0][0]
    assert "87.0 %" in rows[0][1]
    assert "pixels" in rows[1][0]
    assert "37.6 %" in rows[1][1]
    assert "+49.5 points" in rows[1][2]


def test_headline_picks_the_most_accurate_head(golden_run):
    """The order of the heads on the command line does not decide."""
    turned = dataclasses.replace(golden_run, accuracy=golden_run.accuracy[::-1])
    assert headline(turned) == headline(golden_run)


def test_headline_does_not_claim_what_the_intervals_do_not_show(golden_run):
    """Where the intervals overlap, no winner is named."""
    ours = golden_run.accuracy[0]
    near = dataclasses.replace(
        golden_run.accuracy[2],
        accuracy_fraction=ours.accuracy_fraction - 0.01,
        interval=ours.interval,
    )
    clear = headline(golden_run)[1][2]
    unclear = headline(dataclasses.replace(golden_run, accuracy=(ours, near)))[1][2]
    assert "+1.0 points" in unclear
    assert clear.split(":")[0] != unclear.split(":")[0]


def test_headline_of_a_latency_run_is_empty(golden_run):
    """Without accuracy there is no answer about accuracy."""
    assert headline(dataclasses.replace(golden_run, accuracy=())) == []


@pytest.mark.parametrize("verdict", ["VALID", "INVALID"])
def test_headline_shows_the_verdict_of_the_single_latency(golden_run, verdict):
    """A time that is not valid is never shown without saying so."""
    latency = (dataclasses.replace(golden_run.latency[0], verdict=verdict),)
    shown = headline(dataclasses.replace(golden_run, latency=latency))[0][2]
    assert shown.split()[-1] == verdict
