"""Requests that arrive at random: waiting counts, and the highest rate in time is found."""

from dataclasses import replace
from itertools import pairwise

import pytest

from tlbench.core.errors import ConfigError
from tlbench.latency import Served, StoppingRule, Timing, find_highest_rate, serve
from tlbench.records import ServerLoad
from tlbench.stats import wilson_interval

PLAN = StoppingRule(
    warmup_s=0, min_warmup_calls=1, min_samples=700, min_duration_s=0, max_duration_s=1e4
)


def served(clock, *, qps, call=None, service_s=0.01, rule=PLAN, bound_s=0.1, **options):
    answer = call or (lambda _: clock.spend(service_s))
    return serve(answer, qps=qps, latency_bound_s=bound_s, rule=rule, clock=clock, **options)


def test_a_server_with_nothing_to_do_answers_at_once(clock):
    """At one request in 1000 service times the queue is all but always empty."""
    found = served(clock, qps=0.1, rule=StoppingRule(min_samples=50, max_duration_s=1e4))
    assert found.timing.samples_s == pytest.approx([0.01] * 50)


def test_waiting_in_the_queue_counts(clock):
    """Arrivals at twice the capacity: each waits longer, in the end for all those before it."""
    found = served(clock, qps=200, rule=StoppingRule(min_samples=400, max_duration_s=1e4))
    samples = found.timing.samples_s
    # 400 requests arrive within 2 s and take 4 s: 5 standard deviations of 2 s are 0.5 s.
    assert samples[-1] == pytest.approx(2.0, abs=0.5)
    assert samples[0] < samples[100] < samples[200] < samples[399]


def test_requests_are_answered_one_after_another(clock):
    """The last answer of an overloaded server comes when all service times have passed."""
    found = served(clock, qps=1e6, rule=replace(PLAN, min_samples=300))
    # the first arrival comes after a microsecond, on average
    assert found.timing.wall_s == pytest.approx(300 * 0.01, abs=0.002)


def test_the_server_waits_for_the_next_arrival(clock):
    """An idle server sleeps until it, no less: nothing is answered before it was asked."""
    found = served(clock, qps=0.1, rule=StoppingRule(min_samples=50, max_duration_s=1e4))
    assert sum(clock.slept) == pytest.approx(found.timing.wall_s - 50 * 0.01)


def test_the_warm_up_is_no_request(clock):
    """Slow first calls are over before the first request arrives."""
    found = served(clock, qps=1.0, call=lambda i: clock.spend(5.0 if i < 2 else 0.01))
    assert found.timing.first_s == pytest.approx(5.0)
    assert found.timing.warmup_s == pytest.approx([5.0])
    assert max(found.timing.samples_s) < 1.0


def test_processor_time_is_of_the_requests(clock):
    found = served(clock, qps=1.0, call=lambda i: clock.spend(0.01, cpu=9.0 if i < 2 else 0.02))
    assert found.timing.cpu_s == pytest.approx(700 * 0.02)


@pytest.mark.parametrize("n_late", [0, 1, 7, 700])
def test_the_share_over_the_bound_has_its_interval(clock, n_late):
    """So many slow calls at a rate at which nobody waits."""
    late = set(range(2, 2 + n_late))
    found = served(
        clock,
        qps=1e-3,
        call=lambda i: clock.spend(0.2 if i in late else 0.01),
        rule=StoppingRule(warmup_s=0, min_warmup_calls=1, min_samples=700, max_duration_s=1e9),
    )
    assert found.load.over_fraction == n_late / 700
    assert found.load.over_high == wilson_interval(n_late, 700)[1]


def test_the_load_says_what_was_asked_for(clock):
    load = served(clock, qps=3.0, bound_s=0.25, allowed_fraction=0.1).load
    assert (load.qps, load.latency_bound_s, load.allowed_fraction) == (3.0, 0.25, 0.1)
    assert not load.is_peak
    assert load.probes == ()


def arrivals(clock, *, qps=20.0, seed=0, n=4000):
    """Return the gaps between requests, seen where the service takes no time."""
    times = []
    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=n, max_duration_s=1e6)
    served(clock, qps=qps, call=lambda _: times.append(clock.now), rule=rule, seed=seed)
    counted = times[1:]  # the first call of all is no request
    return [after - before for before, after in pairwise(counted)]


