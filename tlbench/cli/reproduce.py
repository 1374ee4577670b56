"""`tlbench reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli.measure import INTERRUPTED, make_config, show

if TYPE_CHECKING:
    from tlbench.results.records import RunResult

__all__ = ["reproduce"]


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
    provider: o.Provider = "cpu",
    provider_option: o.ProviderOptions = None,
    batch_size: o.BatchSize = 32,
    threads: o.Threads = None,
    limit_train: o.LimitTrain = None,
    limit_test: o.LimitTest = None,
    seed: o.Seed = 0,
    no_latency: Annotated[
        bool, typer.Option("--no-latency", help="Measure the accuracy only.")
    ] = False,
    data_dir: o.DataDir = None,
    cache_dir: o.CacheDir = None,
    no_cache: o.NoCache = False,
    output: o.Output = Path("runs"),
    output_format: o.Format = o.OutputFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Repeat a published experiment, and judge its figures.

    The verdict is reproduced, not reproduced, or not comparable with the reasons: smaller data,
    another backbone, random weights. A run is saved for each row of the recipe. With --format json
    a list of runs is printed.
    """
    from tlbench.cli.options import split_names
    from tlbench.cli.progress import make_listener
    from tlbench.pipeline.reproduce import RecipeChoices
    from tlbench.pipeline.reproduce import reproduce as run_recipe
    from tlbench.results import save_run

    config = make_config(
        head_params=head_param,
        provider=provider,
        provider_options=provider_option,
        batch_size=batch_size,
        threads=threads,
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        latency=not no_latency,
        data_dir=data_dir,
        cache_dir=cache_dir,
        no_cache=no_cache,
    )
    choices = RecipeChoices(
        recipe=recipe, rows=split_names(row or ""), backbone=backbone, weights=weights
    )
    listener = make_listener(quiet=quiet)
    runs: list[RunResult] = []
    try:
        for outcome in run_recipe(choices, config, listener):
            listener.finish()
            folder = save_run(outcome.result, outcome.predictions, output)
            runs.append(outcome.result)
            if output_format is o.OutputFormat.CONSOLE:
                typer.echo("\n" if len(runs) > 1 else "", nl=False)
                show(outcome.result, output_format.value, location=str(folder))
    except KeyboardInterrupt as interrupt:
        typer.echo(f"tlbench: interrupted; {len(runs)} finished runs are saved.", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
    finally:
        listener.finish()
    if output_format is o.OutputFormat.JSON:
        typer.echo(_as_list(runs))
    if not all(run.complete for run in runs):
        raise typer.Exit(INTERRUPTED)


def _as_list(runs: "list[RunResult]") -> str:
    """Return the runs as a JSON list, each as it is saved."""
    from tlbench.results import encode_run

    return "[" + ",\n".join(encode_run(run).decode().rstrip() for run in runs) + "]"
