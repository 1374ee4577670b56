"""When a timing has seen enough of the machine."""

import random

import pytest

from tlbench.latency import ORDERED, looks_steady
from tlbench.stats import trend


def noise(n, seed=0):
    generator = random.Random(seed)
    return [1 + 0.05 * generator.random() for _ in range(n)]


@pytest.mark.parametrize("n", [ORDERED, 64, 1000])
def test_independent_samples_are_steady(n):
    assert looks_steady(noise(n))


def test_a_trend_is_not_steady():
    assert not looks_steady([x * (1 + 0.3 * i / 300) for i, x in enumerate(noise(300))])


def test_two_phases_are_not_steady_and_many_are():
    """A machine that flips between two speeds is known once it has flipped often enough."""
    slow_and_fast = [x * (1.5 if i // 50 % 2 else 1.0) for i, x in enumerate(noise(4000))]
    assert not looks_steady(slow_and_fast[:150])
    assert looks_steady(slow_and_fast)


def test_of_few_samples_nothing_can_be_told():
    """Even sorted ones are no trend; the verdict says that it is unknown."""
    assert looks_steady([1.0 + i for i in range(ORDERED - 1)])
    assert not trend([1.0 + i for i in range(ORDERED - 1)]).detected
    assert trend([1.0 + i for i in range(ORDERED)]).detected
