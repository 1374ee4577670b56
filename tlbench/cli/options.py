"""Options that several commands share, and how their text becomes a configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tlbench.cli.groups import OptionGroup
from tlbench.core.errors import ConfigError


class OutputFormat(StrEnum):
    """What goes to stdout."""

    CONSOLE = "console"
    JSON = "json"


Model = Annotated[
    str,
    typer.Argument(
        help="A backbone's name (exported into the cache on first use; see tlbench list backbones) "
        "or the path of an .onnx file.",
    ),
]
DatasetName = Annotated[
    str,
    typer.Option(
        "--dataset",
        help="digits, cifar10, cifar100, cifar100-coarse, or folder:PATH with a folder a class.",
    ),
]
HeadNames = Annotated[
    str, typer.Option("--heads", help="Classifier heads, separated by commas.", metavar="A,B")
]
HeadParams = Annotated[
    list[str] | None,
    typer.Option(
        "--head-param",
        help="A head's parameter: C=0.01, or softmax.C=0.01 for one head. Repeatable.",
        metavar="NAME=VALUE",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads inside an operator; default: the processors this process may use."),
]
PrecisionName = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32, fp16 or int8: a backbone given by its name is converted, int8 calibrated on "
        "train images of the dataset.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="TLBENCH_DATA",
        help="Folder that holds cifar-10-batches-py and cifar-100-python.",
        show_default=False,
    ),
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        envvar="TLBENCH_CACHE",
        help="Folder for exported backbones, features and downloads; default: the user's cache.",
        show_default=False,
    ),
]
Output = Annotated[Path, typer.Option(help="Folder that runs are saved in.")]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Compute everything anew and keep none of it.")
]
NoLatency = Annotated[bool, typer.Option("--no-latency", help="Measure the accuracy only.")]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Fail at an unreadable image instead of leaving it out; exit 1 if a timing is "
        "INVALID.",
    ),
]
Format = Annotated[
    OutputFormat, typer.Option("--format", help="On stdout; messages for people are on stderr.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


@dataclass(frozen=True, kw_only=True)
class TaskOptions(OptionGroup):
    """Which images are classified, and by what."""

    dataset: DatasetName = "digits"
    heads: HeadNames = "softmax,svm-linear"
    baselines: Annotated[
        str,
        typer.Option(
            help="Features to compare with: pixels, hog (extra 'baselines'), or none.",
            metavar="A,B",
        ),
    ] = "pixels"
    head_params: HeadParams = None

    def settings(self) -> dict[str, Any]:
        """Return them with the lists of names split."""
        return vars(self) | {
            "heads": split_names(self.heads),
            "baselines": split_names(self.baselines),
            "head_params": tuple(self.head_params or ()),
        }


@dataclass(frozen=True, kw_only=True)
class ProviderOptions(OptionGroup):
    """Where the network runs."""

    provider: Annotated[
        str,
        typer.Option(
            help="Execution provider: cpu, cuda, tensorrt, ...; never replaced by another in "
            "silence."
        ),
    ] = "cpu"
    provider_options: Annotated[
        list[str] | None,
        typer.Option(
            "--provider-option",
            help="Handed to ONNX Runtime's provider, for example use_tf32=0. Repeatable.",
            metavar="NAME=VALUE",
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Return them with the provider's options as a mapping."""
        return vars(self) | {"provider_options": split_options(self.provider_options)}


@dataclass(frozen=True, kw_only=True)
class SessionOptions(ProviderOptions):
    """How the network runs there."""

    batch_size: Annotated[int, typer.Option(help="Images in one call of the network.")] = 32
    threads: Threads = None


@dataclass(frozen=True, kw_only=True)
class EngineOptions(SessionOptions):
    """And in what arithmetic."""

    precision: PrecisionName = "fp32"


@dataclass(frozen=True, kw_only=True)
class SampleOptions(OptionGroup):
    """How many images, and which."""

    limit_train: Annotated[
        int | None,
        typer.Option(help="Use at most N train images, classes in proportion.", metavar="N"),
    ] = None
    limit_test: Annotated[
        int | None,
        typer.Option(help="Use at most N test images, classes in proportion.", metavar="N"),
    ] = None
    seed: Annotated[int, typer.Option(help="For limits, splits and heads that draw at random.")] = 0


@dataclass(frozen=True, kw_only=True)
class FolderOptions(OptionGroup):
    """Where data come from, and where what can be used again is kept."""

    data_dir: DataDir = None
    cache_dir: CacheDir = None
    no_cache: NoCache = False

    def settings(self) -> dict[str, Any]:
        """Return the folders that are given, and whether to use the cache."""
        folders = {"data_dir": self.data_dir, "cache_dir": self.cache_dir}
        given = {name: folder.expanduser() for name, folder in folders.items() if folder}
        return given | {"cache": not self.no_cache}


@dataclass(frozen=True, kw_only=True)
class SavingOptions:
    """What becomes of a run."""

    output: Output = Path("runs")
    output_format: Format = OutputFormat.CONSOLE
    quiet: Quiet = False


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in ``"a,b"``; none for ``""`` and ``"none"``."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return () if names == ("none",) else names


def split_options(texts: Sequence[str] | None) -> dict[str, str]:
    """Return ``{"a": "1"}`` for ``["a=1"]``; raise ConfigError for a text without a value."""
    options = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            msg = f"--provider-option takes NAME=VALUE, got {text!r}. Example: use_tf32=0."
            raise ConfigError(msg)
        options[name] = value
    return options


def whole_numbers(option: str, text: str, example: str) -> tuple[int, ...]:
    """Return the numbers in ``"1,5,10"``; raise ConfigError for other text."""
    numbers = []
    for word in split_names(text):
        try:
            numbers.append(int(word))
        except ValueError as error:
            msg = f"{option} takes whole numbers, got {word!r}. Example: {example}."
            raise ConfigError(msg) from error
    return tuple(numbers)
