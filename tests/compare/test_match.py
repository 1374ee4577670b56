"""What belongs together is paired, and what is left over is listed."""

import dataclasses

import pytest

from tlbench.compare import ComparedRun, compare_runs
from tlbench.core.errors import ComparisonError, ResultError

replace = dataclasses.replace


def _pairs(found):
    return [
        (pair.other.run, pair.other.scenario, pair.other.batch_size) for pair in found.speed_ups
    ]


def test_results_are_paired_whatever_their_order(saved_run, vary, compared):
    """Pairs follow the reference; the other run may have measured in another order."""
    other = vary(saved_run, latency=saved_run.latency[::-1], accuracies=saved_run.accuracy[::-1])
    found = compare_runs(compared(saved_run, other))
    assert _pairs(found) == [("B", "single", 1), ("B", "batch", 32)]
    assert [(p.reference.features, p.reference.head) for p in found.accuracy] == [
        (one.features, one.head) for one in saved_run.accuracy
    ]
    assert all(
        (p.reference.features, p.reference.head) == (p.other.features, p.other.head)
        for p in found.accuracy
    )
    assert found.unpaired == ()


def test_a_result_without_partner_is_listed(saved_run, vary, compared):
    """On either side, timings and accuracies: nothing is dropped in silence."""
    single, batch = saved_run.latency
    other = vary(
        saved_run,
        latency=(single, replace(batch, scenario="paced", pause_s=0.1)),
        accuracies=saved_run.accuracy[1:],
    )
    found = compare_runs(compared(saved_run, other))
    assert _pairs(found) == [("B", "single", 1)]
    assert {(one.run, one.what, one.missing_in) for one in found.unpaired} == {
        ("A", "batch, batch 32, numpy->numpy", ("B",)),
        ("A", "softmax on backbone", ("B",)),
        ("B", "paced, batch 32, numpy->numpy", ("A",)),
    }


@pytest.mark.parametrize(
    ("change", "name"),
    [({"batch_size": 64}, "batch size"), ({"boundary": "device->device"}, "boundary")],
)
def test_other_batches_and_boundaries_have_no_partner_unless_allowed(
    saved_run, vary, compared, change, name
):
    """Only where it is asked for, and where one is left on each side, they are paired."""
    single, batch = saved_run.latency
    other = vary(saved_run, latency=(single, replace(batch, **change)))
    found = compare_runs(compared(saved_run, other))
    assert [one.run for one in found.unpaired] == ["A", "B"]
    allowed = compare_runs(compared(saved_run, other), allow_unlike=True)
    assert allowed.unpaired == ()
    assert [one.name for one in allowed.speed_ups[1].mismatches] == [name]


def test_two_candidates_are_no_partner(saved_run, vary, compared):
    """Which of two other batch sizes is meant cannot be known."""
    batch = saved_run.latency[1]
    others = (saved_run.latency[0], replace(batch, batch_size=8), replace(batch, batch_size=64))
    found = compare_runs(compared(saved_run, vary(saved_run, latency=others)), allow_unlike=True)
    assert _pairs(found) == [("B", "single", 1)]
    assert [one.run for one in found.unpaired] == ["A", "B", "B"]


@pytest.mark.parametrize("allow_unlike", [False, True])
def test_nothing_in_common_is_an_error(saved_run, vary, compared, allow_unlike):
    """An empty report would look like a result; the message says what each run has."""
    first = vary(saved_run, "first", latency=saved_run.latency[:1], accuracies=())
    second = vary(saved_run, "second", latency=saved_run.latency[1:], accuracies=())
    with pytest.raises(ComparisonError, match=r"first has \(single.*second has \(batch") as caught:
        compare_runs(compared(first, second), allow_unlike=allow_unlike)
    assert "allow_unlike" not in str(caught.value)  # it would not help


def test_nothing_but_other_batches_says_what_would_help(saved_run, vary, compared):
    """There is a way to compare them, and the message names it."""
    batch = saved_run.latency[1:]
    first = vary(saved_run, "first", latency=batch, accuracies=())
    second = vary(saved_run, "second", latency=batch, timing={"batch_size": 8}, accuracies=())
    with pytest.raises(ComparisonError, match="allow_unlike=True"):
        compare_runs(compared(first, second))
    assert len(compare_runs(compared(first, second), allow_unlike=True).speed_ups) == 1