@pytest.mark.parametrize("qps", [0.5, 20.0, 300.0])
def test_arrivals_have_the_mean_rate(clock, qps):
    """The mean gap of 4,000 has a standard error of 1.6 %; the seed is fixed, 5 % is 3 of them."""
    gaps = arrivals(clock, qps=qps)
    assert sum(gaps) / len(gaps) == pytest.approx(1 / qps, rel=0.05)


def test_gaps_are_exponential(clock):
    """Poisson arrivals: of the gaps 1 - 1/e are shorter than the mean; evenly spaced: half."""
    gaps = arrivals(clock, qps=20.0)
    share = sum(gap < 1 / 20 for gap in gaps) / len(gaps)
    assert share == pytest.approx(0.632, abs=0.03)  # its standard error is 0.008


def test_arrivals_are_those_of_the_seed(clock):
    first, again = arrivals(clock, seed=3, n=50), arrivals(clock, seed=3, n=50)
    # the clock has gone on meanwhile, so differences are rounded elsewhere
    assert first == pytest.approx(again, abs=1e-9)
    assert arrivals(clock, seed=4, n=50) != pytest.approx(first, abs=1e-9)


def test_arrivals_end_at_the_maximum(clock):
    """The last request arrives before it, however few there are: 30 s at one a second."""
    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=700, max_duration_s=30)
    found = served(clock, qps=1.0, rule=rule)
    assert 15 < len(found.timing.samples_s) < 45  # a Poisson count of mean 30, less 3 deviations
    assert found.timing.wall_s < 30.02


def test_a_queue_that_grows_for_ever_is_given_up(clock):
    """After another maximum, with the samples there are; who still waits then is late."""
    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=10**6, max_duration_s=5)
    found = served(clock, qps=1000.0, rule=rule)
    assert found.timing.wall_s == pytest.approx(10.0, abs=0.02)
    n_answered, n_waiting = len(found.timing.samples_s), found.load.n_unanswered
    # 1,000 arrivals a second for 5 s; 350 are 5 standard deviations of their number
    assert n_answered + n_waiting == pytest.approx(5000, abs=350)
    n_late = sum(sample > 0.1 for sample in found.timing.samples_s) + n_waiting
    assert found.load.over_fraction == n_late / (n_answered + n_waiting)


def test_a_queue_that_is_served_to_its_end_leaves_nobody_waiting(clock):
    found = served(clock, qps=200, rule=StoppingRule(min_samples=400, max_duration_s=1e4))
    assert found.load.n_unanswered == 0


@pytest.mark.parametrize("number", [5, 40])
def test_an_interruption_keeps_the_answered_requests(clock, number):
    def call(i):
        clock.spend(0.01)
        if i == number:
            raise KeyboardInterrupt

    found = served(clock, qps=1.0, call=call)
    assert len(found.timing.samples_s) == number - 2
    assert not found.timing.complete


@pytest.mark.parametrize("number", [0, 1, 2], ids=["first", "warm-up", "first request"])
def test_an_interruption_before_the_first_answer_is_passed_on(clock, number):
    def call(i):
        if i == number:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        served(clock, qps=1.0, call=call)


@pytest.mark.parametrize(
    ("qps", "bound_s"), [(0.0, 1.0), (-3.0, 1.0), (float("nan"), 1.0), (5.0, 0.0), (5.0, -1.0)]
)
def test_a_rate_or_a_bound_that_is_not_above_zero_is_refused(clock, qps, bound_s):
    with pytest.raises(ConfigError, match="above 0"):
        served(clock, qps=qps, bound_s=bound_s)


def capacity_server(clock, asked, service_s=0.01):
    def serve_at(qps):
        asked.append(qps)
        return served(clock, qps=qps, service_s=service_s, bound_s=0.1, rule=PLAN)

    return serve_at


@pytest.mark.parametrize("tolerance", [0.2, 0.03])
def test_the_highest_rate_lies_within_the_tolerance(clock, tolerance):
    """The rate above it was seen to fail, and is no further than the tolerance says."""
    found = find_highest_rate(capacity_server(clock, []), ceiling_qps=100, tolerance=tolerance)
    assert found.load.is_peak
    assert found.load.over_high <= found.load.allowed_fraction
    too_fast = min(qps for qps, _, is_valid in found.load.probes if not is_valid)
    assert 0 < too_fast - found.load.qps <= tolerance * 100


