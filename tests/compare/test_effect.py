"""The figures: ratios, their bounds, energy and accuracies."""

import dataclasses
import json

import msgspec
import pytest

from tlbench.compare import compare_runs
from tlbench.compare.effect import compared_timing, speed_up
from tlbench.records import Comparison, plain_value
from tlbench.records.comparison import COMPARISON_VERSION
from tlbench.stats import autocorrelation_time, quantile_interval

replace = dataclasses.replace

# Neighbours on either side of the median, so that no dependence widens the interval. Of 7
# independent samples, smallest and largest hold the median at 1 - 2 / 2**7 = 98.4 %; the next pair
# of ranks only at 93.0 %, below the 97.5 % that are needed.
SLOW = (10.0, 13.0, 9.0, 12.0, 10.0, 14.0, 11.0)
FAST = (2.0, 3.5, 1.0, 3.0, 2.0, 4.0, 2.5)


@pytest.fixture
def timed(saved_run):
    """Return one timing of a ratio."""

    def compared(samples_s, run="A", **changes):
        return compared_timing(replace(saved_run.latency[0], samples_s=samples_s, **changes), run)

    return compared


def test_samples_of_the_tests_count_as_independent():
    """The bounds below are computed by hand for independent samples."""
    assert autocorrelation_time(SLOW) == autocorrelation_time(FAST) == 1


def test_bounds_by_hand(timed):
    """From [9, 14] and [1, 4]: 9 / 4 to 14 / 1, around 11 / 2.5."""
    found = speed_up(timed(SLOW), timed(FAST, "B"))
    assert found.speed_up == pytest.approx(11 / 2.5)
    assert (found.interval.low, found.interval.high) == (9 / 4, 14 / 1)
    assert found.interval.confidence_fraction == 0.95
    assert found.reference.median_interval.confidence_fraction == 0.975
    assert "sampling noise within each run only" in found.interval.method


def test_exchanged_runs_have_the_inverse(timed):
    """Which run is the reference changes the direction and nothing else."""
    forth, back = speed_up(timed(SLOW), timed(FAST)), speed_up(timed(FAST), timed(SLOW))
    assert back.speed_up == pytest.approx(1 / forth.speed_up)
    assert back.interval.low == pytest.approx(1 / forth.interval.high)
    assert back.interval.high == pytest.approx(1 / forth.interval.low)


def test_six_samples_are_too_few(timed):
    """They reach 95 % for one median (96.9 %) and not the 97.5 % that each of two needs."""
    assert quantile_interval(SLOW[:6]) is not None
    found = speed_up(timed(SLOW[:6]), timed(FAST))
    assert found.interval is None
    assert found.speed_up > 1


def test_dependent_samples_widen_the_interval(timed):
    """A slow wave counts as fewer samples."""
    calm = [1.0 + 0.001 * (i * 37 % 100) for i in range(100)]
    wave = sorted(calm[:50]) + sorted(calm[50:], reverse=True)
    narrow = speed_up(timed(tuple(calm)), timed(tuple(calm))).interval
    wide = speed_up(timed(tuple(wave)), timed(tuple(wave))).interval
    assert wide is None or wide.high - wide.low > narrow.high - narrow.low


def test_ratio_is_of_times_an_image(timed):
    """Batches of different sizes are brought to one image first, the bounds too."""
    found = speed_up(timed(SLOW, batch_size=2), timed(FAST, batch_size=4))
    assert found.reference.per_image_s == 11 / 2
    assert found.speed_up == pytest.approx((11 / 2) / (2.5 / 4))
    assert found.interval.low == pytest.approx(2 * 9 / 4)
    assert found.interval.high == pytest.approx(2 * 14 / 1)


def test_a_queue_has_neither_interval_nor_throughput(timed):
    """Its samples depend on one another, and hold the wait besides the work."""
    queue = timed(SLOW, scenario="server")
    assert queue.median_interval is None
    assert queue.images_per_s is None
    assert speed_up(queue, queue).interval is None


def test_throughput_is_images_over_seconds(timed):
    assert timed(SLOW, batch_size=4).images_per_s == pytest.approx(4 * 7 / sum(SLOW))


@pytest.mark.parametrize(
    ("one", "two", "ratio"),
    [(0.5, 0.2, 2.5), (None, 0.2, None), (0.5, None, None), (0.5, 0.0, None), (None, None, None)],
)
def test_energy_ratio_needs_both(timed, one, two, ratio):
    """Joules of the reference over joules of the other; a counter that stood still has none."""
    pair = timed(SLOW, energy_j_per_image=one), timed(FAST, energy_j_per_image=two)
    assert speed_up(*pair).energy_ratio == ratio


def test_verdicts_stay_with_the_figures(saved_run, vary, compared):
    """An INVALID and an interrupted timing are compared, and say so."""
    other = vary(saved_run, timing={"verdict": None, "complete": False}, complete=False)
    first, second = compare_runs(compared(saved_run, other)).speed_ups
    assert (first.reference.verdict, second.reference.verdict) == ("VALID", "INVALID")
    assert second.reference.reasons == ("8 samples, p90 needs 64",)
    assert (first.other.verdict, first.other.complete) == (None, False)


@pytest.mark.parametrize(
    ("low", "high", "overlaps"),
    [(0.90, 0.95, False), (0.88, 0.95, True), (0.80, 0.84, False), (0.80, 0.85, True)],
)
def test_accuracies_differ_clearly_only_where_intervals_are_apart(
    saved_run, vary, compared, low, high, overlaps
):
    """The first accuracy of the golden run is 87.0 % [84.8, 88.9]."""
    interval = replace(saved_run.accuracy[0].interval, low=low, high=high)
    middle = (low + high) / 2
    other = vary(saved_run, accuracy={"interval": interval, "accuracy_fraction": middle})
    found = compare_runs(compared(saved_run, other)).accuracy[0]
    assert found.intervals_overlap is overlaps
    assert found.difference_fraction == pytest.approx(middle - 885 / 1017)


def test_the_record_says_what_the_interval_leaves_out(saved_run, vary, compared):
    """The JSON says it too."""
    notes = " ".join(compare_runs(compared(saved_run, vary(saved_run))).notes)
    assert "does not cover how machines" in notes
    assert "not interleaved" in notes


def test_json_round_trip(saved_run, vary, compared):
    """The comparison read from its JSON is the comparison, to the last digit."""
    other = vary(saved_run, timing={"precision": "fp16", "provider": "cuda"})
    found = compare_runs(compared(saved_run, other, vary(saved_run, "third")), allow_unlike=True)
    document = json.loads(json.dumps(plain_value(found)))
    assert document["schema_version"] == COMPARISON_VERSION
    assert msgspec.convert(document, Comparison) == found
