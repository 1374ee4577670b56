"""Several callables in turn: blocks, rounds, and the order in which they come."""

import pytest

from tlbench.core.errors import ConfigError
from tlbench.latency import StoppingRule, Turns, alternate, block_medians

RULE = StoppingRule(warmup_s=0, min_warmup_calls=1, min_samples=1, min_duration_s=0)
TURNS = Turns(block_s=0.5, min_rounds=6, warmup_s=0.05, warmup_calls=1)


class TimedCall:
    """A callable that records whose turn it was; call number *fatal* of all is interrupted."""

    def __init__(self, name, clock, log, seconds, fatal=None):
        self.name, self.clock, self.log, self.seconds = name, clock, log, seconds
        self.fatal = fatal

    def __call__(self, number):
        self.clock.spend(self.seconds, cpu=2 * self.seconds)
        self.log.append((self.name, number))
        if len(self.log) == self.fatal:
            raise KeyboardInterrupt


def timed_calls(clock, *, fatal=None, **seconds):
    log = []
    return {name: TimedCall(name, clock, log, s, fatal) for name, s in seconds.items()}, log


def order(clock, seed):
    """Return the order of each round; blocks have one call, longer than a block, and no other."""
    calls, log = timed_calls(clock, a=0.2, b=0.2, c=0.2)
    turns = Turns(block_s=0.1, min_rounds=8, warmup_s=0, warmup_calls=0, seed=seed)
    alternate(calls, RULE, turns, clock=clock)
    names = [name for name, number in log if number >= 2]
    return [tuple(names[i : i + 3]) for i in range(0, len(names), 3)]


def test_everybody_has_one_block_a_round(clock):
    rounds = order(clock, 0)
    assert len(rounds) == 8
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)


def test_the_order_changes_from_round_to_round(clock):
    """Eight rounds of three in one order would be a chance of 6**-7."""
    assert len(set(order(clock, 0))) > 1


def test_the_order_is_that_of_the_seed(clock):
    assert order(clock, 1) == order(clock, 1)
    assert order(clock, 1) != order(clock, 2)


def test_a_block_lasts_its_time(clock):
    """Calls of 0.125 s fill half a second with four, calls of 0.25 s with two."""
    calls, _ = timed_calls(clock, quick=0.125, slow=0.25)
    found = alternate(calls, RULE, TURNS, clock=clock)
    assert found["quick"].block_sizes == (4,) * 6
    assert found["slow"].block_sizes == (2,) * 6


def test_a_block_has_at_least_one_call(clock):
    calls, _ = timed_calls(clock, a=3.0, b=0.25)
    found = alternate(calls, StoppingRule(min_samples=1, max_duration_s=900), TURNS, clock=clock)
    assert found["a"].block_sizes == (1,) * 6


def test_block_sizes_add_up_to_the_samples(clock):
    calls, _ = timed_calls(clock, a=0.15, b=0.4)
    for timing in alternate(calls, RULE, TURNS, clock=clock).values():
        assert sum(timing.block_sizes) == len(timing.samples_s)


def test_samples_are_of_the_right_callable(clock):
    calls, _ = timed_calls(clock, a=0.125, b=0.25)
    found = alternate(calls, RULE, TURNS, clock=clock)
    assert found["a"].samples_s == pytest.approx([0.125] * 24)
    assert found["b"].samples_s == pytest.approx([0.25] * 12)


def test_the_first_call_and_the_warm_up_are_kept_apart(clock):
    calls, _ = timed_calls(clock, a=0.125, b=0.25)
    timing = alternate(calls, RULE, TURNS, clock=clock)["b"]
    assert timing.first_s == pytest.approx(0.25)
    assert timing.warmup_s == pytest.approx([0.25])


@pytest.mark.parametrize("warmup_calls", [0, 1, 3])
def test_warm_up_calls_of_a_block_are_not_counted(clock, warmup_calls):
    """They are made, at the start of each block, and leave no sample."""
    calls, log = timed_calls(clock, a=0.25)
    turns = Turns(block_s=0.5, min_rounds=4, warmup_calls=warmup_calls)
    timing = alternate(calls, RULE, turns, clock=clock)["a"]
    assert len(timing.samples_s) == 4 * 2
    assert len(log) == 2 + 4 * (warmup_calls + 2)


def test_a_block_waits_until_the_one_before_no_longer_spins(clock):
    """Two callables, six rounds: twelve waits, each outside a sample and a block."""
    calls, _ = timed_calls(clock, a=0.25, b=0.25)
    timing = alternate(calls, RULE, TURNS, clock=clock)["a"]
    assert clock.slept == [0.05] * 12
    assert timing.wall_s == pytest.approx(12 * 0.25)


