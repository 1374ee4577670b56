"""A comparison of saved runs, as text for people or as JSON."""

import re
from collections.abc import Iterator, Sequence

from tlbench.core.units import format_count, format_factor, format_p, format_points, format_seconds
from tlbench.records import (
    AccuracyDifference,
    ComparedAccuracy,
    ComparedTiming,
    Comparison,
    PairedDifference,
    RunIdentity,
    SpeedUp,
)
from tlbench.reports.accuracy import accuracy_cells, paired_cells
from tlbench.reports.base import Part, Table, json_text, table
from tlbench.reports.layout import laid_out
from tlbench.reports.timing import factor_interval, format_rate
from tlbench.reports.training import (
    costs_table,
    frozen_cost_lines,
    transfer_lines,
    ways_table,
)

# Words of `tlbench latency --boundary`; the arrow in full is too wide for a column.
_BOUNDARIES = {"numpy->numpy": "numpy", "device->device": "device"}
# The worst first.
_STATUSES = ("INVALID", "partial", "not judged", "VALID")


def comparison_document(comparison: Comparison) -> str:
    """Return the comparison as JSON text, every figure of it."""
    return json_text(comparison)


def render_comparison(comparison: Comparison, *, width: int = 80, color: bool = False) -> str:
    """Lay the comparison out for a terminal: which runs, the answer, what it rests on."""
    title, parts = comparison_title(comparison), comparison_parts(comparison)
    return laid_out(title, parts, width=width, color=color)


def comparison_title(comparison: Comparison) -> list[str]:
    """Return which models are compared, and with what."""
    return [*dict.fromkeys(run.model for run in comparison.runs), "compared with run A"]


def comparison_parts(comparison: Comparison) -> Iterator[Part]:
    """Yield tables and lines in the order of every laid-out format."""
    yield {"Answer": transfer_lines(comparison.training)}
    yield runs_table(comparison.runs)
    yield ways_table(comparison.training)
    yield costs_table(comparison.training)
    yield {"Frozen features": frozen_cost_lines(comparison.training)}
    yield speed_up_table(comparison.speed_ups)
    yield timing_table(comparison.speed_ups)
    yield accuracy_difference_table(comparison.accuracy)
    yield paired_table(comparison.accuracy)
    yield properties_table(comparison)
    yield {"* Mismatches": _unlike_lines(comparison)}
    timings = [(_timing_name(one), one) for one in timings_of(comparison.speed_ups)]
    yield {"INVALID": [f"{name}: {reason}" for name, one in timings for reason in one.reasons]}
    stopped = [(name, one.n_samples) for name, one in timings if not one.complete]
    yield {"Interrupted": [f"{name}: after {n_samples} samples" for name, n_samples in stopped]}
    unpaired = [(f"{one.run}, {one.what}", one.missing_in) for one in comparison.unpaired]
    yield {"Not compared": [f"{what}: not in {', '.join(runs)}" for what, runs in unpaired]}
    same = [f"{one.name} {one.values[0]}" for one in comparison.properties if not one.differs]
    yield {"The same in all runs": [" · ".join(same)] if same else []}
    yield {"Energy": _energy_lines(comparison.speed_ups)}
    yield {"Warnings": _head_lines(comparison.accuracy)}
    yield {"Notes": comparison.notes}


def runs_table(runs: Sequence[RunIdentity]) -> Table:
    """Return what each letter stands for; the first is the reference."""
    rows = [
        (
            run.letter,
            run.id if run.label is None else f"{run.id}#{run.label}",
            re.sub(r"\.\d+", "", run.created_at),  # to the second
            ", ".join(["reference"] * (not i) + ["interrupted"] * (not run.complete)),
        )
        for i, run in enumerate(runs)
    ]
    return table("Runs", " | run | measured | ", rows)


