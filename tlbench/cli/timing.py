"""Options of a timing, and the configuration that they mean."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlbench.cli.options import split_names, whole_numbers

if TYPE_CHECKING:
    from tlbench.workflows import TimingConfig


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


@dataclass(frozen=True, kw_only=True)
class ScenarioOptions:
    """What is timed."""

    scenario: Annotated[
        str,
        typer.Option(
            help="single: one image after another; offline: batches; server: random arrivals; "
            "cold: fresh processes; paced: with a pause between calls.",
            metavar="A,B",
        ),
    ] = "single,offline"
    batch_size: Annotated[
        str, typer.Option(help="Of offline; several for a sweep: 1,8,32.", metavar="N,N")
    ] = "32"
    boundary: Annotated[
        str,
        typer.Option(
            help="What the clock sees. numpy: arrays in and out; device: buffers that stay on the "
            "device (IO binding).",
            metavar="A,B",
        ),
    ] = "numpy"


@dataclass(frozen=True, kw_only=True)
class TimingOptions:
    """How it is timed."""

    no_spin: NoSpin = False
    min_samples: Annotated[
        int, typer.Option(help="Least number of calls one by one; 130 give a p95, 662 a p99.")
    ] = 130
    min_duration_s: Annotated[
        float, typer.Option("--min-duration", help="Least seconds of a timing.")
    ] = 3.0
    max_duration_s: Annotated[
        float,
        typer.Option("--max-duration", help="Most seconds of a timing, whatever is missing."),
    ] = 60.0
    rounds: Annotated[int, typer.Option(help="Least rounds of blocks when models take turns.")] = 20
    qps: Annotated[
        float | None,
        typer.Option(help="Of server: mean arrivals a second (Poisson).", show_default=False),
    ] = None
    latency_bound_s: Annotated[
        float,
        typer.Option(
            "--latency-bound",
            help="Of server: seconds within which 99 of 100 requests must be answered.",
        ),
    ] = 0.1
    find_highest_rate: Annotated[
        bool,
        typer.Option("--find-peak", help="Of server: search the highest rate within the bound."),
    ] = False
    pause_s: Annotated[
        float, typer.Option("--pause", help="Of paced: seconds of rest before each call.")
    ] = 0.1
    processes: Annotated[int, typer.Option(help="Of cold: fresh processes, one after another.")] = (
        11
    )
    no_costs: NoCosts = False

    def settings(self) -> dict[str, Any]:
        """Return the fields of `tlbench.workflows.TimingConfig` that the options mean."""
        values = vars(self) | {"spin": not self.no_spin, "costs": not self.no_costs}
        return {name: value for name, value in values.items() if not name.startswith("no_")}


def make_timing(
    scenario: ScenarioOptions, timing: TimingOptions, *, candidates: Iterable[str]
) -> "TimingConfig":
    """Return the configuration of the timings."""
    from tlbench.workflows import TimingConfig

    # The usual size is left to the run, so that its own command line stays short.
    usual = scenario.batch_size == "32"
    return TimingConfig(
        scenarios=split_names(scenario.scenario),
        batch_sizes=() if usual else whole_numbers("--batch-size", scenario.batch_size, "1,8,32"),
        boundaries=tuple(_BOUNDARIES.get(name, name) for name in split_names(scenario.boundary)),
        candidates=tuple(candidates),
        **timing.settings(),
    )