def test_three_runs_are_each_compared_with_the_first(saved_run, vary, compared):
    """What the reference alone has is listed once, with all that lack it."""
    others = [
        vary(saved_run, f"other-{n}", latency=saved_run.latency[:1], timing={"threads": n})
        for n in (1, 4)
    ]
    found = compare_runs(compared(saved_run, *others))
    assert [run.letter for run in found.runs] == ["A", "B", "C"]
    assert _pairs(found) == [("B", "single", 1), ("C", "single", 1)]
    assert {pair.reference.run for pair in found.speed_ups} == {"A"}
    assert [(one.run, one.missing_in) for one in found.unpaired] == [("A", ("B", "C"))]


def test_every_run_needs_something_in_common_with_the_first(saved_run, vary, compared):
    """A run that adds nothing but a letter was named by mistake."""
    empty = vary(saved_run, "empty", latency=(), accuracies=())
    with pytest.raises(ComparisonError, match="empty has no results"):
        compare_runs(compared(saved_run, vary(saved_run), empty))


def test_one_run_is_not_a_comparison(saved_run, compared):
    with pytest.raises(ComparisonError, match="two runs or more, got 1"):
        compare_runs(compared(saved_run))


def test_a_run_is_not_compared_with_itself(saved_run, compared):
    """Its ratio would be 1 and would say nothing."""
    with pytest.raises(ComparisonError, match="named 2 times"):
        compare_runs(compared(saved_run, saved_run))


def test_candidates_are_paired_by_label(interleaved, vary, compared):
    """Two runs of the same interleaved, on two machines."""
    other = vary(interleaved, latency=interleaved.latency[::-1], timing={"threads": 4})
    found = compare_runs(compared(interleaved, other))
    assert [(p.reference.label, p.other.label) for p in found.speed_ups] == [("a", "a"), ("b", "b")]


def test_an_interleaved_run_and_a_single_model_need_a_label(interleaved, vary, compared, saved_run):
    """Which candidate is meant cannot be known; the message shows how to say it."""
    with pytest.raises(ComparisonError, match=rf"a, b.*'{interleaved.id}#a'"):
        compare_runs(compared(vary(saved_run), interleaved))
    one = ComparedRun(run=interleaved, label="b")
    found = compare_runs([ComparedRun(run=vary(saved_run)), one])
    assert found.runs[1].label == "b"
    assert _pairs(found) == [("B", "single", 1)]


def test_two_candidates_of_one_run_can_be_compared(interleaved):
    """The report says that their own ratio is better."""
    found = compare_runs([ComparedRun(run=interleaved, label=label) for label in "ab"])
    assert len(found.speed_ups) == 1
    assert any("were interleaved" in note for note in found.notes)


def test_the_model_of_a_candidate_is_its_own(interleaved, vary):
    """The run's model is that of its first candidate only."""
    a, b = interleaved.models_under_test
    fast = replace(b, model=replace(b.model, sha256="9" * 64, card=None))
    run = replace(interleaved, models_under_test=(a, fast))
    with pytest.raises(ComparisonError, match="model file"):
        compare_runs([ComparedRun(run=run, label="a"), ComparedRun(run=run, label="b")])


def test_a_candidate_without_a_model_is_damage(interleaved):
    """Another candidate's model is no substitute."""
    run = replace(interleaved, models_under_test=())
    with pytest.raises(ResultError, match="does not say which model"):
        compare_runs([ComparedRun(run=run, label="a"), ComparedRun(run=run, label="b")])


@pytest.mark.parametrize("samples", [(), (0.1, 0.0), (0.1, -1.0), (0.1, float("inf"))], ids=str)
def test_impossible_samples_are_damage(saved_run, vary, compared, samples):
    """No ratio is made of times that no clock can show."""
    other = vary(saved_run, timing={"samples_s": samples})
    wrong = "samples that are not times" if samples else "no samples"
    with pytest.raises(
        ResultError,
        match=rf"^Run {other.id} is damaged: single, batch 1, numpy->numpy has {wrong}\.$",
    ):
        compare_runs(compared(saved_run, other))


def test_a_result_twice_is_damage(saved_run, vary, compared):
    """One of the two would be dropped."""
    other = vary(saved_run, latency=saved_run.latency[:1] * 2)
    with pytest.raises(ResultError, match="holds single, batch 1, numpy->numpy twice"):
        compare_runs(compared(saved_run, other))


def test_more_runs_than_letters_are_numbered(saved_run, vary, compared):
    """The first is A, the twenty-sixth Z, and then the position counts."""
    others = [vary(saved_run, f"run-{number}") for number in range(27)]
    found = compare_runs(compared(saved_run, *others))
    assert [one.letter for one in found.runs][:2] == ["A", "B"]
    assert [one.letter for one in found.runs][24:] == ["Y", "Z", "26", "27"]
