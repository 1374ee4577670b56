"""The settings of a run, checked before any work begins."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tlbench.core.errors import ConfigError
from tlbench.core.registry import unknown_name
from tlbench.datasets import Columns, Dataset
from tlbench.engine import provider_name
from tlbench.features import FeatureBaseline
from tlbench.heads import Head
from tlbench.model import ExportOptions, OnnxModel

DEFAULT_BACKBONE = "efficientnet-lite0"
DEFAULT_DATASET = "digits"
DEFAULT_HEADS = ("softmax", "svm-linear")
SCENARIOS = ("single", "offline", "server", "cold", "paced")
BOUNDARIES = ("numpy->numpy", "device->device")


def default_cache_dir() -> Path:
    """Return ``TLBENCH_CACHE``, or else the operating system's cache folder for this user."""
    if chosen := os.environ.get("TLBENCH_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("tlbench", appauthor=False))


def default_data_dir() -> Path | None:
    """Return ``TLBENCH_DATA``, or None where it is not set."""
    chosen = os.environ.get("TLBENCH_DATA")
    return Path(chosen).expanduser() if chosen else None


def _check_at_least(least: int, **values: int | None) -> None:
    for name, value in values.items():
        if value is not None and value < least:
            raise ConfigError(f"{name} must be at least {least}, got {value}.")


def _check_names(kind: str, parameter: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    if not names or len(set(names)) < len(names):
        msg = f"{parameter} takes one or more different names, got {','.join(names) or 'none'}."
        raise ConfigError(msg)
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, list(known))


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingConfig:
    """How latency is measured. Times are in seconds.

    Attributes
    ----------
    scenarios : tuple of str
        Of `SCENARIOS`: one image after another (single), batches (offline), random arrivals
        (server), fresh processes (cold), or a pause before each call (paced).
    batch_sizes : tuple of int
        Batch sizes of the scenario ``offline``; empty for the run's own batch size.
    boundaries : tuple of str
        Of `BOUNDARIES`: whether a timed call starts and ends with numpy arrays, or with buffers
        that stay on the device.
    candidates : tuple of str
        Further models, interleaved with the run's own: ``MODEL`` or
        ``MODEL@threads=1,provider=cuda``.
    min_samples, min_duration_s, max_duration_s : int, float
        A timing lasts until both minima are reached, or until its maximum.
    rounds : int
        Least number of rounds when several models are interleaved.
    qps, latency_bound_s, find_highest_rate : float or None, float, bool
        Scenario ``server``: the mean number of arrivals per second (None only with
        *find_highest_rate*), the time within which a request must be answered, and whether to
        search for the highest rate at which 99 of 100 requests are.
    pause_s : float
        Pause before each call of the scenario ``paced``.
    processes : int
        Number of fresh processes of the scenario ``cold``.
    spin : bool
        Whether ONNX Runtime's threads wait in a busy loop.
    costs : bool
        Whether to measure memory in a fresh process, and processor time after the last call.
    extend_until_steady : bool
        Whether to extend a timing while the machine is unsteady, and to wait for the second after
        the last call. False for a run that measures accuracy as well.
    """

    scenarios: tuple[str, ...] = ("single", "offline")
    batch_sizes: tuple[int, ...] = ()
    boundaries: tuple[str, ...] = ("numpy->numpy",)
    candidates: tuple[str, ...] = ()
    min_samples: int = 130
    min_duration_s: float = 3.0
    max_duration_s: float = 60.0
    rounds: int = 20
    qps: float | None = None
    latency_bound_s: float = 0.1
    find_highest_rate: bool = False
    pause_s: float = 0.1
    processes: int = 11
    spin: bool = True
    costs: bool = True
    extend_until_steady: bool = True

    def __post_init__(self) -> None:
        _check_names("scenario", "scenarios", self.scenarios, SCENARIOS)
        _check_names("boundary", "boundaries", self.boundaries, BOUNDARIES)
        _check_at_least(
            1,
            min_samples=self.min_samples,
            rounds=self.rounds,
            processes=self.processes,
            batch_size=min(self.batch_sizes, default=None),
        )
        for name in ("pause_s", "latency_bound_s", "max_duration_s", "qps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be greater than 0, got {value}.")
        if not 0 <= self.min_duration_s <= self.max_duration_s:
            msg = (
                f"min_duration_s must be between 0 and max_duration_s, which is "
                f"{self.max_duration_s}; got {self.min_duration_s}."
            )
            raise ConfigError(msg)
        if "server" in self.scenarios and self.qps is None and not self.find_highest_rate:
            msg = (
                "The scenario server needs a rate: pass qps=..., or find_highest_rate=True to "
                "search for it."
            )
            raise ConfigError(msg)
        at_host = sorted({"cold", "server"} & set(self.scenarios))
        if at_host and "numpy->numpy" not in self.boundaries:
            msg = (
                f"boundaries must include numpy->numpy to measure {' and '.join(at_host)}: a "
                f"request arrives at the host. Got {','.join(self.boundaries)}. Add numpy->numpy, "
                "or leave the scenario out."
            )
            raise ConfigError(msg)
        if self.candidates and (alone := sorted(set(self.scenarios) & {"server", "cold"})):
            msg = (
                "Several models can be compared in the scenarios single, offline and paced only, "
                f"not in {' and '.join(alone)}. Measure one model, or leave the scenario out."
            )
            raise ConfigError(msg)


# For a run that measures accuracy as well: enough samples for a p90.
QUICK_TIMING = TimingConfig(
    min_samples=64, min_duration_s=1.0, max_duration_s=10.0, extend_until_steady=False
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolConfig:
    """What is measured of each head in addition to its accuracy on the test split.

    Attributes
    ----------
    folds : int or None
        Folds of a stratified cross-validation over train and test images together; None for none.
    curve : tuple of int
        Points of a learning curve, in training images per class; empty for none.
    curve_seeds : int
        Random subsets at each point of the learning curve.
    search : bool
        Whether a parameter of each head is chosen on validation images, held out of the train
        split, before the head sees the test split. Each fold and each point of a curve makes its
        own search, on its own training images.
    """

    folds: int | None = None
    curve: tuple[int, ...] = ()
    curve_seeds: int = 5
    search: bool = False

    def __post_init__(self) -> None:
        _check_at_least(2, folds=self.folds)
        if any(size < 1 for size in self.curve) or len(set(self.curve)) < len(self.curve):
            msg = (
                "curve takes different numbers of images per class, each at least 1, got "
                f"{','.join(map(str, self.curve))}. Example: 1,5,10,50."
            )
            raise ConfigError(msg)
        _check_at_least(1, curve_seeds=self.curve_seeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenObjects:
    """What was passed from Python as an object, by the name that stands for it in `RunConfig`."""

    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    heads: Mapping[str, Head] = field(default_factory=dict)
    baselines: Mapping[str, FeatureBaseline] = field(default_factory=dict)
    models: Mapping[str, OnnxModel] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """What a record says of them: such a run cannot be repeated from its record."""
        return [
            f"{kind} {name}"
            for kind, objects in (
                ("dataset", self.datasets),
                ("head", self.heads),
                ("baseline", self.baselines),
                ("backbone", self.models),
            )
            for name in objects
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """The settings of a run: its result depends on these and on the machine.

    Attributes
    ----------
    model : str
        Name of a backbone, or path of an ``.onnx`` file.
    candidates : tuple of str
        Further models, written as in `TimingConfig.candidates`. The heads are fitted on the
        features of *model* and tested on theirs; nothing else is measured.
    dataset : str
        Name of a dataset, with its argument after a colon.
    columns : Columns
        The columns to read of a dataset that is a table.
    heads, baselines : tuple of str
        Classifier heads, and the feature baselines on which each of them is fitted as well. The
        first head is the answer of the report: the test images choose none.
    head_params : tuple of str
        ``NAME=VALUE`` or ``HEAD.NAME=VALUE``.
    provider : str
        ONNX Runtime's execution provider.
    provider_options : mapping
        Options of that provider, passed to ONNX Runtime.
    batch_size : int
        Images per call, for the extraction and for the scenario ``offline``.
    threads : int or None
        Threads inside an operator; None for all processors that this process may use.
    precision : str
        ``"fp32"``, or the entry of the group ``tlbench.precisions`` to which a backbone is
        converted; it is calibrated on train images of the dataset.
    export : ExportOptions
        How a backbone that is given by its name is exported on first use.
    limit_train, limit_test : int or None
        Largest number of images, drawn by *seed* with the classes in proportion.
    accuracy, latency : bool
        Which parts to measure.
    cache : bool
        Whether to read and write the feature cache.
    strict : bool
        Whether an image that cannot be used is an error.
    breakdown : bool
        Whether to time each step from image to label.
    timing : TimingConfig
        How latency is measured.
    protocol : ProtocolConfig
        What is measured of each head in addition to its accuracy on the test split.
    data_dir, cache_dir : Path
        Where datasets are (None for downloads only), and where downloads, exported backbones and
        features are kept.
    given : GivenObjects
        Objects that some of the names above stand for, instead of entries of the registries.
    """

    model: str = DEFAULT_BACKBONE
    candidates: tuple[str, ...] = ()
    dataset: str = DEFAULT_DATASET
    columns: Columns = field(default_factory=Columns)
    heads: tuple[str, ...] = DEFAULT_HEADS
    baselines: tuple[str, ...] = ("pixels",)
    head_params: tuple[str, ...] = ()
    provider: str = "cpu"
    provider_options: Mapping[str, str] = field(default_factory=dict)
    batch_size: int = 32
    threads: int | None = None
    precision: str = "fp32"
    export: ExportOptions = field(default_factory=ExportOptions)
    limit_train: int | None = None
    limit_test: int | None = None
    seed: int = 0
    accuracy: bool = True
    latency: bool = True
    cache: bool = True
    strict: bool = False
    breakdown: bool = False
    timing: TimingConfig = QUICK_TIMING
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    data_dir: Path | None = field(default_factory=default_data_dir)
    cache_dir: Path = field(default_factory=default_cache_dir)
    given: GivenObjects = field(default_factory=GivenObjects)

    def __post_init__(self) -> None:
        _check_at_least(
            1,
            batch_size=self.batch_size,
            threads=self.threads,
            limit_train=self.limit_train,
            limit_test=self.limit_test,
        )
        _check_at_least(0, seed=self.seed)
        object.__setattr__(self, "provider", provider_name(self.provider))
        if self.accuracy and not self.heads:
            msg = "No heads are given: name at least one. `tlbench list heads` lists them."
            raise ConfigError(msg)
        if not self.accuracy and self.protocol != ProtocolConfig():
            msg = "Folds, learning curves and searches measure accuracy, which is turned off."
            raise ConfigError(msg)
        for name, names in (("heads", self.heads), ("baselines", self.baselines)):
            if len(set(names)) < len(names):
                raise ConfigError(f"{name} names an entry twice: {','.join(names)}.")
