"""A gate's verdict on a terminal, and its rows of text, which the files for builds share."""

from collections.abc import Iterator, Sequence

from tlbench.core.units import format_count, format_factor, format_p, format_percent, format_seconds
from tlbench.records import GateCheck, GatedAccuracy, GatedTiming, GateVerdict, Sensitivity
from tlbench.reports.accuracy import paired_cells
from tlbench.reports.base import Part, Table, json_text, table
from tlbench.reports.layout import laid_out
from tlbench.reports.timing import factor_interval

OUTCOMES = {"fail": "FAIL", "skip": "not judged", "pass": "pass"}  # the worst first


def verdict_document(verdict: GateVerdict) -> str:
    """Return the verdict as JSON text."""
    return json_text(verdict)


def render_verdict(verdict: GateVerdict, *, width: int = 80, color: bool = False) -> str:
    """Lay the verdict out for a terminal: the answer, the figures, every rule."""
    return laid_out(verdict_title(verdict), all_verdict_parts(verdict), width=width, color=color)


def all_verdict_parts(verdict: GateVerdict) -> Iterator[Part]:
    """Yield what was compared, and then `verdict_parts`."""
    yield {"Compared": [compared_line(verdict)]}
    yield from verdict_parts(verdict)


def verdict_title(verdict: GateVerdict) -> list[str]:
    """Return the answer, and which model it is about."""
    n_failed = sum(check.outcome == "fail" for check in verdict.checks)
    n_skipped = sum(check.outcome == "skip" for check in verdict.checks)
    parts = ["PASSED" if verdict.passed else f"FAILED {n_failed} of {len(verdict.checks)} rules"]
    if n_skipped:
        parts.append(f"{n_skipped} not judged")
    return [*parts, verdict.model.name, verdict.model.precision]


def compared_line(verdict: GateVerdict) -> str:
    """Return which run was compared with which baseline, and by which policy."""
    model = verdict.baseline_model
    same = "the same model file" if model.sha256 == verdict.model.sha256 else "another model file"
    return (
        f"Run {verdict.run} against {verdict.baseline_file or 'a baseline'} (run "
        f"{verdict.baseline_run}: {model.name}, {model.precision}, {same}); policy: "
        f"{verdict.policy_source}"
    )


def verdict_parts(verdict: GateVerdict) -> Iterator[Part]:
    """Yield tables and lines in the order of every laid-out format."""
    yield accuracy_rows(verdict.accuracy)
    yield timing_rows(verdict.timings)
    yield checks_table(verdict.checks)
    yield {detectable_title(verdict): detectable_lines(verdict)}
    yield {"Warnings": verdict.warnings}


def accuracy_rows(figures: Sequence[GatedAccuracy]) -> Table:
    """Return the accuracies side by side; images that the run loses, and gains."""
    rows = [
        (
            one.entry,
            format_percent(one.baseline_fraction),
            format_percent(one.run_fraction),
            *paired_cells(one.paired),
            format_p(one.p_value if one.p_value is not None else one.paired.p_value),
        )
        for one in figures
    ]
    columns = "entry | >baseline | >run | >points | >95 % interval | >lost / gained | >p"
    return table("Accuracy on the same images", columns, rows)


def timing_rows(figures: Sequence[GatedTiming]) -> Table:
    """Return the medians of a call side by side."""
    rows = [
        (
            one.name,
            format_seconds(one.baseline_s),
            format_seconds(one.run_s),
            format_factor(one.ratio),
            factor_interval(one.interval),
        )
        for one in figures
    ]
    title = "Time per call (ratio: run / baseline; interval: sampling noise only)"
    return table(title, "timing | >baseline | >run | >ratio | >95 % interval", rows)


def checks_table(checks: Sequence[GateCheck]) -> Table:
    """Return every rule; those that failed first."""
    order = list(OUTCOMES)
    rows = [
        (OUTCOMES[one.outcome], f"{one.subject}: {one.rule}", one.text)
        for one in sorted(checks, key=lambda check: order.index(check.outcome))
    ]
    return table("Rules", "outcome | rule | found", rows)


def detectable_title(verdict: GateVerdict) -> str:
    """Return ``Detectable drop (95 % power)``; the power is the policy's, one for all entries."""
    powers = {one.sensitivity.power_fraction for one in verdict.accuracy if one.sensitivity}
    power = ", ".join(f"{100 * power:g} % power" for power in sorted(powers))
    return f"Detectable drop ({power})" if power else "Detectable drop"


def detectable_lines(verdict: GateVerdict) -> list[str]:
    """Return what each test could have detected, and what a smaller drop needs; never nothing."""
    lines = [
        f"{one.entry}: {_detectable(one.sensitivity)}"
        for one in verdict.accuracy
        if one.sensitivity
    ]
    return lines or ["none: no accuracy was tested for a drop"]


def _detectable(one: Sensitivity) -> str:
    drop = one.smallest_drop_fraction
    text = "no drop, however large" if drop is None else f"{100 * drop:.2f} points or more"
    text += (
        f" ({format_count(one.n_images)} images, {100 * one.disagreement_fraction:.2g} % disagree)"
    )
    if one.finer_n_images is None or one.finer_drop_fraction is None:
        return f"{text}; the policy neglects smaller drops"
    finer = f"{100 * one.finer_drop_fraction:g}"
    needs = "point needs" if finer == "1" else "points need"
    return f"{text}; {finer} {needs} about {format_count(one.finer_n_images)} images"
