"""Requests that arrive at random, and the highest rate that can be served in time."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tlbench.core.errors import ConfigError
from tlbench.latency.timing import Clock, Sampler, StoppingRule, SystemClock, Timing
from tlbench.records import ServerLoad
from tlbench.stats import wilson_interval


@dataclass(frozen=True, slots=True)
class Served:
    """Seconds from arrival to completion of every request, and what they mean for the rate."""

    timing: Timing
    load: ServerLoad


def serve(
    call: Callable[[int], object],
    *,
    qps: float,
    latency_bound_s: float,
    rule: StoppingRule | None = None,
    allowed_fraction: float = 0.01,
    seed: int = 0,
    clock: Clock | None = None,
) -> Served:
    """Serve Poisson arrivals one after the other, one call per request.

    As in MLPerf's Server scenario, the schedule is drawn beforehand, a request waits while another
    is being served, and the wait counts.

    Parameters
    ----------
    call, rule, clock
        As for `measure`. The rule's maximum is when the last request may arrive. A queue that has
        grown by then is served to its end, or for another maximum; then the waiting count as late.
    qps, latency_bound_s : float
        Mean arrivals per second, and the longest time from arrival to completion that is in time.
    allowed_fraction, seed : float, int
        Fraction of requests that may be late (0.01 bounds the 99th percentile); seed of arrivals.

    Returns
    -------
    Served
        The timing and the load. Ctrl-C keeps the served requests, marked as incomplete.
    """
    if not qps > 0 or not latency_bound_s > 0:
        msg = f"qps and latency_bound_s must be above 0, got {qps} and {latency_bound_s}."
        raise ConfigError(msg)
    rule, clock = rule or StoppingRule(), clock or SystemClock()
    generator = random.Random(seed)  # noqa: S311 - no secret
    sampler = Sampler(call, clock)
    first_s = sampler.sample()
    warmup_s = sampler.warm_up(rule)
    samples: list[float] = []
    complete = True
    began, cpu_began = clock.now_s(), clock.cpu_s()
    arrival = began + generator.expovariate(qps)
    try:
        while not samples or (
            not rule.is_done(len(samples), arrival - began)
            and clock.now_s() - began < 2 * rule.max_duration_s
        ):
            if (wait := arrival - clock.now_s()) > 0:
                clock.sleep_s(wait)
            sampler.sample()
            samples.append(clock.now_s() - arrival)
            arrival += generator.expovariate(qps)
    except KeyboardInterrupt:
        if not samples:
            raise
        complete = False
    n_waiting, ended, cpu_ended = 0, clock.now_s(), clock.cpu_s()
    while complete and not rule.is_done(len(samples) + n_waiting, arrival - began):
        n_waiting += 1  # would have arrived in time for the schedule, and was never served
        arrival += generator.expovariate(qps)
    n_requests = len(samples) + n_waiting
    n_over = sum(sample > latency_bound_s for sample in samples) + n_waiting
    return Served(
        Timing(
            first_s=first_s,
            warmup_s=warmup_s,
            samples_s=tuple(samples),
            cpu_s=cpu_ended - cpu_began,
            wall_s=ended - began,
            complete=complete,
        ),
        ServerLoad(
            qps=qps,
            latency_bound_s=latency_bound_s,
            over_fraction=n_over / n_requests,
            over_high=wilson_interval(n_over, n_requests)[1],
            allowed_fraction=allowed_fraction,
            n_unanswered=n_waiting,
        ),
    )


def find_highest_rate(
    serve_at: Callable[[float], Served], *, ceiling_qps: float, tolerance: float = 0.03
) -> Served:
    """Return the highest rate served in time, by bisection to *tolerance* times *ceiling_qps*.

    If none was, it is the lowest one tried and ``load.is_peak`` is False. Ctrl-C ends the search.
    """
    if not 0 < ceiling_qps < math.inf or not 0 < tolerance < 1:
        raise ConfigError(
            "ceiling_qps must be above 0 and finite, and tolerance between 0 and 1, "
            f"got {ceiling_qps} and {tolerance}."
        )
    low, high, complete = 0.0, ceiling_qps, True
    best: Served | None = None
    lowest: Served | None = None
    probes: list[tuple[float, float, bool]] = []
    while high - low > tolerance * ceiling_qps:
        served = serve_at((low + high) / 2)
        load = served.load
        is_valid = load.over_high <= load.allowed_fraction
        probes.append((load.qps, load.over_fraction, is_valid))
        if is_valid:
            best, low = served, load.qps
        else:
            lowest, high = served, load.qps
        if not (complete := served.timing.complete):
            break
    found = best or lowest
    assert found is not None
    return Served(
        # The probe returned may have run to its end although the search did not.
        replace(found.timing, complete=complete),
        replace(found.load, is_peak=best is not None, probes=tuple(probes)),
    )
