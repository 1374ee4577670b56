"""The settings of a run, checked before any work begins."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tlbench.core.errors import ConfigError
from tlbench.core.registry import unknown_name
from tlbench.model import ExportOptions

DEFAULT_BACKBONE = "efficientnet-lite0"
DEFAULT_DATASET = "digits"
DEFAULT_HEADS = ("softmax", "svm-linear")
SCENARIOS = ("single", "offline", "server", "cold", "paced")
BOUNDARIES = ("numpy->numpy", "device->device")


def default_cache_dir() -> Path:
    """Return ``TLBENCH_CACHE``, or this user's cache folder as the operating system places it."""
    if chosen := os.environ.get("TLBENCH_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("tlbench", appauthor=False))


def default_data_dir() -> Path | None:
    """Return ``TLBENCH_DATA``, or None."""
    chosen = os.environ.get("TLBENCH_DATA")
    return Path(chosen).expanduser() if chosen else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingConfig:
    """How latency is measured. Times are seconds.

    Attributes
    ----------
    scenarios : tuple of str
        Of `SCENARIOS`: one image after another, batches, random arrivals, fresh processes, with a
        pause between calls.
    batch_sizes : tuple of int
        Of the scenario ``offline``; empty for the run's own batch size.
    boundaries : tuple of str
        What the clock sees: numpy arrays in and out, or buffers that stay on the device.
    candidates : tuple of str
        Further models to measure in turn with the run's own: ``MODEL`` or
        ``MODEL@threads=1,provider=cuda``.
    min_samples, min_duration_s, max_duration_s : int, float
        A timing lasts until both minima are reached, or until its maximum.
    rounds : int
        Least number of rounds of blocks when models take turns.
    qps, latency_bound_s, find_peak : float, float, bool
        Of ``server``: mean arrivals a second (None only with *find_peak*), the time within which a
        request must be answered, and whether to search the highest rate at which it is.
    pause_s : float
        Of ``paced``.
    processes : int
        Of ``cold``: fresh processes, one after another.
    spin : bool
        Whether ONNX Runtime's threads wait in a busy loop.
    costs : bool
        Whether to measure memory in a fresh process, and processor time after the last call.
    extend_until_steady : bool
        Whether to go on while the machine is unsteady, and to wait for the second after the last
        call. A run that measures accuracy as well is not.
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
    find_peak: bool = False
    pause_s: float = 0.1
    processes: int = 11
    spin: bool = True
    costs: bool = True
    extend_until_steady: bool = True

    def __post_init__(self) -> None:
        _check_names("scenario", self.scenarios, SCENARIOS)
        _check_names("boundary", self.boundaries, BOUNDARIES)
        for option, value in (
            ("--min-samples", self.min_samples),
            ("--rounds", self.rounds),
            ("--processes", self.processes),
            ("--batch-size", min(self.batch_sizes, default=1)),
        ):
            if value < 1:
                raise ConfigError(f"{option} must be at least 1, not {value}.")
        for option, seconds in (
            ("--pause", self.pause_s),
            ("--latency-bound", self.latency_bound_s),
            ("--max-duration", self.max_duration_s),
            ("--qps", self.qps),
        ):
            if seconds is not None and not seconds > 0:
                raise ConfigError(f"{option} must be above 0, not {seconds}.")
        if not 0 <= self.min_duration_s <= self.max_duration_s:
            msg = (
                f"--min-duration {self.min_duration_s} must be between 0 and --max-duration, which "
                f"is {self.max_duration_s}."
            )
            raise ConfigError(msg)
        if "server" in self.scenarios and self.qps is None and not self.find_peak:
            msg = "Scenario server needs a rate: give --qps, or --find-peak to search for it."
            raise ConfigError(msg)
        at_host = sorted({"cold", "server"} & set(self.scenarios))
        if at_host and "numpy->numpy" not in self.boundaries:
            msg = (
                f"A request arrives at the host: {', '.join(at_host)} is measured with --boundary "
                "numpy only. Add numpy, or leave the scenario out."
            )
            raise ConfigError(msg)
        if self.candidates and (alone := sorted(set(self.scenarios) & {"server", "cold"})):
            msg = f"Models take turns in single, offline and paced only, not in {', '.join(alone)}."
            raise ConfigError(msg)


def _check_names(kind: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    if not names or len(set(names)) < len(names):
        msg = f"--{kind} takes one or more different names, not {','.join(names) or 'none'!r}."
        raise ConfigError(msg)
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, list(known))


# For a run that measures accuracy as well: enough for a p90.
QUICK_TIMING = TimingConfig(
    min_samples=64, min_duration_s=1.0, max_duration_s=10.0, extend_until_steady=False
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolConfig:
    """What is measured of each head besides its accuracy on the test split.

    Attributes
    ----------
    folds : int or None
        Parts of a stratified cross-validation over train and test images together; None for none.
    curve : tuple of int
        Training images of each class, the points of a learning curve; empty for none.
    curve_seeds : int
        Random subsets of each of these sizes.
    search : bool
        Whether a head's parameter is chosen on validation images held out of train, before the head
        meets the test split. Each fold and each point of a curve makes a search of its own, on its
        own training images.
    """

    folds: int | None = None
    curve: tuple[int, ...] = ()
    curve_seeds: int = 5
    search: bool = False

    def __post_init__(self) -> None:
        if self.folds is not None and self.folds < 2:  # noqa: PLR2004 - one to learn from, one to test
            raise ConfigError(f"--folds must be at least 2, not {self.folds}.")
        if any(size < 1 for size in self.curve) or len(set(self.curve)) < len(self.curve):
            msg = (
                "--learning-curve takes different numbers of images a class, each at least 1, not "
                f"{','.join(map(str, self.curve))}. Example: 1,5,10,50."
            )
            raise ConfigError(msg)
        if self.curve_seeds < 1:
            raise ConfigError(f"--curve-seeds must be at least 1, not {self.curve_seeds}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that `tlbench.workflows.run_benchmark` does depends on this and the machine.

    Attributes
    ----------
    model : str
        Name of a backbone, or path of an ``.onnx`` file.
    candidates : tuple of str
        Further models, as in `TimingConfig.candidates`, to try the heads on that are fitted on the
        features of *model*. Nothing else is measured then.
    dataset : str
        Name of a dataset, with its argument after a colon.
    heads, baselines : tuple of str
        Classifier heads, and the feature baselines that each of them is fitted on as well.
    head_params : tuple of str
        ``NAME=VALUE`` or ``HEAD.NAME=VALUE``.
    provider_options : mapping
        Passed on to ONNX Runtime's provider.
    batch_size : int
        Of the extraction and of the batched latency.
    threads : int or None
        Inside an operator; None for all processors this process may use.
    precision : str
        ``"fp32"``, or an entry of the group ``tlbench.precisions`` to convert a backbone to,
        calibrated on train images of the dataset.
    export : ExportOptions
        How a backbone that is given by its name is exported on first use.
    limit_train, limit_test : int or None
        Largest number of images, chosen by *seed* with the classes in proportion.
    accuracy, latency : bool
        Which parts to measure.
    strict : bool
        Fail at an unreadable image.
    breakdown : bool
        Time the way from image to label in parts.
    timing : TimingConfig
        How latency is measured.
    protocol : ProtocolConfig
        What is measured of each head besides its accuracy on the test split.
    """

    model: str = DEFAULT_BACKBONE
    candidates: tuple[str, ...] = ()
    dataset: str = DEFAULT_DATASET
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

    def __post_init__(self) -> None:
        for name in ("batch_size", "threads", "limit_train", "limit_test"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"--{name.replace('_', '-')} must be at least 1, not {value}."
                raise ConfigError(msg)
        if self.accuracy and not self.heads:
            raise ConfigError("No heads are given: name at least one, see tlbench list heads.")
        if not self.accuracy and self.protocol != ProtocolConfig():
            raise ConfigError("Folds, curves and searches measure accuracy, which is turned off.")
        if self.seed < 0:
            raise ConfigError(f"--seed must be at least 0, not {self.seed}.")
        for kind, names in (("heads", self.heads), ("baselines", self.baselines)):
            if len(set(names)) < len(names):
                raise ConfigError(f"--{kind} names an entry twice: {','.join(names)}.")
