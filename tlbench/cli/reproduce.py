"""`tlbench reproduce`."""

from typing import TYPE_CHECKING, Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli.measure import INTERRUPTED, make_config, show

if TYPE_CHECKING:
    from tlbench.records import RunResult


def reproduce(
    recipe: Annotated[
        str,
        typer.Argument(help="A recipe's name (tlbench list recipes), or the path of a TOML file."),
    ],
    *,
    row: Annotated[
        str | None,
        typer.Option(help="Rows of the recipe to run; default: all.", metavar="A,B"),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Another backbone, or an .onnx file, instead of the recipe's."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="imagenet, random (times only), or the path of a weights file of the backbone's "
            "framework."
        ),
    ] = None,
    head_param: o.HeadParams = None,
    session: o.SessionOptions,
    sample: o.SampleOptions,
    no_latency: o.NoLatency = False,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Repeat a published experiment, and judge its figures.

    The verdict is reproduced, not reproduced, or not comparable with the reasons: smaller data,
    another backbone, random weights. A run is saved for each row of the recipe. With --format json
    a list of runs is printed.
    """
    from tlbench.cli.progress import listening
    from tlbench.cli.repeat import reproduce_command
    from tlbench.records import save_run
    from tlbench.workflows import RecipeChoices, reproduce_recipe

    config = make_config(
        [session, sample, folders],
        head_params=tuple(head_param or ()),
        latency=not no_latency,
    )
    choices = RecipeChoices(
        recipe=recipe, rows=o.split_names(row or ""), backbone=backbone, weights=weights
    )
    runs: list[RunResult] = []
    try:
        with listening(quiet=saving.quiet) as listener:
            for outcome in reproduce_recipe(
                choices, config, listener, command=reproduce_command(choices, config)
            ):
                listener.finish()
                folder = save_run(outcome.result, outcome.predictions, saving.output)
                runs.append(outcome.result)
                if saving.output_format is o.OutputFormat.CONSOLE:
                    typer.echo("\n" if len(runs) > 1 else "", nl=False)
                    show(outcome.result, saving.output_format.value, location=str(folder))
    except KeyboardInterrupt as interrupt:
        typer.echo(f"tlbench: interrupted; {len(runs)} finished runs are saved.", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
    if saving.output_format is o.OutputFormat.JSON:
        typer.echo(_as_list(runs))
    if not all(run.complete for run in runs):
        raise typer.Exit(INTERRUPTED)


def _as_list(runs: "list[RunResult]") -> str:
    """Return the runs as a JSON list, each as it is saved."""
    from tlbench.records import encode_run

    return "[" + ",\n".join(encode_run(run).decode().rstrip() for run in runs) + "]"
