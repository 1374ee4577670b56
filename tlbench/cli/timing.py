"""Options of a timing, and the configuration that they mean."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlbench.cli.options import split_names
from tlbench.errors import ConfigError

if TYPE_CHECKING:
    from tlbench.config import TimingConfig

__all__ = [
    "BatchSizes",
    "Boundaries",
    "Breakdown",
    "FindPeak",
    "LatencyBound",
    "MaxDuration",
    "MinDuration",
    "MinSamples",
    "NoCosts",
    "NoSpin",
    "Pause",
    "Processes",
    "Qps",
    "Rounds",
    "Scenarios",
    "make_timing",
]

Scenarios = Annotated[
    str,
    typer.Option(
        "--scenario",
        help="single: one image after another; offline: batches; server: random arrivals; cold: "
        "fresh processes; paced: with a pause between calls.",
        metavar="A,B",
    ),
]
BatchSizes = Annotated[
    str,
    typer.Option("--batch-size", help="Of offline; several for a sweep: 1,8,32.", metavar="N,N"),
]
Boundaries = Annotated[
    str,
    typer.Option(
        "--boundary",
        help="What the clock sees. numpy: arrays in and out; device: buffers that stay on the "
        "device (IO binding).",
        metavar="A,B",
    ),
]
MinSamples = Annotated[
    int, typer.Option(help="Least number of calls one by one; 130 give a p95, 662 a p99.")
]
MinDuration = Annotated[float, typer.Option(help="Least seconds of a timing.")]
MaxDuration = Annotated[float, typer.Option(help="Most seconds of a timing, whatever is missing.")]
Rounds = Annotated[int, typer.Option(help="Least rounds of blocks when models take turns.")]
Qps = Annotated[
    float | None,
    typer.Option(help="Of server: mean arrivals a second (Poisson).", show_default=False),
]
LatencyBound = Annotated[
    float, typer.Option(help="Of server: seconds within which 99 of 100 requests must be answered.")
]
FindPeak = Annotated[
    bool, typer.Option("--find-peak", help="Of server: search the highest rate within the bound.")
]
Pause = Annotated[float, typer.Option(help="Of paced: seconds of rest before each call.")]
Processes = Annotated[int, typer.Option(help="Of cold: fresh processes, one after another.")]
NoSpin = Annotated[
    bool,
    typer.Option("--no-spin", help="ONNX Runtime's threads sleep, and do not wait in a busy loop."),
]
NoCosts = Annotated[
    bool, typer.Option("--no-costs", help="Leave out memory and the second after the last call.")
]
Breakdown = Annotated[
    bool, typer.Option("--breakdown", help="Time the way from image to label in parts.")
]

_BOUNDARIES = {"numpy": "numpy->numpy", "device": "device->device"}


def make_timing(
    *,
    scenario: str,
    batch_sizes: str = "",
    boundary: str = "numpy",
    **values: Any,
) -> "TimingConfig":
    """Return the configuration that the options mean.

    Raises
    ------
    ConfigError
        If a batch size is no whole number.
    """
    from tlbench.config import TimingConfig

    # The usual size is left to the run, so that its own command line stays short.
    sizes = () if batch_sizes == "32" else split_names(batch_sizes)
    if bad := [size for size in sizes if not size.lstrip("-").isdecimal()]:
        raise ConfigError(f"--batch-size takes whole numbers, not {bad[0]!r}. Example: 1,8,32.")
    boundaries = tuple(_BOUNDARIES.get(name, name) for name in split_names(boundary))
    return TimingConfig(
        scenarios=split_names(scenario),
        batch_sizes=tuple(map(int, sizes)),
        boundaries=boundaries,
        **values,
    )
