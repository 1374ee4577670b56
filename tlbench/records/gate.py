"""The record of a gate's verdict: every rule that was judged, and what could not have been found.

Fractions and seconds, as everywhere. A ratio of times is (run) / (baseline): above 1 is slower.
"""

from dataclasses import dataclass
from typing import Any, Literal

from tlbench.records.accuracy import PairedDifference
from tlbench.records.baseline import BaselineModel
from tlbench.records.common import Interval
from tlbench.records.schema import document_schema

# History of the schema of a verdict. 1: the first.
VERDICT_VERSION = 1

# "skip": not judged, and the policy lets that pass.
Outcome = Literal["pass", "fail", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCheck:
    """One rule, applied to one subject.

    Attributes
    ----------
    rule : str
        ``"same data"``, ``"present"``, ``"no significant drop"``, ``"largest drop"``,
        ``"fine enough"``, ``"floor"``, ``"latency"``, ``"smallest cosine"``.
    subject : str
        What it was applied to: an entry such as ``backbone.softmax``, a timing, a drift.
    text : str
        What was found, against which bound.
    """

    rule: str
    subject: str
    outcome: Outcome
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What the test of one entry could have found.

    Attributes
    ----------
    disagreement_fraction : float
        MachineSamples share of images that one of the two has right and the other wrong.
    smallest_drop_fraction : float or None
        Smallest true drop that is found with this power; None: none at all.
    finer_drop_fraction, finer_n_images : float and int, or None
        A finer drop, and about how many images find it with the same power at the same
        disagreement; None where the policy holds anything finer to be negligible.
    """

    n_images: int
    disagreement_fraction: float
    power_fraction: float
    smallest_drop_fraction: float | None
    finer_drop_fraction: float | None
    finer_n_images: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedAccuracy:
    """One entry of the baseline beside the same of the run.

    ``p_value`` and ``alpha`` are those of the policy's test; None where it makes none.
    """

    entry: str
    baseline_fraction: float
    run_fraction: float
    paired: PairedDifference
    n_differing: int
    p_value: float | None
    alpha: float | None
    sensitivity: Sensitivity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedTiming:
    """One timing of the baseline beside the same of the run; medians of a call."""

    name: str
    baseline_s: float
    run_s: float
    ratio: float
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """Whether a run may pass."""

    schema_version: int = VERDICT_VERSION
    tlbench_version: str  # that judged
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


def verdict_schema() -> dict[str, Any]:
    """Return the JSON Schema of a verdict, as published in the documentation."""
    return document_schema(GateVerdict, VERDICT_VERSION)
