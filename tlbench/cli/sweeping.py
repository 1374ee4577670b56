"""`tlbench sweep` and `tlbench pick`: measure a grid of settings, and choose by a budget."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tlbench.cli import options as o
from tlbench.cli import protocols as p
from tlbench.cli.process import INTERRUPTED
from tlbench.core.errors import ConfigError

ObjectiveName = StrEnum("ObjectiveName", ["ACCURACY", "LATENCY", "SIZE"])
_LISTS = ("backbones", "fits", "precisions", "providers", "heads", "baselines")
_NUMBERS = {"input_sizes": "96,160,224", "batch_sizes": "1,8,32"}


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """The grid, and what all cells share; None for what a file or the default says."""

    backbones: Annotated[
        str | None,
        typer.Option(
            help="Names of backbones, or paths of .onnx files.", metavar="A,B", show_default=False
        ),
    ] = None
    input_sizes: Annotated[
        str | None,
        typer.Option(
            help="Inputs of the networks in pixels; default: each backbone's own.",
            metavar="N,N",
            show_default=False,
        ),
    ] = None
    fits: Annotated[
        str | None,
        typer.Option(
            help="crop, squash or pad; default: each backbone's own.",
            metavar="A,B",
            show_default=False,
        ),
    ] = None
    precisions: Annotated[
        str | None, typer.Option(help="fp32, fp16 or int8; default: fp32.", metavar="A,B")
    ] = None
    heads: Annotated[
        str | None, typer.Option(help="Classifier heads; default: softmax.", metavar="A,B")
    ] = None
    providers: Annotated[
        str | None, typer.Option(help="Execution providers; default: cpu.", metavar="A,B")
    ] = None
    batch_sizes: Annotated[
        str | None, typer.Option(help="Images per timed call; default: 1.", metavar="N,N")
    ] = None
    dataset: Annotated[
        str | None, typer.Option(help=f"{o.DATASET_HELP} Default: digits.", metavar="NAME")
    ] = None
    path_column: Annotated[
        str | None, typer.Option(help="Of a table: the column of the images.", metavar="NAME")
    ] = None
    label_column: Annotated[
        str | None, typer.Option(help="The column of the labels.", metavar="NAME")
    ] = None
    split_column: Annotated[
        str | None, typer.Option(help="The column that says train or test.", metavar="NAME")
    ] = None
    baselines: Annotated[
        str | None,
        typer.Option(help="Features to compare with; default: pixels.", metavar="A,B"),
    ] = None
    head_params: o.HeadParams = None
    crop_fraction: Annotated[
        float | None, typer.Option(help=f"{o.CROP_FRACTION_HELP} Default: 1.", metavar="F")
    ] = None
    threads: o.Threads = None
    limit_train: Annotated[
        int | None, typer.Option(help="Use at most N train images.", metavar="N")
    ] = None
    limit_test: Annotated[
        int | None, typer.Option(help="Use at most N test images.", metavar="N")
    ] = None
    seed: Annotated[
        int | None, typer.Option(help="Seed of limits, splits and heads; default: 0.", metavar="N")
    ] = None
    rounds: Annotated[
        int | None,
        typer.Option(help="Rounds in which all networks are timed; default: 30.", metavar="N"),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(
            help="The cell to compare the others with: its id, BACKBONE, or "
            "BACKBONE@input_size=128,precision=int8. Default: the first backbone at its largest "
            "input.",
            metavar="CELL",
        ),
    ] = None

    def given(self) -> dict[str, Any]:
        """Return what is given, as a TOML file would say it."""
        found = {name: value for name, value in vars(self).items() if value is not None}
        for name in _LISTS:
            if name in found:
                found[name] = list(o.split_names(found[name]))
        for name, example in _NUMBERS.items():
            if name in found:
                option = f"--{name.replace('_', '-')}"
                found[name] = list(o.whole_numbers(option, found[name], example))
        return found


def sweep(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE.toml",
            help="The same settings in a file: backbones = [...], input_sizes = [...]. Options "
            "replace what it says.",
        ),
    ] = None,
    *,
    grid: GridOptions,
    destination: Annotated[
        Path,
        typer.Option(
            "-o", metavar="DIR", help="Where the sweep is kept; the same command goes on with it."
        ),
    ],
    no_spin: p.NoSpin = False,
    no_costs: p.NoCosts = False,
    strict: o.Strict = False,
    folders: o.FolderOptions,
    no_html: Annotated[
        bool, typer.Option("--no-html", help="Write no report.html into the folder of the sweep.")
    ] = False,
    output_format: o.LaidOut = o.LaidOutFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Measure every combination of some settings, and compare them.

    Each combination is a cell, saved as a run that report, compare, fuse and baseline save take.
    Accuracy comes first; what cells share is computed once. Then all networks are timed in turn, in
    rounds, so that their times can be compared.

    A sweep can be stopped at any time: the same command goes on with what is missing. A cell that
    cannot be measured is kept with the reason; delete its folder to try it again. The report
    compares all cells with one, image by image and round by round. tlbench pick chooses a cell.
    """
    from functools import partial

    from tlbench.api import measure_sweep
    from tlbench.cli.measure import show
    from tlbench.cli.repeat import sweep_command
    from tlbench.cli.terminal import listening
    from tlbench.core.files import check_folder
    from tlbench.workflows import make_sweep_config, read_sweep_file, sweep_timing

    settings = (read_sweep_file(file) if file else {}) | grid.given()
    if strict:
        settings["strict"] = True
    config = make_sweep_config(
        settings, timing=sweep_timing(spin=not no_spin, costs=not no_costs), **folders.settings()
    )
    check_folder(destination, advice="Pass another folder: -o DIR.")
    against = settings.get("against")
    try:
        with listening(quiet=quiet) as listener:
            found = measure_sweep(
                config,
                destination,
                against=against,
                progress=listener,
                command=partial(sweep_command, against=against),
                html=not no_html,
            )
    except KeyboardInterrupt as interrupt:
        typer.echo("tlbench: interrupted; the same command goes on with what is missing.", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
    show(found, output_format.value)
    figures = [cell.figures for cell in found.cells.values() if cell.figures]
    if config.base.strict and any(one.verdict == "INVALID" for one in figures):
        raise typer.Exit(1)


def pick(
    swept: Annotated[
        str, typer.Argument(metavar="SWEEP", help="The folder of a sweep, or its sweep.json.")
    ],
    *,
    objective: Annotated[
        ObjectiveName, typer.Option(help="What the picked cell is best in.")
    ] = ObjectiveName.ACCURACY,
    max_latency_s: Annotated[
        str | None,
        typer.Option("--max-latency", help="Highest time per image: 20ms.", metavar="TIME"),
    ] = None,
    min_accuracy: Annotated[
        str | None, typer.Option(help="Lowest accuracy: 85% or 0.85.", metavar="SHARE")
    ] = None,
    max_size_bytes: Annotated[
        str | None,
        typer.Option("--max-size", help="Largest ONNX file: 20MB.", metavar="BYTES"),
    ] = None,
    max_memory_bytes: Annotated[
        str | None,
        typer.Option(
            "--max-memory", help="Highest peak memory, on host or GPU: 500MB.", metavar="BYTES"
        ),
    ] = None,
    licences: Annotated[
        str | None,
        typer.Option(
            "--licence", help="Licences of weights that are allowed: Apache-2.0.", metavar="A,B"
        ),
    ] = None,
    output_format: o.Format = o.OutputFormat.CONSOLE,
) -> None:
    """Pick the best cell of a sweep that keeps to a budget.

    Exit with 1 if no cell does. Nothing is measured. A cell passes only if its whole confidence
    interval keeps to the budget, with intervals that hold for all cells at once. Of the cells that
    are tied in accuracy by McNemar's test on the same images, the fastest is picked; the ties are
    listed. If no cell passes, the report says by how much the nearest one misses.
    """
    from tlbench.api import load_sweep
    from tlbench.cli.measure import show

    wanted: Any = objective.value
    found = load_sweep(swept).pick(
        objective=wanted,
        max_latency_s=_seconds(max_latency_s),
        min_accuracy=_fraction(min_accuracy),
        max_size_bytes=_bytes("--max-size", max_size_bytes),
        max_memory_bytes=_bytes("--max-memory", max_memory_bytes),
        licences=None if licences is None else o.split_names(licences),
    )
    show(found, output_format.value)
    raise typer.Exit(0 if found else 1)


_QUANTITY = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([a-zµμ%]*)\s*", re.IGNORECASE)
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_BYTES = {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def _quantity(option: str, text: str, units: dict[str, float], example: str) -> float:
    """Return the number in a text such as ``20ms``; raise ConfigError for any other text."""
    found = _QUANTITY.fullmatch(text)
    unit = found[2].lower() if found else ""
    if found is None or unit not in units:
        raise ConfigError(f"{option} takes a number with a unit, got {text!r}. Example: {example}.")
    return float(found[1]) * units[unit]


def _seconds(text: str | None) -> float | None:
    return None if text is None else _quantity("--max-latency", text, _SECONDS, "20ms")


def _bytes(option: str, text: str | None) -> float | None:
    return None if text is None else _quantity(option, text, dict(_BYTES), "20MB")


def _fraction(text: str | None) -> float | None:
    if text is None:
        return None
    share = _quantity("--min-accuracy", text, {"%": 0.01, "": 1.0}, "85%")
    if share > 1:
        hint = f" Did you mean {text}%?" if "%" not in text else ""
        raise ConfigError(f"--min-accuracy is a share of all images, got {text}.{hint}")
    return share
