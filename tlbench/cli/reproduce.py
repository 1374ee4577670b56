"""`tlbench reproduce`."""

from typing import TYPE_CHECKING, Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli.measure import make_config, save_and_show
from tlbench.cli.process import INTERRUPTED

if TYPE_CHECKING:
    from tlbench.records import RunResult


def reproduce(
    recipe: Annotated[
        str,
        typer.Argument(help="Name of a recipe (see tlbench list recipes), or path of a TOML file."),
    ],
    *,
    row: Annotated[
        str | None,
        typer.Option(help="Rows of the recipe to run; default: all of them.", metavar="A,B"),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Backbone or .onnx file to use instead of the recipe's.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help=o.WEIGHTS_HELP)] = None,
    head_param: o.HeadParams = None,
    session: o.SessionOptions,
    sample: o.SampleOptions,
    no_latency: o.NoLatency = False,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Repeat a published experiment, and judge its figures.

    Each figure is reproduced, not reproduced, or not comparable for a stated reason, such as
    smaller data, another backbone or random weights. One run is saved per row of the recipe;
    --format json prints them as a list.
    """
    from tlbench.api import Run
    from tlbench.cli.repeat import reproduce_command
    from tlbench.cli.terminal import interrupts_held, listening
    from tlbench.records import encode_run
    from tlbench.workflows import RecipeChoices, reproduce_recipe

    config = make_config(
        [session, sample, folders], head_params=tuple(head_param or ()), latency=not no_latency
    )
    choices = RecipeChoices(
        recipe=recipe, rows=o.split_names(row or ""), backbone=backbone, weights=weights
    )
    saving.check()
    runs: list[RunResult] = []
    is_json = saving.output_format is o.OutputFormat.JSON
    try:
        with listening(quiet=saving.quiet) as listener:
            for outcome in reproduce_recipe(
                choices, config, listener, command=reproduce_command(choices, config)
            ):
                listener.finish()
                run = Run(outcome.result, outcome.predictions, images=outcome.images)
                runs.append(run.record)
                if is_json:
                    with interrupts_held():
                        run.save(saving.output, html=not saving.no_html)
                else:
                    typer.echo("\n" if len(runs) > 1 else "", nl=False)
                    save_and_show(run, saving)
    except KeyboardInterrupt as interrupt:
        typer.echo(f"tlbench: interrupted; {len(runs)} finished runs are saved.", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
    finally:
        if is_json and runs:
            documents = (encode_run(run).decode().rstrip() for run in runs)
            typer.echo("[" + ",\n".join(documents) + "]")
    if not all(run.complete for run in runs):
        raise typer.Exit(INTERRUPTED)
