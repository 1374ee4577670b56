"""What run, evaluate and latency have in common: measure, save, show."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tlbench.cli.options import OutputFormat, split_names, split_options
from tlbench.cli.protocols import split_sizes

if TYPE_CHECKING:
    from tlbench.config import RunConfig

__all__ = ["INTERRUPTED", "make_config", "measure_and_show", "show"]

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def make_config(
    *,
    heads: str | None = None,
    baselines: str | None = None,
    head_params: Sequence[str] | None = None,
    provider_options: Sequence[str] | None = None,
    cache_dir: Path | None = None,
    no_cache: bool = False,
    folds: int | None = None,
    search: bool = False,
    learning_curve: str = "",
    curve_seeds: int = 5,
    **values: Any,
) -> "RunConfig":
    """Return the configuration that the options of a command mean."""
    from tlbench.config import ProtocolConfig, RunConfig

    values["protocol"] = ProtocolConfig(
        folds=folds, curve=split_sizes(learning_curve), curve_seeds=curve_seeds, search=search
    )
    if heads is not None:
        values["heads"] = split_names(heads)
    if baselines is not None:
        values["baselines"] = split_names(baselines)
    if cache_dir is not None:
        values["cache_dir"] = cache_dir.expanduser()
    if values.get("data_dir") is not None:
        values["data_dir"] = values["data_dir"].expanduser()
    return RunConfig(
        head_params=tuple(head_params or ()),
        provider_options=split_options(provider_options),
        cache=not no_cache,
        **values,
    )


def measure_and_show(
    config: "RunConfig", *, output: Path, output_format: OutputFormat, quiet: bool
) -> None:
    """Run the benchmark, save it under *output* and print it.

    Exit 1 if a timing is INVALID and the configuration is strict; 130 after Ctrl-C, with what was
    measured until then saved.
    """
    from tlbench.cli.progress import make_listener
    from tlbench.pipeline import run_benchmark
    from tlbench.results import save_run

    listener = make_listener(quiet=quiet)
    try:
        outcome = run_benchmark(config, listener)
    except KeyboardInterrupt as interrupt:
        typer.echo("tlbench: interrupted before anything was measured; nothing is saved.", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
    finally:
        listener.finish()
    folder = save_run(outcome.result, outcome.predictions, output)
    show(outcome.result, output_format.value, location=str(folder))
    if not outcome.result.complete:
        typer.echo("tlbench: interrupted; what was measured is saved as incomplete.", err=True)
        raise typer.Exit(INTERRUPTED)
    if config.strict and any(r.verdict == "INVALID" for r in outcome.result.latency):
        raise typer.Exit(1)


def show(run: Any, output_format: str, *, location: str | None = None) -> None:  # noqa: ANN401 - RunResult, not imported at start
    """Print a run on stdout in the named format, 80 columns wide where stdout is no terminal."""
    from tlbench.cli.stdout import stdout_layout
    from tlbench.reports import RENDERERS

    width, color = stdout_layout()
    text = RENDERERS.load(output_format)(run, location=location, width=width, color=color)
    typer.echo(text, nl=False)
