"""Small records that accuracy and latency share."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float
    confidence_fraction: float = 0.95
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How many graph nodes each execution provider runs, after ONNX Runtime's optimisations.

    ``operators`` names the operator types on every provider but the requested one.
    """

    nodes: dict[str, int]
    operators: dict[str, tuple[str, ...]] = field(default_factory=dict)
