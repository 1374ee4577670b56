"""A comparison on a terminal: complete, and within its columns."""

import dataclasses
import json
import unicodedata

import msgspec
import pytest

from tlbench.records import (
    AccuracyDifference,
    ComparedAccuracy,
    ComparedTiming,
    Comparison,
    Interval,
    Mismatch,
    RunIdentity,
    RunProperty,
    SpeedUp,
    Unpaired,
)
from tlbench.reports import comparison_document, render_comparison

replace = dataclasses.replace


def _columns(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def _words(text):
    return " ".join(text.split())


def _interval(low, high):
    return Interval(low=low, high=high, method="test")


def _timing(run, **changes):
    values = {
        "run": run,
        "scenario": "offline",
        "batch_size": 32,
        "boundary": "device->device",
        "precision": "fp32",
        "provider": "cpu",
        "threads": 2,
        "label": None,
        "n_samples": 130,
        "per_image_s": 0.0123,
        "median_interval": _interval(0.012, 0.013),
        "images_per_s": 81.3,
        "energy_j_per_image": 0.25,
        "energy_note": f"counter of {run}",
        "verdict": "VALID",
        "reasons": (),
        "complete": True,
    }
    return ComparedTiming(**values | changes)


def _accuracy(run, fraction):
    return ComparedAccuracy(
        run=run,
        features="backbone",
        head="svm-linear",
        n_train=5085,
        n_test=1017,
        n_correct=round(1017 * fraction),
        accuracy_fraction=fraction,
        interval=_interval(fraction - 0.02, fraction + 0.02),
        notes=(f"did not converge in {run}",),
    )


@pytest.fixture
def pair():
    """A speed-up of B over A."""
    return SpeedUp(
        reference=_timing("A"),
        other=_timing("B", provider="cuda", per_image_s=0.00168),
        speed_up=7.33,
        interval=_interval(7.1, 7.52),
        energy_ratio=0.525,
    )


@pytest.fixture
def comparison(pair):
    return Comparison(
        tlbench_version="0.1.0",
        allow_unlike=False,
        runs=tuple(
            RunIdentity(
                letter=letter,
                id=f"20260131-142530-000{letter.lower()}",
                created_at="2026-01-31T14:25:30.123456+00:00",
                tlbench_version="0.1.0",
                model="efficientnet-lite0",
            )
            for letter in "AB"
        ),
        properties=(
            RunProperty(name="CPU", values=("Example CPU", "Another CPU")),
            RunProperty(name="threads", values=("2", "2")),
        ),
        speed_ups=(pair,),
        accuracy=(
            AccuracyDifference(
                reference=_accuracy("A", 0.87),
                other=_accuracy("B", 0.88),
                difference_fraction=0.01,
                intervals_overlap=True,
            ),
        ),
        unpaired=(Unpaired(run="B", what="single, batch 1, numpy->numpy", missing_in=("A",)),),
        notes=("The interval covers sampling noise only.",),
    )


def _row(text, *words):
    """Return the one line that begins with the words."""
    lines = [line.split() for line in text.splitlines()]
    (found,) = [line for line in lines if tuple(line[: len(words)]) == words]
    return found


def test_every_ratio_has_its_conditions_in_its_row(comparison):
    """A ratio without precision, batch and boundary is no answer."""
    text = render_comparison(comparison)
    row = _row(text, "B", "offline", "32", "device")
    assert row == ["B", "offline", "32", "device", "fp32", "7.33", "[7.10,", "7.52]", "VALID"]


def test_everything_is_shown(comparison):
    """Properties that differ and that do not, results without partner, warnings and notes."""
    text = _words(render_comparison(comparison))
    for part in (
        "CPU A Example CPU B Another CPU",
        "threads 2",
        "B, single, batch 1, numpy->numpy: not in A",
        "A, svm-linear on backbone: did not converge in A",
        "- A: counter of A - B: counter of B",
        "B backbone svm-linear 88.0 % [86.0, 90.0] +1.0 no clear difference",
        "B offline 32 cuda 1.68 ms 81.3 0.250 J 0.525 VALID",
        *comparison.notes,
        *(run.id for run in comparison.runs),
    ):
        assert part in text


def test_a_clear_difference_has_no_remark(comparison):
    apart = tuple(replace(one, intervals_overlap=False) for one in comparison.accuracy)
    assert "no clear difference" not in render_comparison(replace(comparison, accuracy=apart))


def test_no_energy_no_columns(comparison, pair):
    """Machines without a counter get no empty columns."""
    sides = (replace(one, energy_j_per_image=None) for one in (pair.reference, pair.other))
    bare = replace(pair, **dict(zip(("reference", "other"), sides, strict=True)), energy_ratio=None)
    assert "energy" not in render_comparison(replace(comparison, speed_ups=(bare,)))


@pytest.mark.parametrize(
    ("reference", "other", "shown"),
    [
        ({}, {}, "VALID"),
        ({"verdict": "INVALID"}, {}, "A INVALID"),
        ({}, {"verdict": "INVALID"}, "B INVALID"),
        ({"verdict": "INVALID"}, {"verdict": "INVALID"}, "INVALID"),
        ({}, {"complete": False}, "B partial"),
        ({"verdict": None}, {"verdict": None}, "not judged"),
        ({"verdict": None}, {"verdict": "INVALID"}, "B INVALID"),
        ({"complete": False}, {"verdict": None}, "A partial"),
    ],
)
def test_the_worse_verdict_stands_next_to_the_ratio(comparison, pair, reference, other, shown):
    """And whose it is, if only one of the two has it."""
    changed = replace(
        pair, reference=replace(pair.reference, **reference), other=replace(pair.other, **other)
    )
    text = render_comparison(replace(comparison, speed_ups=(changed,)))
    row = _row(text, "B", "offline", "32", "device")
    assert " ".join(row[8:]) == shown


def test_reasons_are_given(comparison, pair):
    bad = replace(pair.other, verdict="INVALID", reasons=("other load",), complete=False)
    text = _words(render_comparison(replace(comparison, speed_ups=(replace(pair, other=bad),))))
    assert "INVALID B, offline, batch 32, device->device: other load" in text
    assert "Interrupted B, offline, batch 32, device->device: after 130 samples" in text


def test_a_ratio_of_unlike_results_is_marked_and_explained(comparison, pair):
    """The star in the row leads to what differs."""
    mismatches = (Mismatch(name="precision", reference="fp32", other="fp16"),)
    changed = replace(pair, other=replace(pair.other, precision="fp16"), mismatches=mismatches)
    text = render_comparison(replace(comparison, speed_ups=(changed,)))
    row = _row(text, "B", "offline", "32", "device")
    assert row[4:6] == ["fp32/fp16", "7.33*"]
    assert "B, offline, batch 32, device->device: precision fp32 against fp16" in _words(text)


def test_a_missing_interval_is_not_available(comparison, pair):
    text = render_comparison(replace(comparison, speed_ups=(replace(pair, interval=None),)))
    assert _row(text, "B", "offline", "32", "device")[6] == "n/a"


LONG = "a-very-long-name-" * 8


def _long(comparison, name):
    """Return the comparison with *name* wherever a name is somebody else's."""
    pairs = [
        replace(
            pair,
            reference=replace(pair.reference, verdict="INVALID", reasons=(name,), provider=name),
            other=replace(pair.other, label=name, precision=name, provider=name, energy_note=name),
            mismatches=(Mismatch(name="precision", reference="fp32", other=name),),
        )
        for pair in comparison.speed_ups
    ]
    return replace(
        comparison,
        runs=tuple(replace(run, model=name, label=name) for run in comparison.runs),
        properties=(
            RunProperty(name="CPU", values=(name, "x")),
            RunProperty(name="OS", values=(name, name)),
        ),
        speed_ups=tuple(pairs),
        accuracy=tuple(
            replace(one, other=replace(one.other, head=name, features=name))
            for one in comparison.accuracy
        ),
        unpaired=(Unpaired(run="A", what=name, missing_in=("B",)),),
        notes=(name,),
    )


@pytest.mark.parametrize("name", [LONG, "長い名前" * 20, "[bold]x[/bold]", "words and words " * 9])
@pytest.mark.parametrize("width", [80, 120])
def test_long_names_stay_within_the_columns(comparison, name, width):
    """Names are broken into lines; no figure or word is cut for them."""
    text = render_comparison(_long(comparison, name), width=width)
    assert max(map(_columns, text.splitlines())) <= width
    assert "…" not in text
    for figure in ("7.33*", "[7.10, 7.52]", "INVALID", "88.0 %", "0.525"):
        assert figure in text


def test_the_time_of_a_run_is_given_to_the_second(comparison):
    assert "2026-01-31T14:25:30+00:00" in render_comparison(comparison, width=80)


def test_an_ordinary_comparison_is_within_80_columns(comparison):
    text = render_comparison(comparison)
    assert max(map(_columns, text.splitlines())) <= 80
    assert "…" not in text
    assert "\x1b" not in text
    assert text.endswith("\n")


def test_json_has_every_figure(comparison):
    """The document read back is the record."""
    document = json.loads(comparison_document(comparison))
    assert msgspec.convert(document, Comparison) == comparison
