"""Options for how accuracy and latency are measured, and the configurations that they mean."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlbench.cli.options import OptionGroup, split_names, whole_numbers

if TYPE_CHECKING:
    from tlbench.workflows import TimingConfig


NoSpin = Annotated[
    bool,
    typer.Option(
        "--no-spin", help="Let ONNX Runtime's threads sleep instead of waiting in a busy loop."
    ),
]
NoCosts = Annotated[
    bool,
    typer.Option(
        "--no-costs", help="Do not measure memory, or processor time in the second after the calls."
    ),
]
Breakdown = Annotated[
    bool, typer.Option("--breakdown", help="Time each step from image to label separately.")
]

_BOUNDARIES = {"numpy": "numpy->numpy", "device": "device->device"}


@dataclass(frozen=True, kw_only=True)
class ProtocolOptions(OptionGroup):
    """What is measured of a head in addition to its accuracy on the test split."""

    folds: Annotated[
        int | None,
        typer.Option(
            help="Also cross-validate in N stratified folds of the train and test images together.",
            metavar="N",
        ),
    ] = None
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="Choose each head's penalty on a fifth of the train images, then fit on all of "
            "them.",
        ),
    ] = False
    learning_curve: Annotated[
        str,
        typer.Option(
            help="Also train on this many images per class, and test on the whole test split.",
            metavar="1,5,10",
            show_default=False,
        ),
    ] = ""
    curve_seeds: Annotated[
        int, typer.Option(help="Random draws at each point of the learning curve.", metavar="N")
    ] = 5

    def settings(self) -> dict[str, Any]:
        """Return the options as a `tlbench.workflows.ProtocolConfig`."""
        from tlbench.workflows import ProtocolConfig

        protocol = ProtocolConfig(
            folds=self.folds,
            curve=whole_numbers("--learning-curve", self.learning_curve, "1,5,10,50"),
            curve_seeds=self.curve_seeds,
            search=self.search,
        )
        return {"protocol": protocol}


@dataclass(frozen=True, kw_only=True)
class ScenarioOptions:
    """What is timed."""

    scenario: Annotated[
        str,
        typer.Option(
            help="single: one image after another; offline: batches; server: random arrivals; "
            "cold: fresh processes; paced: a pause before each call.",
            metavar="A,B",
        ),
    ] = "single,offline"
    batch_size: Annotated[
        str, typer.Option(help="For offline: images per call. For a sweep: 1,8,32.", metavar="N,N")
    ] = "32"
    boundary: Annotated[
        str,
        typer.Option(
            help="Where a timed call starts and ends. numpy: at arrays of the host; device: at "
            "buffers that stay on the device (IO binding).",
            metavar="A,B",
        ),
    ] = "numpy"


@dataclass(frozen=True, kw_only=True)
class TimingOptions:
    """How long, and under which conditions."""

    no_spin: NoSpin = False
    min_samples: Annotated[
        int, typer.Option(help="Minimum number of calls; 130 are enough for a p95, 662 for a p99.")
    ] = 130
    min_duration_s: Annotated[
        float, typer.Option("--min-duration", help="Minimum duration of a timing, in seconds.")
    ] = 3.0
    max_duration_s: Annotated[
        float,
        typer.Option(
            "--max-duration",
            help="Maximum duration of a timing, in seconds, even if calls are missing.",
        ),
    ] = 60.0
    rounds: Annotated[
        int, typer.Option(help="Minimum number of rounds when several models are interleaved.")
    ] = 20
    qps: Annotated[
        float | None,
        typer.Option(
            help="For server: mean number of arrivals per second (Poisson).", show_default=False
        ),
    ] = None
    latency_bound_s: Annotated[
        float,
        typer.Option(
            "--latency-bound",
            help="For server: seconds within which 99 of 100 requests must be answered.",
        ),
    ] = 0.1
    find_highest_rate: Annotated[
        bool,
        typer.Option(
            "--find-peak", help="For server: search for the highest rate that meets the bound."
        ),
    ] = False
    pause_s: Annotated[
        float, typer.Option("--pause", help="For paced: pause before each call, in seconds.")
    ] = 0.1
    processes: Annotated[int, typer.Option(help="For cold: number of fresh processes.")] = 11
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
        batch_sizes=()
        if usual
        else whole_numbers("--batch-size", scenario.batch_size, example="1,8,32"),
        boundaries=tuple(_BOUNDARIES.get(name, name) for name in split_names(scenario.boundary)),
        candidates=tuple(candidates),
        **timing.settings(),
    )