def test_processor_time_is_of_the_counted_calls(clock):
    """Two threads: twice the wall time, warm-up calls and the warm-up left out."""
    calls, _ = timed_calls(clock, a=0.25, b=0.125)
    assert alternate(calls, RULE, TURNS, clock=clock)["a"].cpu_s == pytest.approx(2 * 12 * 0.25)


def test_the_rule_holds_for_each_callable(clock):
    """The slow one, with one call a block, decides on the rounds."""
    calls, _ = timed_calls(clock, quick=0.125, slow=0.5)
    rule = StoppingRule(min_samples=10, min_duration_s=0, max_duration_s=900)
    found = alternate(calls, rule, TURNS, clock=clock)
    assert len(found["slow"].samples_s) == 10
    assert len(found["quick"].block_sizes) == 10


def test_the_minimum_of_time_holds_for_each_callable(clock):
    calls, _ = timed_calls(clock, a=0.5, b=0.5)
    rule = StoppingRule(min_samples=1, min_duration_s=5, max_duration_s=900)
    assert len(alternate(calls, rule, TURNS, clock=clock)["a"].block_sizes) == 10


@pytest.mark.parametrize("seconds", [0.5, 4.0])
def test_the_maximum_ends_all_with_as_many_blocks(clock, seconds):
    """It comes before the minimum of rounds, and after a whole round."""
    calls, _ = timed_calls(clock, quick=0.125, slow=seconds)
    rule = StoppingRule(min_samples=900, max_duration_s=10)
    turns = Turns(block_s=0.5, min_rounds=500)
    found = alternate(calls, rule, turns, clock=clock)
    n_blocks = len(found["quick"].block_sizes)
    assert len(found["slow"].block_sizes) == n_blocks
    # a round is the wait, a call and a block of each
    round_s = 2 * 0.05 + (0.125 + 0.5) + 2 * seconds
    assert n_blocks == -(-10 // round_s)
    assert found["slow"].complete


# Four calls come before the rounds (first and warm-up of both); each round has four (warm-up and
# counted of both).
@pytest.mark.parametrize(("fatal", "n_rounds"), [(9, 1), (11, 1), (12, 1), (13, 2), (16, 2)])
def test_an_interruption_keeps_whole_rounds_only(clock, fatal, n_rounds):
    calls, _ = timed_calls(clock, fatal=fatal, a=0.5, b=0.5)
    found = alternate(calls, RULE, TURNS, clock=clock)
    for timing in found.values():
        assert timing.samples_s == pytest.approx([0.5] * n_rounds)
        assert timing.block_sizes == (1,) * n_rounds
        assert not timing.complete


def test_an_interruption_leaves_out_the_costs_of_what_is_dropped(clock):
    """The first of the second round had finished its block: its samples and its seconds go."""
    calls, _ = timed_calls(clock, fatal=12, a=0.5, b=0.5)
    for timing in alternate(calls, RULE, TURNS, clock=clock).values():
        assert timing.wall_s == pytest.approx(0.5)
        assert timing.cpu_s == pytest.approx(1.0)


@pytest.mark.parametrize("fatal", [1, 3, 6, 8])
def test_an_interruption_before_the_first_round_is_over_is_passed_on(clock, fatal):
    calls, _ = timed_calls(clock, fatal=fatal, a=0.5, b=0.5)
    with pytest.raises(KeyboardInterrupt):
        alternate(calls, RULE, TURNS, clock=clock)


def test_a_pause_comes_before_each_counted_call(clock):
    """Calls of 0.2 s after a rest of 0.1 s: two fill a block of half a second, a third overruns."""
    calls, _ = timed_calls(clock, a=0.2, b=0.2)
    rule = StoppingRule(
        warmup_s=0, min_warmup_calls=1, min_samples=1, min_duration_s=0, pause_s=0.1
    )
    found = alternate(calls, rule, TURNS, clock=clock)
    assert found["a"].block_sizes == (2,) * 6
    assert found["a"].samples_s == pytest.approx([0.2] * 12)
    assert clock.slept.count(0.1) == 24


def test_a_comparison_without_rounds_is_refused():
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        Turns(min_rounds=0)


@pytest.mark.parametrize(
    ("samples", "sizes", "medians"),
    [
        ((3.0, 1.0, 2.0, 9.0, 5.0), (3, 2), [2.0, 7.0]),
        ((4.0,), (1,), [4.0]),
        ((), (), []),
    ],
)
def test_block_medians_are_of_each_block_in_order(samples, sizes, medians):
    assert block_medians(samples, sizes) == medians
