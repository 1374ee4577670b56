"""Tables of times: every figure with its verdict, and a reason for each that is missing."""

import dataclasses

import pytest

from tlbench.records import Breakdown, Check, Percentile
from tlbench.reports.timing import (
    breakdown_table,
    costs_table,
    latency_table,
    models_table,
    ratio_table,
    samples_table,
    timing_notes,
    verdict_lines,
)


def _column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def _percentile(fraction, value_s, n_needed, n_samples):
    return Percentile(fraction=fraction, value_s=value_s, n_needed=n_needed, n_samples=n_samples)


@pytest.fixture
def single(golden_run):
    """One timing, not interleaved with others."""
    return dataclasses.replace(golden_run.latency[0], label=None)


def test_tables_of_nothing_have_no_rows():
    """What was not measured has no row of dashes."""
    for make in (latency_table, costs_table, models_table):
        assert make(()).rows == ()


def test_every_timing_has_a_row(golden_run):
    """Times of different scenarios, batches and models under test are never in one row."""
    table = latency_table(golden_run.latency)
    assert _column(table, "scenario") == ["A single", "B batch", "server", "cold", "paced"]
    assert _column(table, "batch") == ["1", "32", "1", "1", "1"]


def test_the_boundary_of_the_device_is_named(single):
    """A time without the copies is not passed off as one with them."""
    bound = dataclasses.replace(single, boundary="device->device")
    assert _column(latency_table([single, bound]), "scenario") == ["single", "single (device)"]


@pytest.mark.parametrize(("value_s", "shown"), [(0.0123, "12.3 ms"), (None, "n/a")])
def test_p99_is_the_records(single, value_s, shown):
    """The table takes percentiles from the record and computes none of its own."""
    percentiles = (
        _percentile(0.5, 0.01, 7, 1000),
        _percentile(0.9, 0.011, 64, 1000),
        _percentile(0.99, value_s, 662, 1000),
    )
    table = latency_table([dataclasses.replace(single, percentiles=percentiles)])
    assert _column(table, "median") == ["10.0 ms"]
    assert _column(table, "p90") == ["11.0 ms"]
    assert _column(table, "p99") == [shown]


def test_a_missing_percentile_says_what_it_needs(single):
    """Never a guess, and never a gap without a reason."""
    percentiles = (_percentile(0.9, None, 64, 20), _percentile(0.99, None, 662, 20))
    result = dataclasses.replace(single, percentiles=percentiles, samples_s=(0.1,) * 20)
    (note,) = timing_notes([result])
    assert note == "single, batch 1: too few samples (20): p90 needs 64, p99 needs 662"


@pytest.mark.parametrize(
    ("sample_s", "batch_size", "shown"),
    [(0.01, 1, "100"), (0.0125, 1, "80"), (0.01, 32, "3,200"), (2.0, 1, "0.5")],
)
def test_throughput_counts_images(single, sample_s, batch_size, shown):
    """Images a second are all images over all seconds of the calls."""
    result = dataclasses.replace(single, samples_s=(sample_s,) * 3, batch_size=batch_size)
    assert _column(latency_table([result]), "images/s") == [shown]


def test_a_slow_call_counts_for_the_throughput(single):
    """The median hides one stalled call in three; the images per second do not."""
    result = dataclasses.replace(single, samples_s=(0.1, 0.1, 0.8))
    assert _column(latency_table([result]), "images/s") == ["3"]


@pytest.mark.parametrize("verdict", ["VALID", "INVALID", None])
def test_the_verdict_stands_beside_the_time(single, verdict):
    """None is a run of a tlbench that did not judge."""
    table = latency_table([dataclasses.replace(single, verdict=verdict)])
    assert _column(table, "verdict") == [verdict or ""]


def test_what_is_invalid_says_why(golden_run):
    """The reason names the timing and what to do."""
    (line,) = verdict_lines(golden_run.latency)
    assert line.startswith("B batch, batch 32: other load on the machine")
    assert "measure again" in line


def test_a_check_of_little_weight_is_a_note(single):
    """It is told, and the timing stays VALID."""
    check = Check(name="autocorrelation", outcome="note", text="slow and fast phases")
    result = dataclasses.replace(single, checks=(check,), percentiles=())
    assert timing_notes([result]) == ["single, batch 1: slow and fast phases"]
    assert verdict_lines([result]) == []


