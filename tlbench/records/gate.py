"""The record of a gate's verdict: every rule applied, and the smallest drop it could detect."""

from dataclasses import dataclass
from typing import Any, Literal

from tlbench.records.accuracy import Interval, PairedDifference
from tlbench.records.baseline import BaselineModel

# History of the schema of a verdict. 1: the first.
VERDICT_VERSION = 1

# "skip": not judged, and the policy lets that pass.
Outcome = Literal["pass", "fail", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCheck:
    """One rule, applied to one subject."""

    # "same data", "present", "no significant drop", "largest drop", "fine enough", "floor",
    # "latency" or "smallest cosine"
    rule: str
    subject: str  # an entry such as backbone.softmax, a timing, a drift
    outcome: Outcome
    text: str  # what was found, against which bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """How small a true drop the test of one entry could have detected."""

    n_images: int
    disagreement_fraction: float  # observed share of images that exactly one of the two has right
    power_fraction: float
    smallest_drop_fraction: float | None  # detected with this power; None: no drop at all
    # A smaller drop, and about how many images would detect it with the same power at the same
    # disagreement; None where the policy counts anything smaller as negligible.
    finer_drop_fraction: float | None
    finer_n_images: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedAccuracy:
    """One entry of the baseline and the same entry of the run."""

    entry: str
    baseline_fraction: float
    run_fraction: float
    paired: PairedDifference
    n_differing: int
    p_value: float | None  # of the policy's test; None: it makes none
    alpha: float | None
    sensitivity: Sensitivity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedTiming:
    """One timing of the baseline and the same timing of the run; medians of a call."""

    name: str
    baseline_s: float
    run_s: float
    ratio: float  # above 1 the run is slower
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """Whether a run may pass."""

    schema_version: int = VERDICT_VERSION
    tlbench_version: str  # that judged the run
    passed: bool
    run: str
    model: BaselineModel
    baseline_file: str
    baseline_run: str
    baseline_model: BaselineModel
    policy_source: str
    policy: dict[str, Any]
    checks: tuple[GateCheck, ...]
    accuracy: tuple[GatedAccuracy, ...] = ()
    timings: tuple[GatedTiming, ...] = ()
    warnings: tuple[str, ...] = ()
