"""Records of a timing: samples, resources used, and whether to trust them."""

import statistics
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from tlbench.core.units import format_seconds
from tlbench.records.accuracy import Interval

# What is timed: arrays on the host in and out, or buffers that stay on the device.
Boundary = Literal["numpy->numpy", "device->device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How many graph nodes each provider runs, after ONNX Runtime's optimisations."""

    nodes: dict[str, int]
    # types of the operators on every provider except the requested one
    operators: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A percentile of latency samples; it is never extrapolated."""

    fraction: float
    value_s: float | None  # None: fewer samples than needed
    n_needed: int
    n_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of the conditions of a timing."""

    name: str  # "trend", "other load", ...
    # "fail" makes the timing INVALID, "note" warns, "unknown": this machine does not tell
    outcome: Literal["pass", "note", "fail", "unknown"]
    value: float | None = None  # what was judged, in the unit that the text names
    limit: float | None = None
    text: str  # what was found and, unless it passed, what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLoad:
    """Requests of one image each at random times; a sample is completion minus arrival."""

    qps: float  # mean rate of the Poisson arrivals, images per second
    latency_bound_s: float
    over_fraction: float  # share of the requests that took longer than the bound
    over_high: float  # upper end of its 95 % Wilson interval
    allowed_fraction: float  # a rate is valid if over_high is at most this
    is_peak: bool = False  # the rate is the highest valid one that a search found
    probes: tuple[tuple[float, float, bool], ...] = ()  # the search: rate, share over, valid
    n_unanswered: int = 0  # requests still queued when it was given up; they count as over


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshProcess:
    """Measurements of fresh processes, one entry per process; only the file cache was warm."""

    # to import numpy and ONNX Runtime in an interpreter that has just started
    import_s: tuple[float, ...]
    create_s: tuple[float, ...]
    first_s: tuple[float, ...]
    second_s: tuple[float, ...]
    before_rss_bytes: tuple[int, ...]  # peak resident memory before the model was loaded
    peak_rss_bytes: tuple[int, ...]
    device_bytes: tuple[int, ...] = ()  # GPU memory in use, after minus before
    device_note: str | None = None  # why there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyResult:
    """Latency of one model in one scenario; every sample is one call of *batch_size* images.

    Attributes
    ----------
    create_s, first_s : seconds to create the session, and for the first call after that
    warmup_s, samples_s : raw seconds per call, as measured; only *samples_s* enters statistics
    input_shape : of one input as given to the graph: (H, W, 3) for raw images
    cpu_s_per_image : seconds of processor time per image
    label : the model under test, where several are interleaved
    block_sizes : samples in each block, where models are interleaved
    settings : in force during the timing: provider options, thread spinning
    complete : False if interrupted, with the samples taken until then
    pause_s : seconds between the calls of the scenario ``paced``
    idle_cpu_s : seconds of processor time in the second after the last call
    peak_rss_bytes, device_bytes : memory on host and GPU, of a fresh process that did nothing else
    device_note : why there are no *device_bytes* on a GPU
    gpu : PCI bus id of the GPU that ran the model; None on other providers, or if unknown
    energy_note : what *energy_j_per_image* (joules) counts, or why there is none
    verdict : None if the timing was not judged; *reasons* holds the texts of failed *checks*
    """

    scenario: str
    provider: str
    precision: str
    batch_size: int
    boundary: Boundary
    create_s: float
    first_s: float
    warmup_s: tuple[float, ...]
    samples_s: tuple[float, ...]
    percentiles: tuple[Percentile, ...]
    input_shape: tuple[int, ...]
    cpu_s_per_image: float
    threads: int
    label: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    block_sizes: tuple[int, ...] = ()
    median_interval: Interval | None = None
    complete: bool = True
    pause_s: float | None = None
    server: ServerLoad | None = None
    fresh: FreshProcess | None = None
    idle_cpu_s: float | None = None
    placement: Placement | None = None
    peak_rss_bytes: int | None = None
    device_bytes: int | None = None
    device_note: str | None = None
    gpu: str | None = None
    energy_j_per_image: float | None = None
    energy_note: str | None = None
    verdict: Literal["VALID", "INVALID"] | None = None
    reasons: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    def __repr__(self) -> str:
        return (
            f"LatencyResult({self.scenario}, batch {self.batch_size}, {self.provider}: median "
            f"{format_seconds(self.median_s)}, n = {len(self.samples_s):,}, {self.verdict})"
        )

    @property
    def median_s(self) -> float:
        """Median seconds of a call."""
        return statistics.median(self.samples_s)

    @property
    def images_per_s(self) -> float:
        """Throughput: all images over all seconds of the calls, as in MLPerf's Offline scenario."""
        return self.batch_size * len(self.samples_s) / sum(self.samples_s)

    @property
    def blocks_s(self) -> list[tuple[float, ...]]:
        """The samples of each block; none where no other model took turns with this one."""
        samples = iter(self.samples_s)
        return [tuple(islice(samples, size)) for size in self.block_sizes]

    @property
    def what(self) -> tuple[str, int, str]:
        """Scenario, batch size and boundary: only times that share them are comparable."""
        return self.scenario, self.batch_size, self.boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRatio:
    """Time of a candidate over that of the reference, from an interleaved comparison."""

    label: str
    reference: str
    scenario: str
    batch_size: int
    boundary: Boundary
    ratio: float  # above 1 is slower
    interval: Interval | None  # None: too few blocks
    n_blocks: int
    unlike: tuple[str, ...] = ()  # what else differs: provider, precision, threads, model


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Median seconds of the steps from image to label, one image at a time."""

    parts: dict[str, float]  # only the steps that this path has
    end_to_end_s: float  # timed as a whole, in turn with the steps
    n_images: int
    head: str
    # Within ``backbone``: the crop, the resize and the scaling, as a graph of their own. None if
    # the file does not say where they end.
    preprocess_s: float | None = None

    @property
    def sum_s(self) -> float:
        """Sum of the steps."""
        return sum(self.parts.values())
