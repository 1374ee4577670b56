"""The records of a timing: samples, what they cost, and whether to believe them.

Times are seconds. A ratio of times is (this) / (reference): above 1 is slower.
"""

import statistics
from dataclasses import dataclass, field
from typing import Literal

from tlbench.records.common import Interval, Placement

# What the clock sees: arrays of the host in and out, or buffers that stay on the device.
Boundary = Literal["numpy->numpy", "device->device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A percentile of latency samples, or the reason why there is none.

    ``value_s`` is None where *n_samples* is below *n_needed*: a percentile is never extrapolated.
    """

    fraction: float
    value_s: float | None
    n_needed: int
    n_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One reason to believe a timing, or not to.

    Attributes
    ----------
    name : str
        What was looked at: ``"trend"``, ``"other load"``, ...
    outcome : {"pass", "note", "fail", "unknown"}
        ``"fail"`` makes the timing INVALID; ``"note"`` is worth a warning; ``"unknown"`` means that
        this machine does not tell.
    value, limit : float or None
        The figure that was judged and its bound, in the unit that *text* names.
    text : str
        What was found and, unless it passed, what to do.
    """

    name: str
    outcome: Literal["pass", "note", "fail", "unknown"]
    value: float | None = None
    limit: float | None = None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLoad:
    """Requests that arrive at random, one image each, served in turn by one session.

    A sample of such a timing is completion minus arrival: the wait in the queue counts.

    Attributes
    ----------
    qps : float
        Mean rate of the Poisson arrivals, images per second.
    latency_bound_s : float
        A request that takes longer is over the bound.
    over_fraction, over_high : float
        Share of requests over the bound, and the high end of its 95 % Wilson interval.
    allowed_fraction : float
        A rate is valid when ``over_high`` is at most this.
    is_peak : bool
        The rate was searched for, and is the highest valid one that was found.
    probes : tuple of (float, float, bool)
        The search: rate, share over the bound, valid.
    n_unanswered : int
        Requests that still waited when a queue was given up, counted as over the bound.
    """

    qps: float
    latency_bound_s: float
    over_fraction: float
    over_high: float
    allowed_fraction: float
    is_peak: bool = False
    probes: tuple[tuple[float, float, bool], ...] = ()
    n_unanswered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshProcess:
    """What fresh processes saw, one entry a process: nothing was warm but the file cache.

    ``import_s`` is the time to import ONNX Runtime; ``peak_rss_bytes`` the process's largest
    resident memory and ``before_rss_bytes`` the same before the model was loaded. ``device_bytes``
    is the memory of the GPU after it less that before, and ``device_note`` says why there is none.
    """

    import_s: tuple[float, ...]
    create_s: tuple[float, ...]
    first_s: tuple[float, ...]
    second_s: tuple[float, ...]
    before_rss_bytes: tuple[int, ...]
    peak_rss_bytes: tuple[int, ...]
    device_bytes: tuple[int, ...] = ()
    device_note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyResult:
    """Latency of one model in one scenario; every sample is one call of *batch_size* images."""

    scenario: str
    provider: str
    precision: str
    batch_size: int
    boundary: Boundary
    create_s: float  # session creation, once
    first_s: float  # the first call after creation
    warmup_s: tuple[float, ...]  # kept for inspection, never counted
    samples_s: tuple[float, ...]  # raw, in the order measured: every statistic derives from these
    percentiles: tuple[Percentile, ...]
    input_shape: tuple[int, ...]  # of one input as given to the graph: (H, W, 3) for raw images
    cpu_s_per_image: float
    threads: int
    label: str | None = None  # the candidate, where several are compared
    settings: dict[str, str] = field(default_factory=dict)  # in force: provider options, spinning
    block_sizes: tuple[int, ...] = ()  # samples of each block, where models_under_test took turns
    median_interval: Interval | None = None
    complete: bool = True  # False: interrupted, the samples are those taken until then
    pause_s: float | None = None  # between the calls of "paced"
    server: ServerLoad | None = None
    fresh: FreshProcess | None = None
    idle_cpu_s: float | None = None  # processor time in the second after the last call
    placement: Placement | None = None
    peak_rss_bytes: int | None = None  # of a fresh process that did nothing else
    device_bytes: int | None = None  # memory on the device, of a fresh process
    device_note: str | None = None  # on a GPU, why there are no device_bytes
    gpu: str | None = None  # PCI bus id of the GPU that ran it; None elsewhere, or if untold
    energy_j_per_image: float | None = None
    energy_note: str | None = None  # what the energy counts, or why there is none
    verdict: Literal["VALID", "INVALID"] | None = None  # None: not judged
    reasons: tuple[str, ...] = ()  # texts of the checks that failed
    checks: tuple[Check, ...] = ()

    @property
    def median_s(self) -> float:
        """Median seconds of a call."""
        return statistics.median(self.samples_s)

    @property
    def images_per_s(self) -> float:
        """Throughput: all images over all seconds of the calls, as MLPerf counts its Offline."""
        return self.batch_size * len(self.samples_s) / sum(self.samples_s)

    @property
    def what(self) -> tuple[str, int, str]:
        """Scenario, batch size and boundary: times are alike only where these are."""
        return self.scenario, self.batch_size, self.boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRatio:
    """Time of one candidate over that of the reference, measured in alternating blocks.

    ``unlike`` names what differs besides: provider, precision, threads, model.
    """

    label: str
    reference: str
    scenario: str
    batch_size: int
    boundary: Boundary
    ratio: float
    interval: Interval | None  # None: too few blocks
    n_blocks: int
    unlike: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """From image to label, one image at a time: medians of the parts, seconds.

    Parts that do not exist on this path are absent. ``end_to_end_s`` was timed as a whole, in turn
    with the parts; ``sum_s`` is what the parts add up to.
    """

    parts: dict[str, float]
    end_to_end_s: float
    n_images: int
    head: str

    @property
    def sum_s(self) -> float:
        """Sum of the parts."""
        return sum(self.parts.values())
