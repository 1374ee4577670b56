"""`tlbench baseline`."""

from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o

baseline = typer.Typer(
    help="Keep runs as the small files that tlbench gate needs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@baseline.callback()
def _root() -> None:
    # With a callback, one command stays a command of its own: tlbench baseline save.
    pass


@baseline.command()
def save(
    run: Annotated[
        str,
        typer.Argument(
            help="A run: its folder, its run.json, its id, or 'last'; RUN#LABEL for one candidate."
        ),
    ],
    *,
    destination: Annotated[
        Path, typer.Option("-o", metavar="FILE.json", help="The file to write, for git.")
    ],
    entries: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Which predictions to keep: FEATURES.HEAD, or shell patterns. What is kept must "
            "be in every run that is gated.",
        ),
    ] = "backbone*.*",
    no_latency: Annotated[bool, typer.Option("--no-latency", help="Leave timings out.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    output: o.Output = Path("runs"),
) -> None:
    """Save the predictions, times and drifts of a run as a small file that belongs in git."""
    from tlbench.compare import open_compared_run
    from tlbench.core.units import format_bytes
    from tlbench.gate import make_baseline
    from tlbench.records import save_baseline

    found = make_baseline(
        open_compared_run(run, output), entries=o.split_names(entries), latency=not no_latency
    )
    size = save_baseline(found, destination, force=force)
    kept = [one.entry for one in found.accuracy]
    kept += [f"{one.scenario} batch {one.batch_size}" for one in found.latency]
    kept += [one.name for one in found.drifts]
    typer.echo(f"{destination}: {format_bytes(size)}, run {found.run}: {', '.join(kept)}")
