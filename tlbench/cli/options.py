"""Options that several commands share, in groups, and the configuration that their text means."""

import ast
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlbench.core.errors import ConfigError

if TYPE_CHECKING:
    from tlbench.datasets import Columns

OutputFormat = StrEnum("OutputFormat", ["CONSOLE", "JSON"])
LaidOutFormat = StrEnum("LaidOutFormat", ["CONSOLE", "HTML", "JSON", "MARKDOWN"])

RUN_HELP = "A saved run: its folder, its run.json, its id, or 'last'."
Run = Annotated[str, typer.Argument(help=RUN_HELP)]
RunOrCandidate = Annotated[
    str, typer.Argument(help=f"{RUN_HELP} RUN#LABEL is one of several models of a run.")
]
MODEL_HELP = "Name of a backbone (see tlbench list backbones), or path of an .onnx file."
Model = Annotated[str, typer.Argument(help=f"{MODEL_HELP} A backbone is exported on first use.")]
DATASET_HELP = (
    "digits, cifar10, cifar100, cifar100-coarse, folder:PATH (one subfolder per class), "
    "csv:FILE (paths and labels), or parquet:PATH (images and labels)."
)
DatasetName = Annotated[str, typer.Option("--dataset", help=DATASET_HELP)]
HeadNames = Annotated[
    str,
    typer.Option(
        "--heads",
        help="Classifier heads, separated by commas; the first is the answer of the report.",
        metavar="A,B",
    ),
]
HEAD_PARAM_HELP = "Parameter of all heads (C=0.01) or of one (softmax.C=0.01). Repeatable."
HeadParams = Annotated[
    list[str] | None, typer.Option("--head-param", help=HEAD_PARAM_HELP, metavar="NAME=VALUE")
]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads inside an operator; default: one per available processor."),
]
PRECISION_HELP = (
    "fp32, fp16 or int8. A backbone given by its name is converted; int8 is calibrated on train "
    "images of the dataset."
)
PrecisionName = Annotated[str, typer.Option("--precision", help=PRECISION_HELP)]
DATA_HELP = "Folder that contains cifar-10-batches-py or cifar-100-python."
DataDir = Annotated[
    Path | None, typer.Option(envvar="TLBENCH_DATA", help=DATA_HELP, show_default=False)
]
CACHE_HELP = "Folder for exported backbones, features and downloads; default: the user's cache."
CacheDir = Annotated[
    Path | None, typer.Option(envvar="TLBENCH_CACHE", help=CACHE_HELP, show_default=False)
]
Output = Annotated[Path, typer.Option(help="Folder in which runs are saved.")]
NoHtml = Annotated[
    bool, typer.Option("--no-html", help="Write no report.html into the folder of the run.")
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Compute everything again, and store none of it.")
]
NoLatency = Annotated[bool, typer.Option("--no-latency", help="Measure accuracy only.")]
WEIGHTS_HELP = "imagenet, random (for latency only), or the path of a file in the source's format."
WeightsOption = Annotated[str, typer.Option(help=WEIGHTS_HELP)]
FACTORY_ARG_HELP = (
    "For torch: and timm: backbones: an argument of the function that makes the network. The value "
    "is read as Python writes it, or else as text. Repeatable."
)
FactoryArgs = Annotated[
    list[str] | None,
    typer.Option("--factory-arg", help=FACTORY_ARG_HELP, metavar="NAME=VALUE"),
]
PREPROCESS_HELP = (
    "File that states the preprocessing of a network whose library does not: Hugging Face's "
    "preprocessor_config.json or timm's config.json. Other options win over it."
)
PreprocessFile = Annotated[Path | None, typer.Option(help=PREPROCESS_HELP, metavar="FILE")]
STRICT_HELP = "Fail if an image cannot be used, instead of leaving it out"
Strict = Annotated[
    bool, typer.Option("--strict", help=f"{STRICT_HELP}; exit with 1 if a timing is INVALID.")
]
StrictImages = Annotated[bool, typer.Option("--strict", help=f"{STRICT_HELP}.")]
FORMAT_HELP = "What to print on stdout; messages go to stderr."
Format = Annotated[OutputFormat, typer.Option("--format", help=FORMAT_HELP)]
LaidOut = Annotated[LaidOutFormat, typer.Option("--format", help=FORMAT_HELP)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress on stderr.")]
FitName = StrEnum("FitName", ["CROP", "SQUASH", "PAD"])
FIT_HELP = (
    "How images that are not square become square: crop to the centred square, squash, or pad with "
    "black. Default: crop; squash for graphs of TensorFlow 1."
)
FitOption = Annotated[FitName | None, typer.Option("--fit", help=FIT_HELP)]
CROP_FRACTION_HELP = (
    "Side of the cropped square, as a fraction of the shorter side. 0.875 is usual for ImageNet."
)
CropFraction = Annotated[float, typer.Option(help=CROP_FRACTION_HELP, metavar="F")]
LAYER_HELP = (
    "Layer, or tensor of an ONNX file, whose output is the features; default: the input of the "
    "classifier."
)
LayerName = Annotated[str | None, typer.Option("--layer", help=LAYER_HELP)]
INPUT_SIZE_HELP = "Height and width of the network's input in pixels; default: the backbone's own."
InputSize = Annotated[int | None, typer.Option(help=INPUT_SIZE_HELP)]


@dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """Options that several commands share, a field each; no slots: `settings` uses ``vars``."""

    def settings(self) -> dict[str, Any]:
        """Return the fields of `tlbench.workflows.RunConfig` that the options mean."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class ColumnOptions(OptionGroup):
    """Which columns of a dataset that is a table are read."""

    path_column: Annotated[
        str | None,
        typer.Option(
            help="Of csv: and parquet: datasets: the column of the image paths, or of the images; "
            "default: one with a usual name.",
            metavar="NAME",
        ),
    ] = None
    label_column: Annotated[
        str | None, typer.Option(help="The column of the labels.", metavar="NAME")
    ] = None
    split_column: Annotated[
        str | None,
        typer.Option(help="The column that says train, test or validation.", metavar="NAME"),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Return the columns as one record."""
        return {"columns": self.columns}

    @property
    def columns(self) -> "Columns":
        """The columns that are given."""
        from tlbench.datasets import Columns

        return Columns(
            path_column=self.path_column,
            label_column=self.label_column,
            split_column=self.split_column,
        )


@dataclass(frozen=True, kw_only=True)
class TaskOptions(OptionGroup):
    """Which images are classified, and by which heads."""

    dataset: DatasetName = "digits"
    heads: HeadNames = "softmax,svm-linear"
    baselines: Annotated[
        str,
        typer.Option(
            help="Features to compare with: pixels, hog (needs the extra 'baselines'), or none.",
            metavar="A,B",
        ),
    ] = "pixels"
    head_params: HeadParams = None

    def settings(self) -> dict[str, Any]:
        """Return the fields with the lists of names split."""
        return vars(self) | {
            "heads": split_names(self.heads),
            "baselines": split_names(self.baselines),
            "head_params": tuple(self.head_params or ()),
        }


@dataclass(frozen=True, kw_only=True)
class BackboneOptions(OptionGroup):
    """How a backbone that is given by its name is exported on first use."""

    fit: FitOption = None
    crop_fraction: CropFraction = 1.0
    input_size: InputSize = None
    weights: WeightsOption = "imagenet"
    factory_args: FactoryArgs = None
    preprocess: PreprocessFile = None

    def settings(self) -> dict[str, Any]:
        """Return the options of the export."""
        from tlbench.model import ExportOptions

        read = {
            "fit": None if self.fit is None else self.fit.value,
            "factory_args": factory_arguments(self.factory_args),
            "preprocess": None if self.preprocess is None else self.preprocess.expanduser(),
        }
        return {"export": ExportOptions(**vars(self) | read)}


@dataclass(frozen=True, kw_only=True)
class ProviderOptions(OptionGroup):
    """Which execution provider runs the network."""

    provider: Annotated[
        str,
        typer.Option(
            help="Execution provider: cpu, cuda, tensorrt, ... If it cannot run, the command "
            "fails; no other provider takes its place."
        ),
    ] = "cpu"
    provider_options: Annotated[
        list[str] | None,
        typer.Option(
            "--provider-option",
            help="Option of ONNX Runtime's provider, such as use_tf32=0. Repeatable.",
            metavar="NAME=VALUE",
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Return the fields with the provider's options as a mapping."""
        return vars(self) | {"provider_options": split_options(self.provider_options)}


@dataclass(frozen=True, kw_only=True)
class SessionOptions(ProviderOptions):
    """How the provider runs the network."""

    batch_size: Annotated[int, typer.Option(help="Images per call of the network.")] = 32
    threads: Threads = None


@dataclass(frozen=True, kw_only=True)
class EngineOptions(SessionOptions):
    """How the network is run, and in which precision."""

    precision: PrecisionName = "fp32"


@dataclass(frozen=True, kw_only=True)
class SampleOptions(OptionGroup):
    """How many images are used, and which."""

    limit_train: Annotated[
        int | None,
        typer.Option(help="Use at most N train images, stratified by class.", metavar="N"),
    ] = None
    limit_test: Annotated[
        int | None,
        typer.Option(help="Use at most N test images, stratified by class.", metavar="N"),
    ] = None
    seed: Annotated[
        int, typer.Option(help="Seed of every random choice: limits, splits and heads.")
    ] = 0


@dataclass(frozen=True, kw_only=True)
class FolderOptions(OptionGroup):
    """Where data are read, and where intermediate results are kept."""

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
    """Where a run is saved, and what is printed of it."""

    output: Output = Path("runs")
    no_html: NoHtml = False
    output_format: Format = OutputFormat.CONSOLE
    quiet: Quiet = False

    def check(self) -> None:
        """Raise StorageError if a run cannot be saved, before it is measured."""
        from tlbench.core.files import check_folder

        check_folder(self.output, advice="Pass another folder: --output FOLDER.")


def flatten_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return *command* as typer needs it: with options in place of each dataclass parameter."""
    signature = inspect.signature(command)
    options: list[inspect.Parameter] = []
    groups: dict[str, tuple[Callable[..., object], list[str]]] = {}
    for name, parameter in signature.parameters.items():
        kind = parameter.annotation
        if isinstance(kind, type) and is_dataclass(kind):
            found = inspect.signature(kind).parameters
            groups[name] = (kind, list(found))
            options += found.values()
        else:
            options.append(parameter)

    @wraps(command)
    def flat(**values: Any) -> None:
        made = {
            name: kind(**{option: values.pop(option) for option in names})
            for name, (kind, names) in groups.items()
        }
        command(**values, **made)

    flat.__annotations__ = {option.name: option.annotation for option in options}
    vars(flat)["__signature__"] = signature.replace(parameters=options)
    return flat


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in ``"a,b"``; an empty tuple for ``""`` and ``"none"``."""
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


def factory_arguments(texts: Sequence[str] | None) -> dict[str, Any] | None:
    """Return ``{"a": 1}`` for ``["a=1"]``; raise ConfigError for a text without a value."""
    arguments: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier() or name in arguments:
            found = f"{name!r} twice" if name in arguments else repr(text)
            msg = f"--factory-arg takes NAME=VALUE, got {found}. Example: num_classes=10."
            raise ConfigError(msg)
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            arguments[name] = value
    return arguments or None


def whole_numbers(option: str, text: str, example: str) -> tuple[int, ...]:
    """Return the numbers in ``"1,5,10"``; raise ConfigError for any other text."""
    numbers = []
    for word in split_names(text):
        try:
            numbers.append(int(word))
        except ValueError as error:
            msg = f"{option} takes whole numbers, got {word!r}. Example: {example}."
            raise ConfigError(msg) from error
    return tuple(numbers)