def speed_up_table(pairs: Sequence[SpeedUp]) -> Table:
    """Return the ratios; their intervals cover the noise of sampling within each run only."""

    def row(pair: SpeedUp) -> tuple[str, ...]:
        one, two = pair.reference, pair.other
        return (
            two.run,
            _scenario(two),
            _both(str(one.batch_size), str(two.batch_size)),
            _both(*(_BOUNDARIES.get(it.boundary, it.boundary) for it in (one, two))),
            _both(one.precision, two.precision),
            format_factor(pair.speed_up) + ("*" if pair.mismatches else ""),
            factor_interval(pair.interval),
            _joint_status(one, two),
        )

    return table(
        "Speed-up over A (above 1 is faster; interval: sampling noise only)",
        " | scenario | >batch | boundary | precision | >speed-up | >95 % interval | verdict",
        map(row, pairs),
        "n is in the column samples of each run's Timing details; time of A over time of the run, "
        "without a unit.",
    )


def timing_table(pairs: Sequence[SpeedUp]) -> Table:
    """Return what the ratios are made of; energy where a run has any."""
    ratios = {_identity(pair.other): pair.energy_ratio for pair in pairs}
    timings = timings_of(pairs)
    sizes = sorted({one.n_samples for one in timings})
    ends = dict.fromkeys((*sizes[:1], *sizes[-1:]))
    has_energy = any(one.energy_j_per_image is not None for one in timings)

    def row(one: ComparedTiming) -> tuple[str, ...]:
        rate, joules = one.images_per_s, one.energy_j_per_image
        saving = ratios.get(_identity(one))
        energy = (
            "n/a" if joules is None else f"{format_factor(joules)} J",
            "" if saving is None else format_factor(saving),
        )
        return (
            one.run,
            _scenario(one),
            str(one.batch_size),
            one.provider.removesuffix("ExecutionProvider"),
            format_seconds(one.per_image_s),
            "n/a" if rate is None else format_rate(rate),
            *(energy if has_energy else ()),
            _status(one),
        )

    return table(
        f"Time {'and energy ' * has_energy}per image",
        " | scenario | >batch | provider | >median | >images/s | "
        + ">energy | >energy A / run | " * has_energy
        + "verdict",
        map(row, timings),
        f"n = {' to '.join(map(format_count, ends)) or '0'} samples; the ratios above have "
        "intervals.",
    )


def timings_of(pairs: Sequence[SpeedUp]) -> list[ComparedTiming]:
    """Return each timing once, A's before those that are compared with it."""
    order = list(dict.fromkeys(_identity(pair.reference) for pair in pairs))
    timings: dict[tuple[object, ...], ComparedTiming] = {}
    for pair in sorted(pairs, key=lambda pair: order.index(_identity(pair.reference))):
        timings.setdefault(_identity(pair.reference), pair.reference)
        timings.setdefault(_identity(pair.other), pair.other)
    return list(timings.values())


def _identity(one: ComparedTiming) -> tuple[object, ...]:
    return one.run, one.label, one.scenario, one.batch_size, one.boundary


def _scenario(one: ComparedTiming) -> str:
    return one.scenario if one.label is None else f"{one.scenario} {one.label}"


def _both(reference: str, other: str) -> str:
    return other if reference == other else f"{reference}/{other}"


def _status(one: ComparedTiming) -> str:
    if one.verdict == "INVALID":
        return "INVALID"
    if not one.complete:
        return "partial"
    return one.verdict or "not judged"


def _joint_status(reference: ComparedTiming, other: ComparedTiming) -> str:
    """Return the worse verdict of the two, and whose it is if only one has it."""
    mine, theirs = _status(reference), _status(other)
    if mine == theirs:
        return mine
    worst = min(mine, theirs, key=_STATUSES.index)
    return f"{(reference if worst == mine else other).run} {worst}"


