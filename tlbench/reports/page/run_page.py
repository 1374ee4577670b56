"""The page of one run: the answer, and under it everything that it rests on."""

from collections.abc import Iterable
from pathlib import Path

from markupsafe import Markup

from tlbench.core.units import format_count, format_seconds
from tlbench.records import (
    Predictions,
    RunImages,
    RunResult,
    check_predictions,
    read_images,
    read_predictions,
)
from tlbench.reports import accuracy, conditions, protocols, timing
from tlbench.reports.base import Part, Table
from tlbench.reports.console import answer_sentence, run_parts, title_parts
from tlbench.reports.figures import (
    accuracy_figure,
    fold_figures,
    learning_figure,
    recall_figure,
    training_figures,
)
from tlbench.reports.image_figures import ShownImages, shown_images
from tlbench.reports.page import charts, timing_charts
from tlbench.reports.page.images import (
    confusion_blocks,
    gallery_block,
    map_blocks,
    script_data,
)
from tlbench.reports.page.markup import (
    Page,
    Section,
    command_markup,
    figures_markup,
    folded,
    lines_markup,
    paragraph,
    render_page,
    table_markup,
)
from tlbench.reports.timing import format_rate
from tlbench.reports.timing_figures import parts_figure, timing_figures

# Where the parts of the report on a console stand; any other table is among the protocols.
_SECTIONS = {
    "accuracy": ("", "Accuracy", "Gain of the backbone on the same images", "Answer", "Metrics",
                 "Parameter search", "Accuracy by group", "Lowest recall"),
    "speed": ("Latency", "Timing details", "Samples", "Time per image", "INVALID",
              "Models under test", "Latency ratio (above 1 is slower than A)",
              "Feature extraction"),
    "warnings": ("Warnings", "Incomplete", "Unused files"),
    "origin": ("Saved", "Repeat"),
}  # fmt: skip
_LOUD = ("INVALID", "Incomplete")  # first in their sections
_SECTION_OF = {title: name for name, titles in _SECTIONS.items() for title in titles}


