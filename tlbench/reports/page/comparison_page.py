"""The page of several runs: each held against the first, and what each run shows by itself."""

from collections.abc import Sequence

from markupsafe import Markup

from tlbench.core.units import format_factor, format_seconds
from tlbench.records import AccuracyDifference, Comparison, RunResult, SpeedUp
from tlbench.reports.accuracy import accuracy_cells, first_result
from tlbench.reports.base import Part, Table, table
from tlbench.reports.comparison import comparison_parts
from tlbench.reports.comparison_figures import (
    difference_figure,
    pareto_figure,
    run_name,
    speed_up_figure,
)
from tlbench.reports.console import answer_sentence, run_parts
from tlbench.reports.figures import accuracy_figure
from tlbench.reports.page import charts, timing_charts
from tlbench.reports.page.markup import (
    Page,
    Section,
    figures_markup,
    folded,
    lines_markup,
    paragraph,
    render_page,
    table_markup,
)
from tlbench.reports.timing_figures import timing_figures
from tlbench.reports.training import transfer_sentence


def comparison_page(comparison: Comparison, runs: Sequence[RunResult]) -> str:
    """Return one self-contained document about *runs*, in the order of the comparison."""
    lettered = [(one.letter, run) for one, run in zip(comparison.runs, runs, strict=True)]
    pareto, speed = pareto_figure(lettered), speed_up_figure(comparison)
    difference = difference_figure(comparison)
    drawings = [
        charts.pareto(pareto) if pareto else Markup(),
        charts.interval(speed) if speed else Markup(),
        charts.interval(difference) if difference else Markup(),
    ]
    overview = [table_markup(overview_table(lettered)), figures_markup(drawings)]
    parts = [_markup(part) for part in comparison_parts(comparison)]
    sections = (
        Section(id="overview", title="Overview", blocks=tuple(overview)),
        Section(id="comparison", title="Comparison", blocks=tuple(parts)),
        Section(id="runs", title="Each run", blocks=tuple(_run(*one) for one in lettered)),
    )
    return render_page(
        Page(
            title=f"{len(runs)} runs compared. tlbench",
            kicker=f"{len(runs)} runs, compared with run A",
            sentence=transfer_sentence(comparison.training)
            or comparison_sentence(comparison, lettered),
            cards=(),
            sections=sections,
        )
    )


def comparison_sentence(comparison: Comparison, runs: Sequence[tuple[str, RunResult]]) -> str:
    """Return how each run stands to the first: accuracy on the same images, and speed."""
    (_, reference), *others = runs
    phrases = []
    for letter, run in others:
        accuracy = next((one for one in comparison.accuracy if one.other.run == letter), None)
        speed = next((one for one in comparison.speed_ups if one.other.run == letter), None)
        words = [_accuracy_words(accuracy)] if accuracy else []
        words += [_speed_words(speed)] if speed else []
        if words:
            phrases.append(f"{letter} ({run_name(run)}) {' and '.join(words)}")
    compared = "; ".join(phrases) or "No run has a result that A has"
    return f"{compared}. A is {run_name(reference)}."


def _accuracy_words(found: AccuracyDifference) -> str:
    points = f"{abs(100 * found.difference_fraction):.1f} points"
    side = "above" if found.difference_fraction > 0 else "below"
    if found.paired is None:
        return f"is {points} {side} A in accuracy, not tested on the same images,"
    if found.paired.interval.low <= 0 <= found.paired.interval.high:
        return f"shows no clear difference from A in accuracy ({points} {side})"
    return f"is {points} {side} A in accuracy"


def _speed_words(found: SpeedUp) -> str:
    valid = found.other.verdict == found.reference.verdict == "VALID"
    status = "" if valid else "; not both timings are VALID"
    what = f"{found.other.scenario}, batch {found.other.batch_size}{status}"
    return f"runs at {format_factor(found.speed_up)} times its speed ({what})"


def overview_table(runs: Sequence[tuple[str, RunResult]]) -> Table:
    """Return accuracy, time, precision, batch and boundary of each run, a line for each."""
    rows = []
    for letter, run in runs:
        first = first_result(run.accuracy)
        timing = next((one for one in run.latency if one.batch_size == 1 and one.samples_s), None)
        timing = timing or next((one for one in run.latency if one.samples_s), None)
        figure, interval = accuracy_cells(first) if first else ("-", "")
        rows.append(
            (
                letter,
                run_name(run),
                f"{figure} {interval}".strip(),
                "-" if first is None else f"{first.n_test:,}",
                "-" if timing is None else format_seconds(timing.median_s / timing.batch_size),
                "-" if timing is None else str(timing.batch_size),
                "-" if timing is None else timing.boundary,
                "-" if timing is None else timing.precision,
                "-" if timing is None else f"{len(timing.samples_s):,}",
                "-" if timing is None else timing.verdict or "not judged",
            )
        )
    columns = (
        " | run | >accuracy | >test images | >median per image | >batch | boundary | precision | "
        ">samples | verdict"
    )
    note = (
        "n is in the columns test images and samples; 95 % Wilson intervals; those of times are "
        "with each run."
    )
    return table("The runs side by side", columns, rows, note)


def _markup(part: Part) -> Markup:
    if isinstance(part, Table):
        return table_markup(part)
    blocks = [
        lines_markup(title, list(lines), "loud" if title == "INVALID" else "")
        for title, lines in part.items()
    ]
    return Markup().join(blocks)


def _run(letter: str, run: RunResult) -> Markup:
    figure = accuracy_figure(run)
    drawings = [charts.interval(figure)] if figure else []
    drawings += [timing_charts.distribution(one) for one in timing_figures(run.latency)]
    parts = [_markup(part) for part in run_parts(run, None)]
    blocks = [paragraph(answer_sentence(run), "about"), figures_markup(drawings), *parts]
    return folded(f"{letter}: {run.id}, {run_name(run)}", blocks)
