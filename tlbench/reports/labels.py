"""Where the labels of a chart's points stand, so that they cover neither each other nor a point."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom

_LETTER, _LINE = 0.62, 1.0  # width and height of a letter, in font sizes
_DIRECTIONS = 16
_DISTANCES = (1.0, 1.8, 2.6)  # from the point to the label, in font sizes


def label_centres(
    points: Sequence[tuple[float, float]], labels: Sequence[str], font_size: float, room: Box
) -> list[tuple[float, float]]:
    """Return the centre of each label, near its point and inside *room*, in the unit of *points*.

    A label goes up to the right where that is free, and else to the free place that comes next. On
    a crowded chart it takes the place where it covers least.
    """
    marks = [_around(point, 0.7 * font_size, 0.7 * font_size) for point in points]
    placed: list[Box] = []
    found = []
    for point, label in zip(points, labels, strict=True):
        width, height = _LETTER * font_size * len(label), _LINE * font_size
        places = [_around(centre, width, height) for centre in _centres(point, width, font_size)]
        covered = [
            sum(_shared(box, other) for other in (*placed, *marks)) + _outside(box, room)
            for box in places
        ]
        best = places[covered.index(min(covered))]
        placed.append(best)
        found.append(((best[0] + best[2]) / 2, (best[1] + best[3]) / 2))
    return found


def _centres(
    point: tuple[float, float], width: float, font_size: float
) -> Iterator[tuple[float, float]]:
    """Yield the places to try: all round the point, from up right on, near ones first."""
    for distance in _DISTANCES:
        for turn in range(_DIRECTIONS):
            # Now to one side, now to the other: 0, 1, -1, 2, -2, ...
            steps = (turn + 1) // 2 * (1 if turn % 2 else -1)
            angle = math.pi / 4 + 2 * math.pi * steps / _DIRECTIONS
            across, down = math.cos(angle), -math.sin(angle)
            yield (
                point[0] + across * (distance * font_size + width / 2),
                point[1] + down * distance * font_size,
            )


def _around(centre: tuple[float, float], width: float, height: float) -> Box:
    x, y = centre
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _shared(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)


def _outside(box: Box, room: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) - _shared(box, room)