def accuracy_difference_table(pairs: Sequence[AccuracyDifference]) -> Table:
    """Return every accuracy once, and the points that it is above A's."""
    rows: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for pair in _by_entry(pairs):
        one, two = pair.reference, pair.other
        one_key, two_key = ((it.run, it.title, it.head) for it in (one, two))
        rows.setdefault(one_key, (*one_key, *accuracy_cells(one), "", ""))
        rows[two_key] = (
            *two_key,
            *accuracy_cells(two),
            format_points(pair.difference_fraction) + ("*" if pair.mismatches else ""),
            "no clear difference" if pair.intervals_overlap and not pair.paired else "",
        )
    columns = " | features | head | >accuracy | >95 % interval | >points | "
    sizes = sorted({one.n_test for pair in pairs for one in (pair.reference, pair.other)})
    note = f"n = {' or '.join(map(format_count, sizes)) or '0'} test images; 95 % Wilson intervals."
    return table("Accuracy, and difference from A in points", columns, rows.values(), note)


def _by_entry(pairs: Sequence[AccuracyDifference]) -> list[AccuracyDifference]:
    """Return the differences of one entry next to each other, in the order of the first run."""
    order = list(dict.fromkeys((pair.reference.title, pair.reference.head) for pair in pairs))
    return sorted(pairs, key=lambda one: order.index((one.reference.title, one.reference.head)))


def paired_table(pairs: Sequence[AccuracyDifference]) -> Table:
    """Return the differences image by image, where both runs have their predictions."""
    sizes = sorted({pair.paired.n_images for pair in pairs if pair.paired})

    def row(pair: AccuracyDifference, found: PairedDifference) -> tuple[str, ...]:
        points, *cells = paired_cells(found)
        return (
            pair.other.run,
            pair.other.title,
            pair.other.head,
            points + ("*" if pair.mismatches else ""),
            *cells,
            str(pair.n_differing),
            format_p(found.p_value),
        )

    return table(
        "Difference from A on the same images",
        " | features | head | >points | >95 % interval | >lost / gained | >changed | >p",
        (row(pair, pair.paired) for pair in _by_entry(pairs) if pair.paired),
        f"n = {' or '.join(map(format_count, sizes)) or '0'} images, each seen by both; p of "
        "McNemar's exact test.",
    )


def properties_table(comparison: Comparison) -> Table:
    """Return the properties in which the runs differ, a line for each run."""
    rows = [
        (found.name if run is comparison.runs[0] else "", run.letter, value)
        for found in comparison.properties
        if found.differs
        for run, value in zip(comparison.runs, found.values, strict=True)
    ]
    return table("Differing properties", "property | run | value", rows)


def _timing_name(one: ComparedTiming) -> str:
    """Return ``B, single, batch 1, numpy->numpy``, with the candidate if there are several."""
    return f"{one.run}, {_scenario(one)}, batch {one.batch_size}, {one.boundary}"


def _unlike_lines(comparison: Comparison) -> list[str]:
    pairs = [(_timing_name(pair.other), pair.mismatches) for pair in comparison.speed_ups]
    pairs += [(_accuracy_name(pair.other), pair.mismatches) for pair in comparison.accuracy]
    return [f"{name}: {'; '.join(map(str, unlike))}" for name, unlike in pairs if unlike]


def _accuracy_name(one: ComparedAccuracy) -> str:
    return f"{one.run}, {one.head} on {one.title}"


def _energy_lines(pairs: Sequence[SpeedUp]) -> list[str]:
    """Return what the counters count, where two figures stand next to one another."""
    both = [one for p in pairs if p.energy_ratio is not None for one in (p.reference, p.other)]
    notes = (f"{one.run}: {one.energy_note or 'what was counted is not recorded'}" for one in both)
    return list(dict.fromkeys(notes))


def _head_lines(pairs: Sequence[AccuracyDifference]) -> list[str]:
    both = [one for pair in pairs for one in (pair.reference, pair.other)]
    notes = (f"{_accuracy_name(one)}: {note}" for one in both for note in one.notes)
    return list(dict.fromkeys(notes))
