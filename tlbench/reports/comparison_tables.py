"""What a comparison says, as rows of text."""

from collections.abc import Sequence

from tlbench.core.units import (
    format_factor,
    format_p,
    format_percent,
    format_points,
    format_seconds,
)
from tlbench.records import (
    AccuracyDifference,
    ComparedAccuracy,
    ComparedTiming,
    Comparison,
    PairedDifference,
    SpeedUp,
)
from tlbench.reports.tables import Table, format_interval, format_rate

# Words of `tlbench latency --boundary`; the arrow in full is too wide for a column.
_BOUNDARIES = {"numpy->numpy": "numpy", "device->device": "device"}
# The worst first.
_STATUSES = ("INVALID", "partial", "unjudged", "VALID")


def runs_table(comparison: Comparison) -> Table:
    """Return what each letter stands for."""

    def row(position: int) -> tuple[str, ...]:
        run = comparison.runs[position]
        name = run.id if run.label is None else f"{run.id}#{run.label}"
        notes = ["the reference"] if position == 0 else []
        if not run.complete:
            notes.append("interrupted")
        return run.letter, name, run.created_at, ", ".join(notes)

    return Table(
        "Runs",
        ("", "run", "measured", " "),
        (False, False, False, False),
        tuple(row(position) for position in range(len(comparison.runs))),
    )


def speed_up_table(pairs: Sequence[SpeedUp]) -> Table:
    """Return the ratios; above 1 the run is faster than A."""

    def row(pair: SpeedUp) -> tuple[str, ...]:
        one, two = pair.reference, pair.other
        found = pair.interval
        return (
            two.run,
            _scenario(two),
            _both(str(one.batch_size), str(two.batch_size)),
            _both(_boundary(one), _boundary(two)),
            _both(one.precision, two.precision),
            format_factor(pair.speed_up) + ("*" if pair.mismatches else ""),
            f"[{format_factor(found.low)}, {format_factor(found.high)}]" if found else "n/a",
            _joint_status(one, two),
        )

    return Table(
        "Speed-up: time of A / time of the run; above 1 the run is faster than A",
        ("", "scenario", "batch", "boundary", "precision", "speed-up", "noise only", "verdict"),
        (False, False, True, False, False, True, True, False),
        tuple(map(row, pairs)),
    )


def timing_table(pairs: Sequence[SpeedUp]) -> Table:
    """Return what the ratios are made of; energy where a run has any."""
    ratios = {_identity(pair.other): pair.energy_ratio for pair in pairs}
    timings = timings_of(pairs)
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
            one.provider,
            format_seconds(one.per_image_s),
            "n/a" if rate is None else format_rate(rate),
            *(energy if has_energy else ()),
            _status(one),
        )

    names = ("", "scenario", "batch", "provider", "median", "images/s")
    more = ("energy", "A / run") if has_energy else ()
    return Table(
        "Times and energy of one image; joules of A / joules of the run"
        if has_energy
        else "Times of one image",
        (*names, *more, "verdict"),
        (False, False, True, False, True, True, *(True for _ in more), False),
        tuple(map(row, timings)),
    )


def timings_of(pairs: Sequence[SpeedUp]) -> list[ComparedTiming]:
    """Return each timing once, A's before those that are compared with it."""
    timings: dict[tuple[object, ...], ComparedTiming] = {}
    for pair in _together(pairs):
        timings.setdefault(_identity(pair.reference), pair.reference)
        timings.setdefault(_identity(pair.other), pair.other)
    return list(timings.values())


def _together(pairs: Sequence[SpeedUp]) -> list[SpeedUp]:
    """Return the pairs of one reference timing next to each other, in the order of the first."""
    order = list(dict.fromkeys(_identity(pair.reference) for pair in pairs))
    return sorted(pairs, key=lambda pair: order.index(_identity(pair.reference)))


def _identity(one: ComparedTiming) -> tuple[object, ...]:
    return one.run, one.label, one.scenario, one.batch_size, one.boundary


def _scenario(one: ComparedTiming) -> str:
    return one.scenario if one.label is None else f"{one.scenario} {one.label}"


def _boundary(one: ComparedTiming) -> str:
    return _BOUNDARIES.get(one.boundary, one.boundary)


def _both(reference: str, other: str) -> str:
    return other if reference == other else f"{reference}/{other}"


def _status(one: ComparedTiming) -> str:
    if one.verdict == "INVALID":
        return "INVALID"
    if not one.complete:
        return "partial"
    return one.verdict or "unjudged"


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
        rows.setdefault((one.run, one.title, one.head), (*_accuracy_cells(one), "", ""))
        rows[two.run, two.title, two.head] = (
            *_accuracy_cells(two),
            format_points(pair.difference_fraction) + ("*" if pair.mismatches else ""),
            "no clear difference" if pair.intervals_overlap and not pair.paired else "",
        )
    return Table(
        "Accuracy, and points above A",
        ("", "features", "head", "accuracy", "95 %", "points", " "),
        (False, False, False, True, True, True, False),
        tuple(rows.values()),
    )


def _by_entry(pairs: Sequence[AccuracyDifference]) -> list[AccuracyDifference]:
    """Return the differences of one entry next to each other, in the order of the first run."""
    order = list(dict.fromkeys((pair.reference.title, pair.reference.head) for pair in pairs))
    return sorted(pairs, key=lambda one: order.index((one.reference.title, one.reference.head)))


def paired_table(pairs: Sequence[AccuracyDifference]) -> Table:
    """Return the differences image by image, where both runs have their predictions."""

    def row(pair: AccuracyDifference, found: PairedDifference) -> tuple[str, ...]:
        low, high = found.interval.low, found.interval.high
        return (
            pair.other.run,
            pair.other.title,
            pair.other.head,
            format_points(found.difference_fraction) + ("*" if pair.mismatches else ""),
            f"[{format_points(low)}, {format_points(high)}]",
            f"{found.only_first_correct} / {found.only_second_correct}",
            str(pair.n_differing),
            format_p(found.p_value),
        )

    return Table(
        "On the same images: points above A; right in A alone / in the run alone",
        ("", "features", "head", "points", "95 %", "alone", "differ", "p"),
        (False, False, False, True, True, True, True, True),
        tuple(row(pair, pair.paired) for pair in _by_entry(pairs) if pair.paired),
    )


def _accuracy_cells(one: ComparedAccuracy) -> tuple[str, ...]:
    return (
        one.run,
        one.title,
        one.head,
        format_percent(one.accuracy_fraction),
        format_interval(one.interval),
    )


def differing_table(comparison: Comparison) -> Table:
    """Return the facts in which the runs differ, a line for each run."""
    return Table(
        "Differs in",
        ("fact", " ", "value"),
        (False, False, False),
        tuple(
            (fact.name if position == 0 else "", run.letter, value)
            for fact in comparison.properties
            if fact.differs
            for position, (run, value) in enumerate(zip(comparison.runs, fact.values, strict=True))
        ),
    )


def timing_name(one: ComparedTiming) -> str:
    """Return ``single, batch 1, numpy->numpy``, with the candidate if there are several."""
    return f"{_scenario(one)}, batch {one.batch_size}, {one.boundary}"
