"""The bounded, ordered prefetch."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.engine.extract import prefetch


@given(
    items=st.lists(st.integers(), max_size=50), workers=st.integers(1, 4), depth=st.integers(1, 6)
)
def test_results_come_in_order(items, workers, depth):
    """It is a map, whatever the number of threads and the depth."""
    result = list(prefetch(lambda x: x * 2, items, workers=workers, depth=depth))
    assert result == [x * 2 for x in items]


def test_an_error_comes_at_its_turn():
    """Results before the failing item are delivered first."""
    results = prefetch(lambda x: 1 // x, [1, 1, 0, 1], workers=2, depth=4)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_early_ends_the_threads():
    before = threading.active_count()
    results = prefetch(lambda x: x, range(1000), workers=3, depth=3)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_no_more_than_depth_items_are_taken_ahead():
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    results = prefetch(lambda x: x, items(), workers=1, depth=4)
    next(results)
    # four at the start, one more to replace the one delivered
    assert len(taken) == 5
    results.close()
