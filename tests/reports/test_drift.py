"""What a report says about features of several models."""

from dataclasses import replace

import pytest

from tlbench.reports.console import render
from tlbench.reports.drift import drift_letters, drift_table, drifted_accuracy_table


@pytest.fixture
def drifts(golden_run):
    """Two heads, two models against one reference."""
    (first,) = golden_run.drifts
    return [
        replace(first, head=head, label=label)
        for head in ("softmax", "knn")
        for label in ("x@precision=int8", "a/long/path/" * 9)
    ]


def test_the_reference_is_a(drifts):
    assert list(drift_letters(drifts).values()) == ["A", "B", "C"]
    assert next(iter(drift_letters(drifts))) == drifts[0].reference


def test_a_distance_is_shown_once_whatever_the_heads(drifts):
    assert [row[0] for row in drift_table(drifts).rows] == ["B / A", "C / A"]


def test_each_head_has_the_reference_first(drifts):
    rows = drifted_accuracy_table(drifts).rows
    assert [row[:2] for row in rows] == [
        (letter, head) for head in ("softmax", "knn") for letter in "ABC"
    ]
    assert rows[1][2:] == ("86.8 %", "-0.2", "[-1.2, +0.9]", "14, 12", "0.84")


def test_a_run_without_drift_has_no_such_tables(golden_run):
    text = render(replace(golden_run, drifts=()))
    assert "Drift" not in text
    assert "To accuracy" not in text


def test_long_names_are_not_cut(golden_run, drifts):
    """Paths wrap; figures stay whole within 80 columns."""
    text = render(replace(golden_run, drifts=tuple(drifts)), width=80)
    assert "…" not in text.partition("Models")[2].partition("Features")[0]
    assert text.replace("\n", "").replace(" ", "").count("a/long/path/") == 9
