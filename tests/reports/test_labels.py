"""Labels of a chart's points: near their point, inside the chart, and clear of each other."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.reports.labels import label_centres

SIZE = 10.0
ROOM = (0.0, 0.0, 400.0, 200.0)
WIDTH = 0.62 * SIZE


def apart(first, second, width=WIDTH, height=SIZE):
    """Tell whether two labels of one letter do not overlap."""
    across, down = (abs(a - b) for a, b in zip(first, second, strict=True))
    return across >= width - 1e-9 or down >= height - 1e-9


def test_a_label_alone_is_up_to_the_right():
    ((x, y),) = label_centres([(100, 100)], ["1"], SIZE, ROOM)
    assert x > 100
    assert y < 100


def test_a_label_at_the_corner_stays_inside():
    ((x, y),) = label_centres([(398, 2)], ["12"], SIZE, ROOM)
    assert x < 398
    assert y > 2


@pytest.mark.parametrize("gap", [6, 10, 15])
def test_labels_in_a_row_are_clear_of_each_other_and_of_the_points(gap):
    """As in a sweep whose best cells have about the same accuracy."""
    points = [(150.0 + gap * i, 100.0) for i in range(8)]
    centres = label_centres(points, list("12345678"), SIZE, ROOM)
    for i, centre in enumerate(centres):
        assert all(apart(centre, other) for other in centres[:i])
        assert all(apart(centre, p, 0.66 * SIZE, 0.85 * SIZE) for p in points)


def test_two_points_at_one_place_have_labels_of_their_own():
    first, second = label_centres([(50, 50), (50, 50)], ["1", "2"], SIZE, ROOM)
    assert apart(first, second)


@given(
    st.lists(
        st.tuples(st.floats(0, 400, width=32), st.floats(0, 200, width=32)), min_size=1, max_size=30
    )
)
def test_every_label_is_near_its_point(points):
    """However crowded it is."""
    labels = [str(i) for i in range(len(points))]
    for point, centre in zip(points, label_centres(points, labels, SIZE, ROOM), strict=True):
        assert math.dist(point, centre) <= 2.6 * SIZE + WIDTH + 1e-6
