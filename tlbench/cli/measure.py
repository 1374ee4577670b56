"""What run, evaluate and latency have in common: measure, save, show."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from tlbench.cli.groups import OptionGroup
from tlbench.cli.options import SavingOptions

if TYPE_CHECKING:
    from tlbench.workflows import RunConfig


INTERRUPTED = 130  # 128 + SIGINT, as shells count


def make_config(groups: Iterable[OptionGroup], **values: Any) -> "RunConfig":
    """Return the configuration that groups of options and further *values* mean."""
    from tlbench.workflows import RunConfig

    for group in groups:
        values |= group.settings()
    return RunConfig(**values)


def measure_and_show(config: "RunConfig", saving: SavingOptions) -> None:
    """Run the benchmark, save it and print it.

    Exit 1 if a timing is INVALID and the configuration is strict; 130 after Ctrl-C, with what was
    measured until then saved.
    """
    from tlbench.cli.progress import listening
    from tlbench.cli.repeat import repeat_command
    from tlbench.records import save_run
    from tlbench.workflows import run_benchmark

    try:
        with listening(quiet=saving.quiet) as listener:
            outcome = run_benchmark(config, listener, command=repeat_command(config))
    except KeyboardInterrupt as interrupt:
        typer.echo("tlbench: interrupted before anything was measured; nothing is saved.", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
    folder = save_run(outcome.result, outcome.predictions, saving.output)
    show(outcome.result, saving.output_format.value, location=str(folder))
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
