"""A clock that tests move by hand: nothing here waits, and no figure depends on the machine."""

import pytest


class FakeClock:
    """Advances only when a call spends time or something waits.

    Attributes
    ----------
    slept : list of float
        Every wait that was asked for, in order.
    """

    def __init__(self):
        self.now = self.cpu = 100.0
        self.slept = []

    def now_s(self):
        return self.now

    def cpu_s(self):
        return self.cpu

    def sleep_s(self, seconds):
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds

    def spend(self, seconds, cpu=None):
        self.now += seconds
        self.cpu += seconds if cpu is None else cpu


@pytest.fixture
def clock():
    return FakeClock()
