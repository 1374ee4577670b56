"""Panels of test images: the map of their features, confusions, the misclassified ones."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tlbench.records import RunImages
from tlbench.reports.figures import ConfusionFigure
from tlbench.reports.image_figures import EmbeddingFigure, MisclassifiedFigure
from tlbench.reports.page.svg import COLOURS
from tlbench.reports.plots.canvas import INK, MUTED, Panel, named_legend, short, ticked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Petroff's ten colours (2021), as on the page; classes that share a colour differ in shape.
CLASS_COLOURS = (
    "#3f90da", "#e08600", "#bd1f01", "#6f8480", "#832db6",
    "#a96b59", "#e76300", "#8f8347", "#4b4f5e", "#3aa3ad",
)  # fmt: skip
_SHAPES = "os^DP"
_MOST_IN_LEGEND = 50  # as many as there are pairs of colour and shape
# Cells of a matrix up to which each has its number, and lines up to which each has its name.
_MOST_NUMBERED, _MOST_NAMED = 25, 50
_COLUMNS = 8  # of the misclassified images
_LETTERS = 13  # below a thumbnail
# Inches: the width of the map, the height that it may have, and a thumbnail on it.
_MAP, _LEAST, _MOST, _TILE = 5.6, 2.8, 6.2, 0.28


def embedding_panel(figure: EmbeddingFigure, images: RunImages | None) -> Panel:
    """Draw each image as a point in the colour and shape of its class, or as its thumbnail.

    *images* gives the thumbnails, which take the place of points where they have room.
    """

    def draw(found: "Sequence[Axes]") -> None:
        import numpy as np

        (axes,) = found
        points, labels = np.asarray(figure.points), np.asarray(figure.labels)
        wrong = np.asarray(figure.wrong)
        area = float(np.clip(9000 / len(points), 5, 26))
        handles = []
        for k in range(len(figure.classes)):
            ours = points[labels == k]
            found_points = axes.scatter(
                ours[:, 0],
                ours[:, 1],
                s=area,
                c=CLASS_COLOURS[k % 10],
                marker=_SHAPES[(k + k // 10) % 5],
                linewidths=0,
                alpha=0.85,
            )
            handles.append(found_points)
        axes.scatter(points[wrong, 0], points[wrong, 1], s=area * 3.2, facecolors="none",
                     edgecolors=INK, linewidths=0.13 * math.sqrt(area))  # fmt: skip
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.03)
        ticked(axes.xaxis, (), ())
        ticked(axes.yaxis, (), ())
        for spine in axes.spines.values():
            spine.set_visible(False)
        if images is not None:
            _thumbnails(axes, points, images, [CLASS_COLOURS[k % 10] for k in figure.labels])
        names = [short(name, 22) for name in figure.classes[:_MOST_IN_LEGEND]]
        legend = named_legend(axes, handles[: len(names)], names, loc="upper left",
                              bbox_to_anchor=(1.0, 1.0), ncols=math.ceil(len(names) / 25),
                              handletextpad=0.2)  # fmt: skip
        for handle in legend.legend_handles:
            handle.set_sizes([26])
            handle.set_alpha(1)

    note = figure.note
    if len(figure.classes) > _MOST_IN_LEGEND:
        n_classes = len(figure.classes)
        note += f" The legend names the first {_MOST_IN_LEGEND} of {n_classes} classes."
    if images is not None:
        note += " Thumbnails stand where there is room, framed in the colour of their class."
    inches = max(_height(figure.points), 0.2 * min(len(figure.classes), 25))
    return Panel(title=figure.title, note=note, inches=inches, draw=draw)


def _height(points: Any) -> float:  # noqa: ANN401 - an array, or pairs
    """Return how many inches high a map is at its width."""
    xs, ys = zip(*points, strict=True)
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    return min(_MOST, max(_LEAST, _MAP * height / width)) if width else _MOST


def _tiles(images: RunImages) -> Any:  # noqa: ANN401 - an array (tiles, side, side, 3)
    """Return the thumbnails of the sheet, uint8 (n, side, side, 3)."""
    import numpy as np
    from PIL import Image

    document = images.document
    with Image.open(io.BytesIO(images.sheet)) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    side, n_columns = document.tile_px, document.n_columns
    lines = pixels.reshape(pixels.shape[0] // side, side, n_columns, side, 3).swapaxes(1, 2)
    return lines.reshape(-1, side, side, 3)[: len(document.rows)]


def _thumbnails(axes: "Axes", points: Any, images: RunImages, colours: Sequence[str]) -> None:  # noqa: ANN401
    """Put thumbnails on their points, in the order of the images, each where none is yet."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    tiles = _tiles(images)
    # What a thumbnail covers of the map, in its own units.
    width, height = (points.max(axis=0) - points.min(axis=0)).tolist()
    step = 1.06 * _TILE * max(width / _MAP, height / _height(points)) * 1.1 or 1.0
    taken: list[tuple[float, float]] = []
    cells: dict[tuple[int, int], list[int]] = {}
    for i, (x, y) in enumerate(points.tolist()):
        column, line = math.floor(x / step), math.floor(y / step)
        near = [
            taken[k]
            for a in (-1, 0, 1)
            for b in (-1, 0, 1)
            for k in cells.get((column + a, line + b), ())
        ]
        if any(abs(x - u) < step and abs(y - v) < step for u, v in near):
            continue
        cells.setdefault((column, line), []).append(len(taken))
        taken.append((x, y))
        picture = OffsetImage(tiles[i], zoom=_TILE * 0.8 * 72 / tiles.shape[1],
                              interpolation="none", resample=False)  # fmt: skip
        box = AnnotationBbox(picture, (x, y), pad=0.06, frameon=True,
                             bboxprops={"edgecolor": colours[i], "linewidth": 1.3})  # fmt: skip
        box.set_in_layout(False)
        axes.add_artist(box)


