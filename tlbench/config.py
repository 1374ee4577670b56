"""The settings of a run, checked before any work begins."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tlbench.errors import ConfigError

__all__ = [
    "DEFAULT_BACKBONE",
    "DEFAULT_DATASET",
    "DEFAULT_HEADS",
    "RunConfig",
    "default_cache_dir",
    "default_data_dir",
]

DEFAULT_BACKBONE = "efficientnet-lite0"
DEFAULT_DATASET = "digits"
DEFAULT_HEADS = ("softmax", "svm-linear")


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
class RunConfig:
    """Everything that `tlbench.pipeline.run_benchmark` does depends on this and the machine.

    Attributes
    ----------
    model : str
        Name of a backbone, or path of an ``.onnx`` file.
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
    limit_train, limit_test : int or None
        Largest number of images, chosen by *seed* with the classes in proportion.
    accuracy, latency : bool
        Which parts to measure.
    strict : bool
        Fail at an unreadable image.
    """

    model: str = DEFAULT_BACKBONE
    dataset: str = DEFAULT_DATASET
    heads: tuple[str, ...] = DEFAULT_HEADS
    baselines: tuple[str, ...] = ("pixels",)
    head_params: tuple[str, ...] = ()
    provider: str = "cpu"
    provider_options: Mapping[str, str] = field(default_factory=dict)
    batch_size: int = 32
    threads: int | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    seed: int = 0
    accuracy: bool = True
    latency: bool = True
    cache: bool = True
    strict: bool = False
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
        if self.seed < 0:
            raise ConfigError(f"--seed must be at least 0, not {self.seed}.")
        for kind, names in (("heads", self.heads), ("baselines", self.baselines)):
            if len(set(names)) < len(names):
                raise ConfigError(f"--{kind} names an entry twice: {','.join(names)}.")