@pytest.mark.parametrize(
    ("idle_cpu_s", "is_told"),
    [(1.9, True), (0.11, True), (0.1, False), (0.04, False), (None, False)],
)
def test_threads_that_spin_are_told(single, idle_cpu_s, is_told):
    """Processor time after the last call is a cost that no latency shows."""
    result = dataclasses.replace(single, idle_cpu_s=idle_cpu_s, percentiles=())
    assert any("spin" in note for note in timing_notes([result])) is is_told


def test_costs_have_interval_and_memory(single):
    """The unit is written once."""
    (row,) = costs_table([single]).rows
    assert "12.0 to 12.4 ms" in row
    assert "120 MB" in row


def test_memory_that_nobody_measured_has_no_column(single):
    with_memory = dataclasses.replace(single, peak_rss_bytes=2**20)
    without = dataclasses.replace(single, peak_rss_bytes=None)
    assert "peak memory" not in costs_table([without]).columns
    assert [row[-1] for row in costs_table([with_memory, without]).rows] == ["1.05 MB", "-"]


def test_a_server_is_judged_by_its_late_requests(golden_run):
    """The rate, the share over the bound, what was allowed, and the outcome."""
    (note,) = [note for note in timing_notes(golden_run.latency) if "requests" in note]
    assert "40 requests/s meets the latency bound: 0.20 % of the requests took longer than" in note
    assert "100 ms (95 % upper limit 0.80 %, allowed 1.0 %); this is the highest rate" in note


def test_requests_that_were_given_up_are_counted_aloud(golden_run):
    """They are among the late ones, and in no sample."""
    served = next(result for result in golden_run.latency if result.server is not None)
    load = dataclasses.replace(served.server, over_high=0.9, is_peak=False, n_unanswered=37)
    notes = timing_notes([dataclasses.replace(served, server=load)])
    assert any("misses the latency bound" in note for note in notes)
    assert any("37 requests were never answered" in note for note in notes)


def test_ratios_name_both_sides_and_what_differs(golden_run):
    """The letters are those of the list of models under test."""
    assert _column(models_table(golden_run.models_under_test), "model") == ["a", "b"]
    assert ratio_table(golden_run).rows == (
        ("B / A", "single", "1", "1.800", "[1.700, 1.900]", "20", "threads"),
    )


def test_a_ratio_of_few_blocks_has_no_interval(golden_run):
    ratio = dataclasses.replace(golden_run.ratios[0], interval=None, unlike=())
    (row,) = ratio_table(dataclasses.replace(golden_run, ratios=(ratio,))).rows
    assert row[4:] == ("n/a", "20", "nothing")


def test_the_preprocessing_stands_below_the_backbone_that_contains_it():
    parts = {"decode": 0.001, "backbone": 0.008, "head": 0.001}
    found = Breakdown(
        parts=parts, end_to_end_s=0.0102, n_images=100, head="softmax", preprocess_s=0.002
    )
    rows = breakdown_table(found).rows
    assert rows[2] == ("  preprocessing alone", "2.00 ms", "")
    assert rows[4][:2] == ("sum", "10.0 ms")


def test_the_breakdown_adds_up():
    """Parts, their sum, and the whole as it was timed."""
    parts = {"decode": 0.001, "backbone": 0.008, "head": 0.001}
    found = Breakdown(parts=parts, end_to_end_s=0.0102, n_images=100, head="softmax")
    rows = breakdown_table(found).rows
    assert [row[0] for row in rows] == ["decode", "backbone", "head", "sum", "end to end"]
    assert [row[1] for row in rows[-2:]] == ["10.0 ms", "10.2 ms"]
    # bars of 24 characters: a tenth, eight tenths, a tenth
    assert [len(row[2]) for row in rows[:3]] == [2, 19, 2]


def test_samples_are_shown_in_the_order_measured(single):
    """As bars between the lowest and the highest, which are named."""
    rising = dataclasses.replace(single, samples_s=(0.001, 0.002, 0.003, 0.008))
    ((*_, bars, low, high),) = samples_table([rising]).rows
    assert (bars, low, high) == ("▁▂▃█", "1.00 ms", "8.00 ms")


def test_many_samples_are_grouped(single):
    """So that the table has room in 80 columns; a slow phase is still seen."""
    samples = (0.001,) * 400 + (0.004,) * 100 + (0.001,) * 460
    ((_, _, bars, _, high),) = samples_table([dataclasses.replace(single, samples_s=samples)]).rows
    assert len(bars) == 24
    assert bars[:10] == "▁" * 10
    assert bars[11] == "█"
    assert high == "4.00 ms"


def test_a_timing_without_samples_has_no_bars(single):
    assert samples_table([dataclasses.replace(single, samples_s=())]).rows == ()