@pytest.mark.parametrize("service_s", [0.01, 0.002])
def test_the_highest_rate_is_the_capacity_of_a_server_that_queues(clock, service_s):
    """Ten (or fifty) service times of bound: between half and all of the capacity, M/D/1 says.

    At 10 service times of bound an M/D/1 queue has less than 0.01 % over it at half the load, and
    more than 5 % at 0.9 of it and up; with 50 the knee lies higher still.
    """
    capacity = 1 / service_s
    found = find_highest_rate(capacity_server(clock, [], service_s), ceiling_qps=capacity)
    assert 0.5 * capacity <= found.load.qps < capacity


def test_the_highest_rate_of_a_server_with_a_sharp_limit_is_that_limit():
    """Late above 42 requests a second, in time up to it."""
    asked = []

    def serve_at(qps):
        asked.append(qps)
        return fake_served(qps, over_high=0.5 if qps > 42 else 0.0)

    found = find_highest_rate(serve_at, ceiling_qps=100, tolerance=0.01)
    assert 41 <= found.load.qps <= 42
    assert [qps for qps, _, _ in found.load.probes] == asked
    assert asked[:3] == [50, 25, 37.5]
    assert [is_valid for *_, is_valid in found.load.probes] == [qps <= 42 for qps in asked]


def fake_served(qps, *, over_high, complete=True):
    timing = Timing(
        first_s=0.1, warmup_s=(), samples_s=(0.1,), cpu_s=0.1, wall_s=0.1, complete=complete
    )
    load = ServerLoad(
        qps=qps,
        latency_bound_s=0.1,
        over_fraction=over_high / 2,
        over_high=over_high,
        allowed_fraction=0.01,
    )
    return Served(timing, load)


def test_the_bound_is_on_the_interval_not_on_the_share():
    """A share of 0.5 % that may as well be 1.1 % is not known to be in time."""
    found = find_highest_rate(lambda qps: fake_served(qps, over_high=0.011), ceiling_qps=100)
    assert not found.load.is_peak


def test_where_no_rate_is_in_time_none_is_found():
    """The lowest rate tried is returned, and says that it was not served in time."""
    found = find_highest_rate(
        lambda qps: fake_served(qps, over_high=1.0), ceiling_qps=64, tolerance=0.1
    )
    assert not found.load.is_peak
    assert found.load.qps == 4  # 64 halved until 6.4 of interval or less is left
    assert len(found.load.probes) == 4


@pytest.mark.parametrize("over_high", [0.0, 1.0], ids=["in time", "late"])
def test_an_interruption_ends_the_search_and_is_marked(over_high):
    """Whichever probe is returned: that it ran to its end does not make the search complete."""
    asked = []

    def serve_at(qps):
        asked.append(qps)
        is_second = len(asked) == 2
        return fake_served(qps, over_high=over_high if is_second else 0.0, complete=not is_second)

    found = find_highest_rate(serve_at, ceiling_qps=100)
    assert asked == [50, 75]
    assert not found.timing.complete
    assert found.load.qps == (75 if over_high == 0 else 50)


@pytest.mark.parametrize(
    ("ceiling_qps", "tolerance"),
    [(0.0, 0.1), (-1.0, 0.1), (float("inf"), 0.1), (100.0, 0.0), (100.0, 1.0), (100.0, -0.1)],
)
def test_a_search_without_end_or_beginning_is_refused(ceiling_qps, tolerance):
    with pytest.raises(ConfigError, match="above 0 and finite, and tolerance between 0 and 1"):
        find_highest_rate(
            lambda qps: fake_served(qps, over_high=0), ceiling_qps=ceiling_qps, tolerance=tolerance
        )


@pytest.mark.parametrize("scale", [0.01, 1e4])
def test_slow_and_fast_models_are_searched_alike(scale):
    """A model of minutes serves less than one request a second."""
    found = find_highest_rate(
        lambda qps: fake_served(qps, over_high=0.5 if qps > 42 * scale else 0.0),
        ceiling_qps=100 * scale,
        tolerance=0.01,
    )
    assert 41 * scale <= found.load.qps <= 42 * scale
