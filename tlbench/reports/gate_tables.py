"""What a gate's verdict says, as rows of text: shared by console and Markdown."""

from collections.abc import Sequence

from tlbench.core.units import (
    format_count,
    format_factor,
    format_p,
    format_percent,
    format_points,
    format_seconds,
)
from tlbench.records import (
    GateCheck,
    GatedAccuracy,
    GatedTiming,
    GateVerdict,
    Interval,
    Sensitivity,
)
from tlbench.reports.tables import Table

OUTCOMES = {"pass": "pass", "fail": "FAIL", "skip": "not judged"}
# The worst first.
_ORDER = ("fail", "skip", "pass")


def verdict_parts(verdict: GateVerdict) -> list[str]:
    """Return the answer, and of what it speaks."""
    n_failed = sum(check.outcome == "fail" for check in verdict.checks)
    n_skipped = sum(check.outcome == "skip" for check in verdict.checks)
    parts = ["PASSED" if verdict.passed else f"FAILED {n_failed} of {len(verdict.checks)} rules"]
    if n_skipped:
        parts.append(f"{n_skipped} not judged")
    return [*parts, verdict.model.name, verdict.model.precision]


def compared_line(verdict: GateVerdict) -> str:
    """Return which run was held against what, and by which policy."""
    model = verdict.baseline_model
    same = "the same model file" if model.sha256 == verdict.model.sha256 else "another model file"
    return (
        f"Run {verdict.run} against {verdict.baseline_file or 'a baseline'} (run "
        f"{verdict.baseline_run}: {model.name}, {model.precision}, {same}); policy: "
        f"{verdict.policy_source}"
    )


def accuracy_rows(figures: Sequence[GatedAccuracy]) -> Table:
    """Return the accuracies side by side; *alone*: right in the baseline / in the run alone."""
    return Table(
        "Accuracy on the same images; right in the baseline alone / in the run alone",
        ("entry", "baseline", "run", "points", "95 %", "alone", "p"),
        (False, True, True, True, True, True, True),
        tuple(
            (
                one.entry,
                format_percent(one.baseline_fraction),
                format_percent(one.run_fraction),
                format_points(one.paired.difference_fraction),
                _points(one.paired.interval),
                f"{one.paired.only_first_correct} / {one.paired.only_second_correct}",
                format_p(one.p_value if one.p_value is not None else one.paired.p_value),
            )
            for one in figures
        ),
    )


def _points(interval: Interval) -> str:
    return f"[{format_points(interval.low)}, {format_points(interval.high)}]"


def timing_rows(figures: Sequence[GatedTiming]) -> Table:
    """Return the medians of a call side by side; above 1 the run is slower."""
    return Table(
        "Time of a call; time of the run / time of the baseline",
        ("timing", "baseline", "run", "ratio", "noise only"),
        (False, True, True, True, True),
        tuple(
            (
                one.name,
                format_seconds(one.baseline_s),
                format_seconds(one.run_s),
                format_factor(one.ratio),
                f"[{format_factor(one.interval.low)}, {format_factor(one.interval.high)}]"
                if one.interval
                else "n/a",
            )
            for one in figures
        ),
    )


def checks_table(checks: Sequence[GateCheck]) -> Table:
    """Return every rule; those that failed first."""
    return Table(
        "Rules",
        ("", "what", "found"),
        (False, False, False),
        tuple(
            (OUTCOMES[one.outcome], f"{one.subject}: {one.rule}", one.text)
            for one in sorted(checks, key=lambda check: _ORDER.index(check.outcome))
        ),
    )


def sensitivity_lines(verdict: GateVerdict) -> list[str]:
    """Return what each test could have found, and what a finer one needs; never nothing at all."""
    lines = [
        f"{one.entry}: {_found(one.sensitivity)}" for one in verdict.accuracy if one.sensitivity
    ]
    return lines or ["no drop of accuracy: none was tested"]


def _found(one: Sensitivity) -> str:
    images = (
        f"{format_count(one.n_images)} images, {100 * one.disagreement_fraction:.2g} % disagree"
    )
    power = f"{100 * one.power_fraction:g} % power"
    if one.smallest_drop_fraction is None:
        text = f"no true drop would be found with {power} ({images})"
    else:
        drop = f"{100 * one.smallest_drop_fraction:.2f} points"
        text = f"the smallest true drop found with {power} is {drop} ({images})"
    if one.finer_n_images is None or one.finer_drop_fraction is None:
        return f"{text}; anything finer is negligible by the policy"
    finer = f"{100 * one.finer_drop_fraction:g}"
    needs = "point needs" if finer == "1" else "points need"
    return f"{text}; {finer} {needs} about {format_count(one.finer_n_images)} images"