def render(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return the page of a run; what lies in its folder *location* is shown as well."""
    del width, color
    predictions, images = None, None
    if location is not None:
        predictions, images = read_predictions(Path(location)), read_images(Path(location))
        if predictions is not None:
            check_predictions(run, predictions)
    return run_page(run, location, predictions, images)


def run_page(
    run: RunResult,
    location: str | None = None,
    predictions: Predictions | None = None,
    images: RunImages | None = None,
) -> str:
    """Return one self-contained document: no file beside it, and no request for another.

    Parameters
    ----------
    run : RunResult
        The run.
    location : str or None
        Where it is saved.
    predictions, images : Predictions or None, RunImages or None
        What it keeps of its test images; what is missing is said to be absent.
    """
    shown = shown_images(run, predictions, images)
    gallery: list[Markup] = []
    drawn: tuple[int, ...] = ()
    can_show = shown is not None and shown.images is not None and shown.first is not None
    if shown is not None and can_show:
        gallery, drawn = gallery_block(shown)
    parts = _by_section(run_parts(run, location))
    sections = [
        Section(id="accuracy", title="Accuracy", blocks=_accuracy(run, parts["accuracy"])),
        Section(id="classes", title="Classes", blocks=_classes(run, shown)),
        Section(id="images", title="Misclassified images", blocks=_or_absent(run, gallery)),
        Section(
            id="codes",
            title="Map of the features",
            blocks=tuple(map_blocks(shown, run.id)) if shown and can_show else _or_absent(run, []),
        ),
        Section(id="speed", title="Speed", blocks=_speed(run, parts["speed"])),
        Section(id="protocols", title="Protocols", blocks=_protocols(run, parts["protocols"])),
        Section(id="warnings", title="Warnings and images left out",
                blocks=_warnings(run, parts["warnings"])),
        Section(id="origin", title="Origin", blocks=_origin(run, parts["origin"])),
    ]  # fmt: skip
    sheet = shown.images if shown and can_show else None
    page = Page(
        title=f"{answer_sentence(run)[:120]} tlbench",
        kicker=" · ".join(title_parts(run)),
        sentence=answer_sentence(run),
        cards=_cards(run),
        sections=tuple(one for one in sections if any(one.blocks)),
        data=script_data(shown) if shown and can_show else {},
        sheet=sheet.sheet if sheet else b"",
        tile_px=sheet.document.tile_px if sheet else 1,
        n_columns=sheet.document.n_columns if sheet else 1,
        n_tiles=len(sheet.document.rows) if sheet else 0,
        drawn=drawn,
    )
    return render_page(page)


def _by_section(parts: Iterable[Part]) -> dict[str, list[Markup]]:
    """Return the markup of every part of the report, by the section that it belongs to."""
    found: dict[str, list[Markup]] = {name: [] for name in (*_SECTIONS, "protocols")}
    for part in parts:
        if isinstance(part, Table):
            found[_SECTION_OF.get(part.title, "protocols")].append(table_markup(part))
            continue
        for title, lines in part.items():
            section = _SECTION_OF.get(title, "protocols")
            if title == "Repeat":
                found[section] += [command_markup(title, line) for line in lines]
                continue
            loud = lines_markup(title, list(lines), "loud" if title in _LOUD else "")
            found[section].insert(0 if title in _LOUD else len(found[section]), loud)
    return found


def _or_absent(run: RunResult, blocks: list[Markup]) -> tuple[Markup, ...]:
    if blocks:
        return tuple(blocks)
    if not run.accuracy:
        return ()
    text = (
        "Absent: no thumbnails, confidences or features were kept with this run. It was measured "
        "by an older tlbench, or its run.json was copied without the files beside it."
    )
    return (paragraph(text, "absent"),)


def _accuracy(run: RunResult, parts: list[Markup]) -> tuple[Markup, ...]:
    figure = accuracy_figure(run)
    drawing = [charts.interval(figure)] if figure else []
    return (*drawing, *parts)


def _classes(run: RunResult, shown: ShownImages | None) -> tuple[Markup, ...]:
    if not run.accuracy:
        return ()
    figure = recall_figure(run)
    recall = charts.interval(figure) if figure else Markup()
    listed = folded("Recall by class as a table", [table_markup(accuracy.recall_table(run))])
    if shown is None:
        text = "Absent: there are no predictions beside this run's run.json, so there is no matrix."
        return (recall, listed, paragraph(text, "absent"))
    first, *others = confusion_blocks(shown) or [Markup()]
    opened = Markup('<div id="opened" aria-live="polite"></div>')
    return (recall, first, opened, listed, *others)


def _speed(run: RunResult, parts: list[Markup]) -> tuple[Markup, ...]:
    drawings = []
    loud, parts = parts[:1], parts[1:]  # why timings are INVALID, if any is
    for figure in timing_figures(run.latency):
        drawings += [timing_charts.distribution(figure), timing_charts.over_time(figure)]
    if run.breakdown:
        drawings.append(charts.stacked(parts_figure(run.breakdown)))
    tables = [
        table_markup(timing.cold_start_table(run.latency)),
        folded("Percentiles", [table_markup(timing.percentiles_table(run.latency))]),
        folded("Checks of the timings", [table_markup(timing.checks_table(run.latency))]),
    ]
    if not run.latency and not any(parts):
        return ()
    return (*loud, figures_markup(drawings), *parts, *tables)


def _protocols(run: RunResult, parts: list[Markup]) -> tuple[Markup, ...]:
    drawings = [charts.lines(one) for one in training_figures(run.accuracy)]
    curves = learning_figure(run.learning_curves)
    drawings += [charts.lines(curves)] if curves else []
    drawings += [charts.interval(one) for one in fold_figures(run.cross_validation)]
    tables = [
        folded(title, [table_markup(one)] if one.rows else [])
        for title, one in (
            ("Training curves as a table", protocols.epochs_table(run.accuracy)),
            ("Folds as a table", protocols.folds_table(run.cross_validation)),
        )
    ]
    return (figures_markup(drawings), *parts, *tables)


def _warnings(run: RunResult, parts: list[Markup]) -> tuple[Markup, ...]:
    return (*parts, table_markup(conditions.unused_table(run)))


def _origin(run: RunResult, parts: list[Markup]) -> tuple[Markup, ...]:
    return (
        *parts,
        table_markup(conditions.model_table(run)),
        table_markup(conditions.data_table(run)),
        folded("Environment", [table_markup(conditions.environment_table(run))]),
    )


def _cards(run: RunResult) -> tuple[tuple[str, str, str], ...]:
    """Return the figures that a reader looks for first."""
    cards = []
    first = accuracy.first_result(run.accuracy)
    if first is not None:
        figure, interval = accuracy.accuracy_cells(first)
        about = f"{interval} · {first.head} · n = {format_count(first.n_test)}"
        cards.append(("accuracy", figure, about))
        for one in run.accuracy:
            if one.baseline and one.head == first.head:
                cards.append((f"{one.head} on {accuracy.title_of(one)}",
                              *accuracy.accuracy_cells(one)))  # fmt: skip
                break
    for timed in run.latency[:2]:
        if timed.samples_s:
            name = timing.timing_title(timed, run.latency)
            about = f"{format_rate(timed.images_per_s)} images/s · n = {len(timed.samples_s):,}"
            about += f" · {timed.verdict}" if timed.verdict else ""
            cards.append((f"{name}, median", format_seconds(timed.median_s), about))
    return tuple(cards)
