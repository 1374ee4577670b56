"""`tlbench report`."""

from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o


def report(
    run: Annotated[
        str, typer.Argument(help="A run: its folder, its run.json, its id, or 'last'.")
    ] = "last",
    *,
    report_format: Annotated[
        str, typer.Option("--format", help="console, json, or a plugin's.")
    ] = "console",
    destination: Annotated[
        Path | None,
        typer.Option("-o", help="Write the report to this file instead of stdout."),
    ] = None,
    output: o.Output = Path("runs"),
) -> None:
    """Show a saved run again, in any format."""
    from tlbench.cli.measure import show
    from tlbench.cli.stdout import write_report
    from tlbench.records import find_run, read_run
    from tlbench.reports import RENDERERS

    path = find_run(run, output)
    found, location = read_run(run, output), str(path.parent)
    if destination is None:
        show(found, report_format, location=location)
        return
    text = RENDERERS.load(report_format)(found, location=location)
    write_report(text, destination)
