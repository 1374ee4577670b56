"""`tlbench latency`."""

from typing import Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli import timing as t
from tlbench.cli.measure import make_config, measure_and_show


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
    scenario: t.ScenarioOptions,
    provider: o.ProviderOptions,
    threads: o.Threads = None,
    precision: o.PrecisionName = "fp32",
    timing: t.TimingOptions,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if a timing is INVALID.")
    ] = False,
    cache_dir: o.CacheDir = None,
    no_cache: o.NoCache = False,
    saving: o.SavingOptions,
) -> None:
    """Measure latency only, and save the run.

    Of a backbone or of any .onnx file, or of several in turn. Each timing is judged: INVALID ones
    say why and what to do. Ctrl-C keeps what was measured.
    """
    config = make_config(
        [provider, o.FolderOptions(cache_dir=cache_dir, no_cache=no_cache)],
        model=models[0],
        threads=threads,
        precision=precision,
        accuracy=False,
        strict=strict,
        timing=t.make_timing(scenario, timing, candidates=models[1:]),
    )
    measure_and_show(config, saving)
