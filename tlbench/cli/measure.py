"""`tlbench run`, `evaluate`, `latency` and `drift`: measure, save, show."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlbench.cli import options as o
from tlbench.cli import protocols as p
from tlbench.cli.process import INTERRUPTED
from tlbench.core.errors import ConfigError

if TYPE_CHECKING:
    from tlbench.api import Comparison, Pick, Run, Sweep, Verdict
    from tlbench.workflows import RunConfig


def run(
    model: o.Model = "efficientnet-lite0",
    *,
    task: o.TaskOptions,
    columns: o.ColumnOptions,
    backbone: o.BackboneOptions,
    engine: o.EngineOptions,
    sample: o.SampleOptions,
    protocol: p.ProtocolOptions,
    no_latency: o.NoLatency = False,
    breakdown: p.Breakdown = False,
    no_spin: p.NoSpin = False,
    no_costs: p.NoCosts = False,
    strict: o.Strict = False,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Measure accuracy and latency, and save the run.

    Classifier heads are fitted on the features of a frozen backbone; raw pixels are the baseline
    features to beat. Without arguments, EfficientNet-Lite0 is measured on scikit-learn's digits, on
    the CPU; that needs no network access.
    """
    from dataclasses import replace

    from tlbench.workflows import QUICK_TIMING

    config = make_config(
        [task, columns, backbone, engine, sample, protocol, folders],
        model=model,
        latency=not no_latency,
        breakdown=breakdown,
        timing=replace(QUICK_TIMING, spin=not no_spin, costs=not no_costs),
        strict=strict,
    )
    measure_and_show(config, saving)


def evaluate(
    model: o.Model,
    *,
    task: o.TaskOptions,
    columns: o.ColumnOptions,
    backbone: o.BackboneOptions,
    engine: o.EngineOptions,
    sample: o.SampleOptions,
    protocol: p.ProtocolOptions,
    strict: o.StrictImages = False,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Measure accuracy only, and save the run.

    Classifier heads are fitted on the features of a frozen backbone; raw pixels are the baseline
    features to beat.
    """
    groups = [task, columns, backbone, engine, sample, protocol, folders]
    config = make_config(groups, model=model, latency=False, strict=strict)
    measure_and_show(config, saving)


def latency(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Name of a backbone, or path of an .onnx file. Several models are interleaved and "
            "compared with the first; MODEL@threads=1,provider=cuda changes the settings of one.",
        ),
    ],
    *,
    scenario: p.ScenarioOptions,
    backbone: o.BackboneOptions,
    provider: o.ProviderOptions,
    threads: o.Threads = None,
    precision: o.PrecisionName = "fp32",
    timing: p.TimingOptions,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a timing is INVALID.")
    ] = False,
    cache_dir: o.CacheDir = None,
    no_cache: o.NoCache = False,
    saving: o.SavingOptions,
) -> None:
    """Measure latency only, and save the run.

    Every timing is checked: an INVALID one states the reason and what to do about it. Ctrl-C keeps
    what has been measured.
    """
    config = make_config(
        [backbone, provider, o.FolderOptions(cache_dir=cache_dir, no_cache=no_cache)],
        model=models[0],
        threads=threads,
        precision=precision,
        accuracy=False,
        strict=strict,
        timing=p.make_timing(scenario, timing, candidates=models[1:]),
    )
    measure_and_show(config, saving)


def drift(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="REFERENCE CANDIDATE...",
            help="Names of backbones or paths of .onnx files, the reference first; "
            "MODEL@precision=int8,provider=cuda changes the settings of one.",
        ),
    ],
    *,
    dataset: o.DatasetName = "digits",
    columns: o.ColumnOptions,
    heads: o.HeadNames = "softmax,svm-linear",
    head_param: o.HeadParams = None,
    backbone: o.BackboneOptions,
    engine: o.EngineOptions,
    sample: o.SampleOptions,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Measure how features differ, and the effect on accuracy.

    Heads are fitted on the features of REFERENCE and tested on those of each CANDIDATE: the same
    network with another provider or precision, or from another export. The difference in accuracy
    is tested image by image.
    """
    if len(models) == 1:
        msg = f"A drift needs two models, a reference and a candidate; only {models[0]!r} is given."
        raise ConfigError(msg)
    config = make_config(
        [columns, backbone, engine, sample, folders],
        model=models[0],
        candidates=tuple(models[1:]),
        dataset=dataset,
        heads=o.split_names(heads),
        baselines=(),
        head_params=tuple(head_param or ()),
        latency=False,
    )
    measure_and_show(config, saving)


def make_config(groups: Iterable[o.OptionGroup], **values: Any) -> "RunConfig":
    """Return the configuration that groups of options and further *values* mean."""
    from tlbench.workflows import RunConfig

    for group in groups:
        values |= group.settings()
    return RunConfig(**values)


def measure_and_show(config: "RunConfig", saving: o.SavingOptions) -> None:
    """Run the benchmark, save it and print it.

    Exit with 1 if a timing is INVALID and the configuration is strict; with 130 after Ctrl-C.
    """
    from tlbench.api import measure
    from tlbench.cli.repeat import repeat_command
    from tlbench.cli.terminal import listening

    saving.check()
    try:
        with listening(quiet=saving.quiet) as listener:
            run = measure(config, progress=listener, command=repeat_command(config))
    except KeyboardInterrupt as interrupt:
        typer.echo("tlbench: interrupted; nothing is saved.", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
    save_and_show(run, saving)
    if not run.complete:
        typer.echo("tlbench: interrupted; what was measured is saved as incomplete.", err=True)
        raise typer.Exit(INTERRUPTED)
    if config.strict and any(timing.verdict == "INVALID" for timing in run.latency.values()):
        raise typer.Exit(1)


def save_and_show(run: "Run", saving: o.SavingOptions) -> None:
    """Save a run and print it; one that cannot be saved is printed before the error is raised."""
    from tlbench.cli.terminal import interrupts_held

    with interrupts_held():
        try:
            run.save(saving.output, html=not saving.no_html)
        finally:
            show(run, saving.output_format.value)


def show(result: "Run | Comparison | Verdict | Sweep | Pick", report_format: str) -> None:
    """Print a result on stdout in the named format."""
    import sys

    from tlbench.cli.terminal import stdout_layout
    from tlbench.core.units import encodable

    width, color = stdout_layout()
    text = result.report(report_format, width=width, color=color)
    typer.echo(encodable(text, sys.stdout.encoding), nl=False)
