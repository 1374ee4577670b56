"""A clock that tests move by hand, and a quiet timing: no figure depends on the machine."""

import random
from dataclasses import replace

import pytest

from tlbench.latency import CheckInputs, run_checks

# A quiet machine, everything known, nothing wrong.
QUIET = CheckInputs(
    tick_s=1e-7,
    cpus=4,
    other_cpus=0.04,
    slowdown=1.01,
    repeated_ratio=0.99,
    macs_per_s=0.5e9,
    ceiling_macs_per_s=1e9,
)


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


@pytest.fixture(scope="session")
def quiet_samples():
    """Return latencies as a quiet machine gives them: 4 ms, some noise, a tail to the right."""

    def samples(n=200, seed=0):
        generator = random.Random(seed)
        return [0.004 * (1 + generator.gammavariate(2, 0.01)) for _ in range(n)]

    return samples


@pytest.fixture(scope="session")
def checks_of(quiet_samples):
    """Check samples (quiet ones by default) on a quiet machine with these changes."""

    def checks(samples=None, **changes):
        return run_checks(
            quiet_samples() if samples is None else samples, replace(QUIET, **changes)
        )

    return checks


@pytest.fixture(scope="session")
def outcomes(checks_of):
    """Check as `checks_of` does; return the outcomes by check."""

    def of(samples=None, **changes):
        return {check.name: check.outcome for check in checks_of(samples, **changes)}

    return of


@pytest.fixture(scope="session")
def check_of(checks_of):
    """Check as `checks_of` does; return the check of this name."""

    def of(name, samples=None, **changes):
        (check,) = [check for check in checks_of(samples, **changes) if check.name == name]
        return check

    return of
