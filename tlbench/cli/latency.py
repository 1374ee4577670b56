"""`tlbench latency`."""

from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli import timing as t
from tlbench.cli.measure import make_config, measure_and_show

__all__ = ["latency"]


def latency(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="A backbone's name or the path of an .onnx file. Several take turns and are "
            "compared with the first; MODEL@threads=1,provider=cuda changes settings of one.",
        ),
    ],
    *,
    scenario: t.Scenarios = "single,offline",
    batch_size: t.BatchSizes = "32",
    boundary: t.Boundaries = "numpy",
    provider: o.Provider = "cpu",
    provider_option: o.ProviderOptions = None,
    threads: o.Threads = None,
    precision: o.PrecisionName = "fp32",
    no_spin: t.NoSpin = False,
    min_samples: t.MinSamples = 130,
    min_duration: t.MinDuration = 3.0,
    max_duration: t.MaxDuration = 60.0,
    rounds: t.Rounds = 20,
    qps: t.Qps = None,
    latency_bound: t.LatencyBound = 0.1,
    find_peak: t.FindPeak = False,
    pause: t.Pause = 0.1,
    processes: t.Processes = 11,
    no_costs: t.NoCosts = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if a timing is INVALID.")
    ] = False,
    cache_dir: o.CacheDir = None,
    no_cache: o.NoCache = False,
    output: o.Output = Path("runs"),
    output_format: o.Format = o.OutputFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Measure latency only, and save the run.

    Of a backbone or of any .onnx file, or of several in turn. Each timing is judged: INVALID ones
    say why and what to do. Ctrl-C keeps what was measured.
    """
    timing = t.make_timing(
        scenario=scenario,
        batch_sizes=batch_size,
        boundary=boundary,
        rivals=tuple(models[1:]),
        min_samples=min_samples,
        min_duration_s=min_duration,
        max_duration_s=max_duration,
        rounds=rounds,
        qps=qps,
        latency_bound_s=latency_bound,
        find_peak=find_peak,
        pause_s=pause,
        processes=processes,
        spin=not no_spin,
        costs=not no_costs,
    )
    config = make_config(
        model=models[0],
        provider=provider,
        provider_options=provider_option,
        threads=threads,
        precision=precision,
        accuracy=False,
        strict=strict,
        timing=timing,
        cache_dir=cache_dir,
        no_cache=no_cache,
    )
    measure_and_show(config, output=output, output_format=output_format, quiet=quiet)
