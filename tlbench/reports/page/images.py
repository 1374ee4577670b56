"""The test images of a run in a page: confusion matrix, gallery, map, and the script's data."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from tlbench.core.errors import printable
from tlbench.core.units import format_count, format_percent
from tlbench.reports.base import table
from tlbench.reports.figures import ConfusionFigure
from tlbench.reports.image_figures import (
    N_SHOWN,
    MisclassifiedImage,
    ShownImages,
    confusion_of,
    map_method,
    misclassified_figure,
)
from tlbench.reports.page.markup import (
    figure_markup,
    folded,
    paragraph,
    table_markup,
    text,
)

# A matrix of more classes is a list of its largest cells.
_MOST_CLASSES = 25
_MOST_CONFUSIONS = 40
# Bytes for the names, and for the predictions of the heads: of very many images, names are cut at
# the front, and the last heads cannot be chosen.
_NAME_BYTES = _HEAD_BYTES = 350_000


def confusion_blocks(shown: ShownImages) -> list[Markup]:
    """Return a matrix for the first head, and one for each other, folded."""
    blocks: list[Markup] = []
    for name in sorted(shown.entries, key=lambda name: name != shown.first):
        figure = confusion_of(shown, name)
        matrix, listed = _confusion(figure)
        if name == shown.first:
            blocks = [matrix, *([listed] if listed else []), *blocks]
        else:
            blocks.append(folded(figure.title, [matrix, listed]))
    return blocks


def _confusion(figure: ConfusionFigure) -> tuple[Markup, Markup]:
    """Return the matrix and its largest cells; of very many classes, the latter alone."""
    totals = [sum(line) for line in figure.counts]
    rows = [
        (figure.classes[i], figure.classes[j], format_count(count), format_count(totals[i]))
        for i, j, count in figure.largest[:_MOST_CONFUSIONS]
    ]
    is_cut = len(figure.largest) > len(rows)
    listed = table(
        f"Largest confusions, {figure.entry.partition('.')[2]}",
        "true | predicted | >images | >of",
        rows,
        f"{figure.note} The {_MOST_CONFUSIONS} largest." if is_cut else figure.note,
    )
    if len(figure.classes) > _MOST_CLASSES:
        if not listed.rows:
            return paragraph(f"No image is misclassified by {figure.entry}."), Markup()
        cells = [(i, j) for i, j, _ in figure.largest[:_MOST_CONFUSIONS]]
        return _clickable(table_markup(listed), figure, cells), Markup()
    head = Markup().join(
        Markup('<th scope="col"><span><span>{}</span></span></th>').format(text(name))
        for name in figure.classes
    )
    lines = Markup().join(
        Markup('<tr><th scope="row" title="{name}">{name}</th>{cells}</tr>').format(
            name=text(name), cells=_cells(figure, i)
        )
        for i, name in enumerate(figure.classes)
    )
    matrix = Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="{title}">'
        '<table class="confusion" data-entry="{entry}"><caption>true class ↓ predicted class →'
        "</caption><thead><tr><td></td>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    ).format(title=text(figure.title), entry=text(figure.entry), head=head, lines=lines)
    block = figure_markup(figure.title, matrix, figure.note, wide=True)
    return block, folded(listed.title, [table_markup(listed)])


def _cells(figure: ConfusionFigure, i: int) -> Markup:
    total = sum(figure.counts[i]) or 1
    found = []
    for j, count in enumerate(figure.counts[i]):
        shade = 0 if not count else 1 + min(8, int(9 * count / total))
        kind = "hit" if i == j else "miss"
        place = Markup(' data-true="{}" data-predicted="{}"').format(i, j) if count else Markup()
        found.append(
            Markup('<td class="{kind}{shade}"{place}>{count}</td>').format(
                kind=kind, shade=shade, place=place, count=format_count(count) if count else "·"
            )
        )
    return Markup().join(found)


def _clickable(markup: Markup, figure: ConfusionFigure, cells: Sequence[tuple[int, int]]) -> Markup:
    """Return a table of confusions with the place of each line in the matrix."""
    head, _, body = str(markup).partition("<tbody>")
    pieces = body.split("<tr>")
    places = [f'<tr class="pick" data-true="{i}" data-predicted="{j}">' for i, j in cells]
    body = pieces[0] + "".join(map("".join, zip(places, pieces[1:], strict=True)))
    head = head.replace("<table>", str(Markup('<table data-entry="{}">').format(figure.entry)), 1)
    return Markup(f"{head}<tbody>{body}")  # noqa: S704 - pieces of markup


def gallery_block(shown: ShownImages) -> tuple[list[Markup], tuple[int, ...]]:
    """Return the misclassified images, the most confident first, and which thumbnails they are."""
    figure = misclassified_figure(shown)
    gallery = Markup('<ul class="gallery" id="gallery">{}</ul>').format(
        Markup().join(map(_item, figure.images))
    )
    blocks = [paragraph(figure.note, "about"), Markup('<div id="browser"></div>'), gallery]
    return blocks, tuple(one.tile for one in figure.images)


def _item(one: MisclassifiedImage) -> Markup:
    return Markup(
        '<li><span class="thumb t{tile}" role="img" aria-label="{title}" title="{title}"></span>'
        '<span class="was"><bdi>{true}</bdi></span> <span class="as">→ <bdi>{found}</bdi></span> '
        '<span class="sure">{sure}</span></li>'
    ).format(
        tile=one.tile,
        title=text(one.name),
        true=text(one.true),
        found=text(one.predicted),
        sure=one.confidence,
    )


def map_blocks(shown: ShownImages, run_id: str) -> list[Markup]:
    """Return the place of the map, what it shows, and how faithful it is."""
    found = shown.images.document.code_map if shown.images else None
    if found is None:
        return [
            paragraph("There is no map: too few images, or too many features, or none were kept.")
        ]
    rows = [
        ("method", map_method(found)),
        ("seed", str(found.seed)),
        ("images on the map", format_count(len(found.points))),
        ("features of each", format_count(found.n_features)),
    ]
    if found.recall_fraction is not None and found.trustworthiness is not None:
        rows += [
            (f"{found.n_neighbours}-neighbour recall", format_percent(found.recall_fraction)),
            ("trustworthiness", f"{found.trustworthiness:.3f}"),
        ]
    note = (
        f"n = {format_count(found.n_judged)} images for recall and trustworthiness (1 is best), "
        "which compare neighbours on the map with neighbours by all features; no intervals."
    )
    about = "Each point is a test image; images with similar features lie close together."
    if found.method == "PCA":
        about += (
            " This is the quick map by principal components. For a t-SNE map, install "
            f"tlbench[report] and run: tlbench report {run_id} --format html -o report.html"
        )
    return [
        paragraph(about, "about"),
        Markup('<div id="map">{}</div>').format(
            # Not a noscript element: that is hidden where a policy blocks the script.
            paragraph("The map is drawn by a script, and scripts are blocked here.", "absent")
        ),
        table_markup(table("How faithful the map is", " | ", rows, note)),
    ]


def script_data(shown: ShownImages) -> Mapping[str, Any]:
    """Return what the script needs, of the kept images in their order."""
    if shown.images is None or shown.first is None:
        return {}
    document, rows = shown.images.document, list(shown.images.document.rows)
    most = max(32, _NAME_BYTES // max(1, len(rows)))
    heads = {}
    n_heads = max(1, _HEAD_BYTES // (8 * len(rows)))
    entries = sorted(shown.entries, key=lambda name: name != shown.first)  # the first stays
    for name in entries[:n_heads]:
        confidence = document.confidence.get(name)
        heads[printable(name)] = {
            "predicted": shown.predictions.entries[name][rows].tolist(),
            # in thousandths, without a point
            "confidence": [round(1000 * x) for x in confidence.values] if confidence else None,
            "kind": confidence.kind if confidence else None,
        }
    n_columns = document.n_columns
    return {
        "classes": [printable(name) for name in shown.classes],
        "labels": shown.predictions.labels[rows].tolist(),
        "rows": rows if rows != list(range(len(rows))) else None,
        "names": [_tail(printable(name), most) for name in document.names],
        "heads": heads,
        "first": printable(shown.first),
        "points": [list(point) for point in document.code_map.points] if document.code_map else [],
        "columns": n_columns,
        "lines": -(-len(rows) // n_columns),
        "shown": N_SHOWN,
    }


def _tail(name: str, most: int) -> str:
    return name if len(name) <= most else f"…{name[1 - most :]}"
