"""The records of a sweep, whose cells are saved runs, and of a pick among these cells."""
# Times are seconds for one image, accuracies fractions in [0, 1], energies joules, sizes bytes.

from dataclasses import dataclass, field
from typing import Any, Literal

from tlbench.core.units import format_percent, format_seconds
from tlbench.machine import Environment
from tlbench.records.accuracy import Interval, PairedDifference

# History of the schema of sweep.json. 1: the first.
SWEEP_VERSION = 1
# History of the schema of failed.json, beside which no run.json is. 1: the first.
FAILURE_VERSION = 1
# History of the schema of a pick. 1: the first.
PICK_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSettings:
    """What tells one cell of a sweep from the others; None leaves the choice to the backbone."""

    backbone: str
    input_size: int | None = None  # pixels
    fit: str | None = None
    precision: str
    head: str
    provider: str
    batch_size: int  # images per timed call


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFailure:
    """A cell that could not be measured: ``failed.json`` in its folder."""

    schema_version: int = FAILURE_VERSION
    id: str
    settings: CellSettings
    failed_at: str  # ISO 8601, UTC
    phase: Literal["accuracy", "latency"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFigures:
    """The figures of a measured cell, all of them derived from its ``run.json``.

    Attributes
    ----------
    input_size : height and width of the network's input in pixels; None without a card
    accuracy_interval : Wilson, 95 %
    image_s : median time of a call, divided by its images
    image_interval : 95 %, over the medians of *n_rounds* rounds; None for too few rounds
    n_samples : timed calls
    size_bytes : of the ONNX file
    memory_bytes, device_bytes : peak on the host, and on a GPU, of a process that did nothing else
    energy_j_per_image : None where it was not counted; *energy_note* says why, or what was counted
    verdict, reasons : whether the timing's conditions were good, and why not
    on_front : whether no other cell has both a higher accuracy and a lower time
    """

    input_size: int | None
    n_test: int
    n_correct: int
    accuracy_fraction: float
    accuracy_interval: Interval
    n_rounds: int
    n_samples: int
    image_s: float
    image_interval: Interval | None
    size_bytes: int
    memory_bytes: int | None
    device_bytes: int | None
    energy_j_per_image: float | None
    energy_note: str | None
    licence: str | None
    verdict: Literal["VALID", "INVALID"] | None
    reasons: tuple[str, ...] = ()
    on_front: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepCell:
    """One cell of a sweep; its folder is ``cells/<id>``."""

    id: str  # a digest of all that the cell's figures depend on besides machine and software
    name: str  # what tells it from the other cells, for people
    settings: CellSettings
    state: Literal["pending", "measured", "failed"] = "pending"
    reason: str | None = None  # why it failed
    figures: CellFigures | None = None

    def __repr__(self) -> str:
        if self.figures is None:
            return f"SweepCell({self.id}, {self.name}: {self.reason or self.state})"
        accuracy, image = self.figures.accuracy_fraction, self.figures.image_s
        figures = f"{format_percent(accuracy)}, {format_seconds(image)} per image"
        return f"SweepCell({self.id}, {self.name}: {figures})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelBaseline:
    """The accuracy of a head on features without a network, to compare the cells with."""

    features: str
    head: str
    n_test: int
    n_correct: int
    accuracy_fraction: float
    accuracy_interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDifference:
    """One cell held against a reference cell, image by image and round by round."""

    cell: str
    reference: str
    paired: PairedDifference | None  # None: not predictions of the same images
    ratio: float  # time per image over that of the reference
    ratio_interval: Interval | None  # None: too few rounds
    n_rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A grid of cells: the content of ``sweep.json``.

    Attributes
    ----------
    id : digest of the settings
    settings : the grid, and what all cells share
    environment : machine and software that the whole sweep was measured on
    starts : how often the rounds were started; more than once after an interruption
    against : the cell that the others are compared with, and *differences* from it
    recommended : the fastest cell that is clearly faster than *against* and, image by image, not
        clearly less accurate; None if there is none
    complete : whether every cell is measured or failed
    """

    schema_version: int = SWEEP_VERSION
    id: str
    created_at: str
    tlbench_version: str
    command: str
    settings: dict[str, Any]
    environment: Environment
    dataset: str
    fingerprint: str
    n_train: int
    n_test: int
    cells: tuple[SweepCell, ...]
    baselines: tuple[PixelBaseline, ...] = ()
    against: str | None = None
    differences: tuple[CellDifference, ...] = ()
    recommended: str | None = None
    starts: int = 0
    complete: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What a cell must keep to; None for no limit."""

    max_latency_s: float | None = None  # per image
    min_accuracy_fraction: float | None = None
    max_size_bytes: float | None = None
    max_memory_bytes: float | None = None
    licences: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetMiss:
    """A budget that a cell does not keep to, or not certainly."""

    budget: Literal["latency", "accuracy", "size", "memory", "licence"]
    excess_fraction: float | None  # beyond the limit, as a fraction of it; None if not a number
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCell:
    """A measured cell held against the budgets, by intervals that hold for all cells at once."""

    cell: SweepCell
    image_interval: Interval | None  # None: no budget needs it, or too few rounds
    accuracy_interval: Interval | None
    misses: tuple[BudgetMiss, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the cell keeps to every budget."""
        return not self.misses


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """The cell of a sweep that is best by an objective, among those that keep to the budgets.

    Attributes
    ----------
    folder : of the sweep
    confidence_fraction : with which all intervals that the budgets are held against hold at once
    picked : id of the cell; None if no cell passes
    best : id of the cell with the best figure, from which *picked* may be indistinguishable
    ties : passing cells that the paired test cannot tell from the best one, *best* left out
    nearest : id of the cell that misses by least; None if a cell passes
    """

    schema_version: int = PICK_VERSION
    tlbench_version: str
    folder: str
    sweep: str
    objective: Literal["accuracy", "latency", "size"]
    budgets: Budgets
    confidence_fraction: float
    cells: tuple[JudgedCell, ...]
    picked: str | None
    best: str | None
    ties: tuple[CellDifference, ...] = ()
    nearest: str | None = None
    commands: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
