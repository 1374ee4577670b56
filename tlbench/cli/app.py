"""The commands of the application."""

from typing import Annotated

import typer

from tlbench import __version__
from tlbench.cli.classify import fuse, predict
from tlbench.cli.describe import doctor, inspect, list_entries
from tlbench.cli.export import export, extract
from tlbench.cli.gating import baseline, gate
from tlbench.cli.measure import drift, evaluate, latency, run
from tlbench.cli.names import app
from tlbench.cli.options import flatten_options
from tlbench.cli.reproduce import reproduce
from tlbench.cli.saved_runs import compare, plot, report
from tlbench.cli.sweeping import pick, sweep
from tlbench.cli.train import train

_COMMANDS = (
    run,
    evaluate,
    latency,
    drift,
    sweep,
    pick,
    export,
    inspect,
    extract,
    report,
    plot,
    compare,
    gate,
    reproduce,
    train,
    fuse,
    predict,
    doctor,
)
for _command in _COMMANDS:
    app.command()(flatten_options(_command))
app.add_typer(baseline, name="baseline")
app.command("list")(list_entries)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"tlbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    del version