def confusion_panel(figure: ConfusionFigure) -> Panel:
    """Draw the matrix: right ones blue, wrong ones orange, by their share of the line."""
    n_classes = len(figure.classes)
    is_numbered = n_classes <= _MOST_NUMBERED

    def draw(found: "Sequence[Axes]") -> None:
        import numpy as np
        from matplotlib.colors import to_rgb

        (axes,) = found
        counts = np.asarray(figure.counts)
        shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        hit, miss, none = (np.asarray(to_rgb(c)) for c in (COLOURS["main"], "#c85a14", "#f5f7f9"))
        ink = np.where(np.eye(n_classes, dtype=bool)[..., None], hit, miss)
        # A single confusion must be seen among a hundred images.
        strength = np.where(counts > 0, 0.15 + 0.85 * shares ** (1 / 1.5), 0)[..., None]
        axes.imshow(none + strength * (ink - none), interpolation="none")
        if is_numbered:
            size = 8 if n_classes <= 12 else 6  # noqa: PLR2004 - room for three digits
            for i, j in np.argwhere(counts):
                dark = strength[i, j, 0] > 0.62  # noqa: PLR2004 - white reads better on it
                axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", fontsize=size,
                          color="white" if dark else INK)  # fmt: skip
        step = math.ceil(n_classes / _MOST_NAMED)
        places = range(0, n_classes, step)
        names = [short(figure.classes[k], 18) for k in places]
        for axis in (axes.xaxis, axes.yaxis):
            ticked(axis, places, names)
        axes.tick_params(length=0, labelsize=8.5 if is_numbered else 5.5)
        axes.tick_params(axis="x", labelrotation=90)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        for spine in axes.spines.values():
            spine.set_visible(False)

    note = (
        f"{figure.note} Blue: right; orange: wrong; the darker, the larger the share of the line."
    )
    inches = min(6.0, 1.6 + 0.32 * n_classes)
    return Panel(title=figure.title, note=note, inches=inches, draw=draw)


def misclassified_panel(figure: MisclassifiedFigure, images: RunImages) -> Panel:
    """Draw a sheet of thumbnails with true and predicted class."""
    n_lines = max(1, math.ceil(len(figure.images) / _COLUMNS))
    height = 1.62  # of a line in thumbnails: room for the texts

    def draw(found: "Sequence[Axes]") -> None:
        (axes,) = found
        axes.set_axis_off()
        axes.set_xlim(0, 1.15 * _COLUMNS - 0.15)
        axes.set_ylim(height * n_lines, 0)
        axes.set_aspect("equal")
        if not figure.images:
            axes.text(0, 0.5, "No image is misclassified.", fontsize=10)
            return
        tiles = _tiles(images)
        for k, one in enumerate(figure.images):
            line, column = divmod(k, _COLUMNS)
            x, y = 1.15 * column, height * line
            axes.imshow(
                tiles[one.tile], extent=(x, x + 1, y + 1, y), interpolation="none", zorder=2
            )
            # The arrow by itself: before a name that is read from the right, it would be turned.
            texts = (
                (0, 0, short(one.true, _LETTERS), MUTED),
                (0, 1, "→", COLOURS["bad"]),
                (0.13, 1, short(one.predicted, _LETTERS - 2), COLOURS["bad"]),
                (0, 2, one.confidence, MUTED),
            )
            for right, down, text, colour in texts:
                top = y + 1.07 + 0.165 * down
                axes.text(x + right, top, text, fontsize=6.5, va="top", color=colour)
        axes.set_xlim(0, 1.15 * _COLUMNS - 0.15)
        axes.set_ylim(height * n_lines, 0)

    note = f"{figure.note} Grey: true class; red: predicted class."
    inches = 7.0 / (1.15 * _COLUMNS - 0.15) * height * n_lines
    return Panel(title=figure.title, note=note, inches=max(1.0, inches), draw=draw)
